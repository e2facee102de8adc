"""The loader: law 3, placement never matters, and what a trainer relies on."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask import Loader

from tests.loader.shardset import write_set

Write = Callable[..., Path]
POLICY = premask.policy("random")


def by_row(batches: Iterable[dict[str, Any]]) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """Each row's masked ids and labels, without padding, by (epoch, row)."""
    found = {}
    for batch in batches:
        for i in range(len(batch["row_ids"])):
            length = int(batch["attention_mask"][i].sum())
            key = int(batch["epochs"][i]), int(batch["row_ids"][i])
            assert key not in found, f"row {key} was delivered twice"
            found[key] = (
                np.asarray(batch["input_ids"][i][:length], np.int64).tobytes(),
                np.asarray(batch["labels"][i][:length], np.int64).tobytes(),
            )
    return found


def loader(shards: premask.ShardSet, **changes: Any) -> Loader:
    options: dict[str, Any] = {
        "policy": POLICY,
        "batch_size": 8,
        "backend": "numpy",
        "audit": True,
        "drop_last": False,
        **changes,
    }
    return Loader(shards, **options)


@pytest.fixture(scope="module")
def truth(shards: premask.ShardSet) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """Every row of three epochs, masked one at a time, in the stored order."""
    found: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    for epoch in range(3):
        one = loader(shards, batch_size=1, shuffle=False, epoch=epoch)
        found |= by_row(one)
    return found


def epoch_of(truth: dict[Any, Any], epoch: int) -> dict[Any, Any]:
    return {key: value for key, value in truth.items() if key[0] == epoch}


# Law 3: placement never matters.


@pytest.mark.parametrize("batch_size", [3, 64, 200])
def test_law_3_batch_size_never_matters(
    shards: premask.ShardSet, truth: dict[Any, Any], batch_size: int
) -> None:
    assert by_row(loader(shards, batch_size=batch_size)) == epoch_of(truth, 0)


@pytest.mark.parametrize("changes", [{"seed": 9}, {"shuffle": "block", "block_rows": 4}])
def test_law_3_order_never_matters(
    shards: premask.ShardSet, truth: dict[Any, Any], changes: dict[str, Any]
) -> None:
    assert by_row(loader(shards, **changes)) == epoch_of(truth, 0)


@pytest.mark.parametrize("pad_to", [None, 16, "max"])
def test_law_3_padding_never_matters(
    shards: premask.ShardSet, truth: dict[Any, Any], pad_to: Any
) -> None:
    assert by_row(loader(shards, pad_to=pad_to)) == epoch_of(truth, 0)


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_law_3_ranks_never_matter(
    shards: premask.ShardSet, truth: dict[Any, Any], world_size: int
) -> None:
    batches = [
        batch
        for rank in range(world_size)
        for batch in loader(shards, rank=rank, world_size=world_size)
    ]
    assert by_row(batches) == epoch_of(truth, 0)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_law_2_backends_agree(
    shards: premask.ShardSet, truth: dict[Any, Any], backend: str
) -> None:
    found = by_row(loader(shards, backend=backend, pad_to="max", batch_size=52))
    assert found == epoch_of(truth, 0)


def test_law_3_shards_and_their_compression_never_matter(
    own_set: Write, truth: dict[Any, Any]
) -> None:
    path = own_set(shard_rows=11, compression="zstd")
    assert by_row(loader(premask.open_shards(path), shuffle="block")) == epoch_of(truth, 0)


# Order and epochs.


def test_epochs_differ_in_order_and_in_masks(
    shards: premask.ShardSet, truth: dict[Any, Any]
) -> None:
    runs = loader(shards)
    first, second = list(runs), list(runs)
    assert by_row([*first, *second]) == epoch_of(truth, 0) | epoch_of(truth, 1)
    assert not np.array_equal(first[0]["row_ids"], second[0]["row_ids"])


