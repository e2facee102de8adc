"""Loaders whose masks depend on the training: on its steps, and on losses fed back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import premask
import pytest
from premask._errors import PolicyError, RequestError
from premask.loader import Loader
from premask.torch_data import data_loader

PER_BATCH = {"preset": "mixture", "policies": ["random", "clm"], "per": "batch"}
STEPS = {"preset": "schedule", "policies": ["random", "clm"], "steps": 6}


def loader(shards: premask.ShardSet, policy: Any, **changes: Any) -> Loader:
    options = {"batch_size": 8, "backend": "numpy", "audit": True, "rank": 0, "world_size": 1}
    return Loader(shards, policy=policy, **{**options, **changes})


def whole_rows_are_labels(batch: dict[str, Any]) -> bool:
    """Whether a batch is one of `clm`."""
    return bool(((np.asarray(batch["labels"]) != -100) == batch["attention_mask"]).all())


def test_every_batch_is_masked_by_one_policy_drawn_by_its_step(
    shards: premask.ShardSet,
) -> None:
    drawn = []
    one = loader(shards, PER_BATCH)
    for _ in range(2):
        drawn += [whole_rows_are_labels(batch) for batch in one]
    assert 0 < sum(drawn) < len(drawn)
    choice = premask.policy(PER_BATCH).bind(shards.binding)
    for step, by_clm in enumerate(drawn):
        masked = choice(shards.rows([0]).pad(), step // len(one), step=step)
        assert whole_rows_are_labels(masked) == by_clm


def test_a_schedule_of_steps_goes_on_over_epochs(shards: premask.ShardSet) -> None:
    one = loader(shards, STEPS, batch_size=len(shards) // 2)
    drawn = [whole_rows_are_labels(batch) for _ in range(3) for batch in one]
    assert drawn == [False] * 3 + [True] * 3


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_law_2_backends_agree_on_steps(shards: premask.ShardSet, backend: Any) -> None:
    pad_to: Any = "max"
    expected = list(loader(shards, PER_BATCH, pad_to=pad_to))
    found = list(loader(shards, PER_BATCH, pad_to=pad_to, backend=backend))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a["labels"], np.asarray(b["labels"]))


def test_all_ranks_of_a_step_draw_the_same_policy_even_after_a_resume(
    shards: premask.ShardSet,
) -> None:
    first = loader(shards, PER_BATCH, batch_size=5)
    next(iter(first))
    ranks = [
        loader(shards, PER_BATCH, batch_size=4, rank=rank, world_size=3) for rank in range(3)
    ]
    for one in ranks:
        one.load_state_dict(first.state_dict())
    steps = list(zip(*ranks, strict=True))
    assert len(steps) > 3
    for step in steps:
        assert len({whole_rows_are_labels(batch) for batch in step}) == 1


def test_workers_of_a_torch_loader_know_the_step(shards: premask.ShardSet) -> None:
    expected = list(loader(shards, PER_BATCH))
    one = loader(shards, PER_BATCH, backend="torch")
    found = list(data_loader(one, num_workers=2))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a["labels"], b["labels"].numpy())


def test_batches_by_tokens_have_no_fixed_steps(shards: premask.ShardSet) -> None:
    with pytest.raises(RequestError, match="leave max_tokens out"):
        loader(shards, PER_BATCH, max_tokens=512)


def train(one: Loader, epochs: int) -> list[dict[str, Any]]:
    """Runs epochs in which high ids have high losses; gives all batches."""
    batches = []
    for _ in range(epochs):
        for batch in one:
            labels = np.asarray(batch["labels"])
            one.update(labels, labels / 100.0)
            batches.append(batch)
        one.snapshot()
    return batches


def test_what_is_hard_is_masked_more_often_from_the_next_epoch_on(
    shards: premask.ShardSet,
) -> None:
    batches = train(loader(shards, "adaptive"), 3)
    per_epoch = len(batches) // 3
    means = [
        np.mean(np.concatenate([b["labels"][b["labels"] >= 0] for b in part]))
        for part in (batches[:per_epoch], batches[per_epoch:])
    ]
    assert means[1] > means[0] + 50


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_a_state_replays_every_epoch_before_it(shards: premask.ShardSet, backend: Any) -> None:
    pad_to: Any = "max"
    one = loader(shards, "adaptive", pad_to=pad_to)
    batches = train(one, 3)
    state = json.loads(json.dumps(one.state_dict()))
    names = [snapshot["name"] for snapshot in state["masker"]["feedback"][0]["snapshots"]]
    assert [name.rsplit("-", 1)[0] for name in names] == ["epoch-1", "epoch-2", "epoch-3"]
    again = loader(shards, "adaptive", pad_to=pad_to, backend=backend)
    list(again)  # a function compiled before the snapshots came
    again.load_state_dict(state)
    again.set_epoch(0)
    replayed = [batch for _ in range(3) for batch in again]
    for a, b in zip(batches, replayed, strict=True):
        np.testing.assert_array_equal(a["labels"], np.asarray(b["labels"]))


def test_a_state_without_weights_does_not_serve_an_adaptive_policy(
    shards: premask.ShardSet,
) -> None:
    state = loader(shards, "random").state_dict()
    with pytest.raises(RequestError, match="the state lacks masker"):
        loader(shards, "adaptive").load_state_dict(state)


def test_a_tampered_snapshot_is_refused(shards: premask.ShardSet) -> None:
    one = loader(shards, "adaptive")
    train(one, 1)
    state = one.state_dict()
    state["masker"]["feedback"][0]["snapshots"][0]["sha256"] = "0" * 64
    with pytest.raises(PolicyError, match="SHA-256"):
        loader(shards, "adaptive").load_state_dict(state)


def test_other_policies_take_no_feedback(shards: premask.ShardSet) -> None:
    with pytest.raises(PolicyError, match="takes no feedback"):
        loader(shards, "random").update([1], [0.5])
    with pytest.raises(PolicyError, match="no policy"):
        loader(shards, None).snapshot()


def test_workers_cannot_be_fed_back_to(shards: premask.ShardSet) -> None:
    one = loader(shards, "adaptive", backend="torch")
    with pytest.raises(RequestError, match="num_workers=0"):
        data_loader(one, num_workers=2)
