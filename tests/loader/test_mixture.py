"""Several shard sets as one: exact shares, own epochs, own masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask import Loader, Mixture
from premask.mixture import schedule, slots

from tests.loader.shardset import random_lengths, random_rows, write_set


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[premask.ShardSet, ...]:
    """Three sets of 40, 25 and 8 rows."""
    root = tmp_path_factory.mktemp("mixture")
    return tuple(
        premask.open_shards(
            write_set(root / str(size), random_rows(random_lengths(size, seed=size), seed=size))
        )
        for size in (40, 25, 8)
    )


def loader(mixture: Mixture, **changes: Any) -> Loader:
    options: dict[str, Any] = {
        "policy": "random",
        "batch_size": 10,
        "backend": "numpy",
        "audit": True,
        **changes,
    }
    return Loader(mixture, **options)


def origin(batches: list[dict[str, Any]]) -> np.ndarray:
    """Which set each row came from."""
    rows = np.concatenate([batch["row_ids"] for batch in batches])
    return np.searchsorted([40, 65], rows, side="right")


def test_every_stretch_has_the_shares_of_the_weights() -> None:
    counts = slots([0.5, 0.3, 0.2])
    owner, _ = schedule(counts)
    for stretch in (10, 100, 1000, 4096):
        shares = np.bincount(owner[:stretch], minlength=3) / stretch
        assert np.abs(shares - [0.5, 0.3, 0.2]).max() <= 1 / stretch


def test_slots_add_up_and_leave_nobody_out() -> None:
    counts = slots([1e-9, 1, 1])
    assert counts.sum() == 4096
    assert counts.tolist() == [1, 2048, 2047]


def test_a_loader_mixes_in_the_shares_of_the_weights(sets: Any) -> None:
    run = loader(Mixture(sets=sets, weights=(2.0, 1.0, 1.0), num_rows=400))
    shares = np.bincount(origin(list(run)), minlength=3)
    assert np.abs(shares - [200, 100, 100]).max() <= 1


def test_each_set_is_through_before_it_begins_again(sets: Any) -> None:
    run = loader(Mixture(sets=sets, weights=(1.0, 1.0, 2.0), num_rows=200))
    seen = [
        (int(epoch), int(row))
        for batch in [*run, *run]
        for epoch, row in zip(batch["epochs"], batch["row_ids"], strict=True)
    ]
    assert len(set(seen)) == len(seen) == 400
    for first, last in ((0, 40), (40, 65), (65, 73)):
        epochs = [epoch for epoch, row in seen if first <= row < last]
        assert epochs == sorted(epochs)
        whole = epochs[-1]
        assert all(epochs.count(epoch) == last - first for epoch in range(whole))


def test_law_3_a_row_has_the_mask_that_its_own_set_gives_it(sets: Any) -> None:
    run = loader(Mixture(sets=sets, weights=(1.0, 1.0, 1.0)))
    for batch in run:
        for i, (row, epoch) in enumerate(zip(batch["row_ids"], batch["epochs"], strict=True)):
            number = int(np.searchsorted([40, 65], row, side="right"))
            own = sets[number]
            alone = Loader(
                own,
                policy="random",
                epoch=int(epoch),
                batch_size=1,
                shuffle=False,
                backend="numpy",
            ).batch(int(row) - (0, 40, 65)[number])
            length = alone["input_ids"].shape[1]
            for name in ("input_ids", "labels"):
                assert np.array_equal(alone[name][0], batch[name][i][:length])


def test_a_mixture_resumes_on_another_number_of_ranks(sets: Any) -> None:
    mixture = Mixture(sets=sets, weights=(3.0, 2.0, 1.0))
    run = loader(mixture, batch_size=5)
    batches = iter(run)
    seen = [next(batches) for _ in range(4)]
    for rank in range(3):
        resumed = loader(mixture, batch_size=2, rank=rank, world_size=3, drop_last=False)
        resumed.load_state_dict(run.state_dict())
        seen += list(resumed)
    alone = loader(mixture, batch_size=73).batch(0)
    pairs = [
        {
            (int(e), int(r))
            for b in found
            for e, r in zip(b["epochs"], b["row_ids"], strict=True)
        }
        for found in (seen, [alone])
    ]
    assert pairs[0] == pairs[1]
    assert sum(len(batch["row_ids"]) for batch in seen) == 73


def test_other_weights_are_another_run(sets: Any) -> None:
    state = loader(Mixture(sets=sets, weights=(1.0, 1.0, 1.0))).state_dict()
    with pytest.raises(premask.RequestError, match="manifest"):
        loader(Mixture(sets=sets, weights=(1.0, 1.0, 2.0))).load_state_dict(state)


def test_weights_that_do_not_fit_are_refused(sets: Any) -> None:
    with pytest.raises(premask.RequestError, match="one weight per set"):
        Mixture(sets=sets, weights=(1.0,))
    with pytest.raises(premask.RequestError, match="above 0"):
        Mixture(sets=sets, weights=(1.0, 0.0, 1.0))


def test_sets_of_another_length_are_refused(sets: Any, tmp_path: Path) -> None:
    rows = random_rows([5] * 10)
    other = premask.open_shards(write_set(tmp_path / "set", rows, max_length=2048))
    with pytest.raises(premask.RequestError, match="2048 tokens"):
        Mixture(sets=(sets[0], other), weights=(1.0, 1.0))