def test_an_epoch_repeats_exactly(shards: premask.ShardSet) -> None:
    first, second = list(loader(shards, epoch=2)), list(loader(shards, epoch=2))
    for left, right in zip(first, second, strict=True):
        assert all(np.array_equal(left[name], right[name]) for name in left)


def test_set_epoch_goes_to_any_epoch(shards: premask.ShardSet, truth: dict[Any, Any]) -> None:
    runs = loader(shards)
    runs.set_epoch(2)
    assert by_row(runs) == epoch_of(truth, 2)


def test_an_iteration_that_was_left_begins_anew(
    shards: premask.ShardSet, truth: dict[Any, Any]
) -> None:
    runs = loader(shards)
    next(iter(runs))
    assert by_row(runs) == epoch_of(truth, 0)


def test_batch_k_is_what_the_iteration_delivers(shards: premask.ShardSet) -> None:
    runs = loader(shards, rank=1, world_size=3)
    for k, batch in enumerate(loader(shards, rank=1, world_size=3)):
        assert all(np.array_equal(batch[name], runs.batch(k)[name]) for name in batch)
    with pytest.raises(IndexError, match="epoch of 5 batches"):
        runs.batch(5)


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_every_rank_has_the_same_number_of_batches(
    shards: premask.ShardSet, world_size: int, drop_last: bool
) -> None:
    runs = [
        loader(shards, rank=rank, world_size=world_size, drop_last=drop_last)
        for rank in range(world_size)
    ]
    assert len({len(list(run)) for run in runs} | {len(run) for run in runs}) == 1


@pytest.mark.parametrize("budget", [{}, {"max_tokens": 128}])
@pytest.mark.parametrize(("batch_size", "world_size"), [(51, 2), (3, 33), (2, 50), (34, 3)])
def test_a_rest_of_fewer_rows_than_ranks_leaves_no_rank_without_a_row(
    shards: premask.ShardSet,
    truth: dict[Any, Any],
    batch_size: int,
    world_size: int,
    budget: dict[str, Any],
) -> None:
    ranks = [
        list(loader(shards, batch_size=batch_size, rank=rank, world_size=world_size, **budget))
        for rank in range(world_size)
    ]
    sizes = [[len(batch["row_ids"]) for batch in batches] for batches in ranks]
    assert len({len(batches) for batches in ranks}) == 1
    assert min(map(min, sizes)) >= 1
    assert max(map(max, sizes)) <= batch_size
    assert by_row(batch for batches in ranks for batch in batches) == epoch_of(truth, 0)


@pytest.mark.parametrize(
    ("batch_size", "world_size", "done"), [(1, 10, 0), (8, 8, 98), (2, 120, 0)]
)
def test_ranks_share_rows_where_there_is_none_to_spare(
    shards: premask.ShardSet, batch_size: int, world_size: int, done: int
) -> None:
    runs = [
        loader(shards, batch_size=batch_size, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    state = {**runs[0].state_dict(), "rows_consumed": done}
    for run in runs:
        run.load_state_dict(state)
    steps = list(zip(*runs, strict=True))
    assert all(len(batch["row_ids"]) == 1 for batch in steps[-1])
    seen = np.concatenate([batch["row_ids"] for step in steps for batch in step])
    assert len(np.unique(seen)) == 103 - done
    assert all(run.state_dict()["epoch"] == 1 for run in runs)


# State.


def test_the_state_is_four_values(shards: premask.ShardSet) -> None:
    runs = loader(shards, seed=3)
    batches = iter(runs)
    next(batches)
    next(batches)
    assert runs.state_dict() == {
        "manifest": shards.manifest.sha256,
        "seed": 3,
        "epoch": 0,
        "rows_consumed": 16,
    }


@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (4, 1), (1, 3), (2, 5)])
def test_law_3_a_run_resumes_on_any_number_of_ranks(
    shards: premask.ShardSet, truth: dict[Any, Any], before: int, after: int, prefetch: int
) -> None:
    delivered, states = [], []
    for rank in range(before):
        run = loader(shards, rank=rank, world_size=before, batch_size=4, prefetch=prefetch)
        batches = iter(run)
        delivered += [next(batches), next(batches), next(batches)]
        states.append(run.state_dict())
    assert all(state == states[0] for state in states)
    for rank in range(after):
        run = loader(shards, rank=rank, world_size=after, batch_size=5)
        run.load_state_dict(states[0])
        delivered += list(run)
    assert by_row(delivered) == epoch_of(truth, 0)


def test_a_second_resume_continues_as_well(
    shards: premask.ShardSet, truth: dict[Any, Any]
) -> None:
    delivered = []
    state = loader(shards).state_dict()
    for _ in range(30):
        run = loader(shards)
        run.load_state_dict(state)
        if run.epoch == 2:
            break
        delivered.append(next(iter(run)))
        state = run.state_dict()
    assert by_row(delivered) == epoch_of(truth, 0) | epoch_of(truth, 1)


def test_after_the_last_batch_the_state_is_the_next_epoch(shards: premask.ShardSet) -> None:
    runs = loader(shards)
    states = [runs.state_dict() for _ in runs]
    assert states[-1]["epoch"] == 1
    assert states[-1]["rows_consumed"] == 0


def test_set_epoch_to_the_current_one_keeps_a_resumed_place(shards: premask.ShardSet) -> None:
    runs = loader(shards)
    runs.load_state_dict({**runs.state_dict(), "epoch": 1, "rows_consumed": 40})
    runs.set_epoch(1)
    assert sum(len(batch["row_ids"]) for batch in runs) == 63


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"manifest": "f" * 64}, "manifest 'ffff"),
        ({"seed": 8}, "seed 8"),
        ({"rows_consumed": 104}, "outside the epoch of 103"),
    ],
)
def test_a_state_of_another_run_is_refused_by_name(
    shards: premask.ShardSet, change: dict[str, Any], message: str
) -> None:
    runs = loader(shards)
    with pytest.raises(premask.RequestError, match=message):
        runs.load_state_dict({**runs.state_dict(), **change})


def test_a_state_without_a_field_is_refused(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="lacks epoch, rows_consumed"):
        loader(shards).load_state_dict({"manifest": "", "seed": 0})


# What batches look like.


def test_torch_batches_are_int64(shards: premask.ShardSet) -> None:
    batch = next(iter(Loader(shards, policy="random")))
    assert {name: str(x.dtype) for name, x in batch.items()} == {
        "input_ids": "torch.int64",
        "attention_mask": "torch.int64",
        "labels": "torch.int64",
    }


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_numpy_and_jax_batches_are_int32(shards: premask.ShardSet, backend: Any) -> None:
    batch = next(iter(Loader(shards, policy="random", backend=backend, pad_to="max")))
    assert {str(x.dtype) for x in batch.values()} == {"int32"}


def test_without_a_policy_the_tokens_come_as_they_are(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    batch = Loader(shards, shuffle=False, batch_size=9, backend="numpy").batch(2)
    assert set(batch) == {"input_ids", "attention_mask"}
    for i, row in enumerate(rows["input_ids"][18:27]):
        assert np.array_equal(batch["input_ids"][i, : len(row)], row)
        assert not batch["input_ids"][i, len(row) :].any()
        assert int(batch["attention_mask"][i].sum()) == len(row)


@pytest.mark.parametrize("policy", [None, "random"])
@pytest.mark.parametrize(("pad_to", "widths"), [("max", {64}), (16, {16, 32, 48, 64})])
def test_widths_follow_pad_to(
    shards: premask.ShardSet, policy: Any, pad_to: Any, widths: set[int]
) -> None:
    run = Loader(shards, policy=policy, batch_size=2, backend="numpy", pad_to=pad_to)
    assert {batch["input_ids"].shape[1] for batch in run} <= widths


def test_a_prefetched_run_delivers_the_same(shards: premask.ShardSet) -> None:
    plain, ahead = list(loader(shards)), list(loader(shards, prefetch=3))
    for left, right in zip(plain, ahead, strict=True):
        assert all(np.array_equal(left[name], right[name]) for name in left)


def test_a_pickled_loader_delivers_the_same(
    shards: premask.ShardSet, truth: dict[Any, Any]
) -> None:
    assert by_row(pickle.loads(pickle.dumps(loader(shards)))) == epoch_of(truth, 0)


# Held-out rows.


@pytest.mark.parametrize("holdout", [0.2, 0.8])
def test_held_out_and_trained_rows_are_all_rows(
    shards: premask.ShardSet, truth: dict[Any, Any], holdout: float
) -> None:
    train = by_row(loader(shards, holdout=holdout))
    heldout = by_row(loader(shards, holdout=holdout, part="heldout"))
    assert train | heldout == epoch_of(truth, 0)
    assert not set(train) & set(heldout)
    assert abs(len(heldout) - 103 * holdout) < 15


def test_a_row_keeps_its_side_when_the_set_grows(
    shards: premask.ShardSet, rows: dict[str, list[Any]], tmp_path: Path
) -> None:
    reversed_rows = {name: column[50::-1] for name, column in rows.items()}
    other = premask.open_shards(write_set(tmp_path / "other", reversed_rows))
    small = {key[1] for key in by_row(loader(other, holdout=0.3, part="heldout"))}
    large = {key[1] for key in by_row(loader(shards, holdout=0.3, part="heldout"))}
    assert {50 - row for row in small} == {row for row in large if row <= 50}


# Refusals.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 8.0}, "batch_size must be a whole number, got 8.0"),
        ({"batch_size": "8"}, "batch_size must be a whole number, got '8'"),
        ({"epoch": -1}, "epoch must be at least 0, got -1"),
        ({"epoch": 2**31}, "epoch must be below 2147483648"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"seed": 2**64}, "seed must be below"),
        ({"prefetch": -1}, "prefetch must be at least 0"),
        ({"max_tokens": "many"}, "max_tokens must be a whole number"),
        ({"shuffle": "buffer"}, "unknown shuffle 'buffer'"),
        ({"shuffle": "block", "window": 0}, "window must be at least 1"),
        ({"part": "heldout"}, "needs the share that is held out"),
        ({"batch_size": 104, "drop_last": True}, "103 rows make no batch of 104"),
        ({"rank": 2, "world_size": 2}, "rank must lie in"),
        ({"rank": 0}, "rank and world_size together"),
        ({"backend": "tensorflow"}, "unknown backend 'tensorflow'"),
        ({"device": "cuda"}, "no device 'cuda'"),
        ({"pad_to": 0}, "pad_to must be"),
        ({"pad_to": "batch"}, "pad_to must be"),
        ({"pad_to": True}, "pad_to must be"),
        ({"holdout": 1.5}, "holdout must lie between 0 and 1"),
        ({"holdout": 0.1, "part": "test"}, "unknown part 'test'"),
        ({"policy": "ransom"}, "ransom"),
    ],
)
def test_wrong_arguments_are_refused(
    shards: premask.ShardSet, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(premask.RequestError, match=message):
        loader(shards, **changes)


def test_only_shards_are_loaded_from(shards: premask.ShardSet) -> None:
    several: Any = [shards, shards]
    with pytest.raises(premask.RequestError, match="several sets together are a Mixture"):
        Loader(several)
    with pytest.raises(premask.RequestError, match="must come from open_shards"):
        premask.Mixture(sets=("a/path",), weights=(1.0,))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"epoch": -1}, {"rows_consumed": 104}, {"epoch": "1"}])
def test_a_state_that_cannot_be_is_refused(
    shards: premask.ShardSet, change: dict[str, Any]
) -> None:
    one = loader(shards)
    with pytest.raises(premask.RequestError, match=next(iter(change))):
        one.load_state_dict({**one.state_dict(), **change})


def test_the_rank_comes_from_the_launcher(
    shards: premask.ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = loader(shards).batch(0)["row_ids"]
    assert np.array_equal(found, loader(shards, rank=2, world_size=4).batch(0)["row_ids"])
