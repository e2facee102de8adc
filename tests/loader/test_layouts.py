"""Packed batches and batches of like length: the same rows and masks in another shape."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import premask
import pytest
from premask import Loader


def loader(shards: premask.ShardSet, **changes: Any) -> Loader:
    options: dict[str, Any] = {
        "policy": "random",
        "batch_size": 8,
        "backend": "numpy",
        **changes,
    }
    return Loader(shards, **options)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_a_packed_batch_holds_the_rows_of_the_padded_one(
    shards: premask.ShardSet, backend: str
) -> None:
    for epoch in (0, 1):
        padded = loader(shards, epoch=epoch).batch(2)
        found = loader(shards, epoch=epoch, backend=backend, layout="packed").batch(2)
        borders = np.asarray(found["cu_seqlens"])
        assert len(borders) == 9
        assert found["max_seqlen"] == np.diff(borders).max()
        for i, (first, last) in enumerate(pairwise(borders)):
            for name in ("input_ids", "labels"):
                row = np.asarray(found[name])[0, first:last]
                assert np.array_equal(row, padded[name][i][: last - first])
            places = np.asarray(found["position_ids"])[0, first:last]
            assert np.array_equal(places, np.arange(last - first))
        assert found["input_ids"].shape == (1, borders[-1])


def test_packed_torch_batches_have_the_types_of_attention_kernels(
    shards: premask.ShardSet,
) -> None:
    found = loader(shards, backend="torch", layout="packed").batch(0)
    assert str(found["cu_seqlens"].dtype) == "torch.int32"
    assert str(found["position_ids"].dtype) == "torch.int64"
    assert isinstance(found["max_seqlen"], int)


def test_a_policy_with_other_widths_cannot_be_packed(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="one output per token"):
        loader(shards, policy="span_corruption", layout="packed").batch(0)


def test_packing_and_padding_exclude_each_other(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="pad_to=16"):
        loader(shards, layout="packed", pad_to=16)
    with pytest.raises(premask.RequestError, match="unknown layout 'ragged'"):
        loader(shards, layout="ragged")


def waste(run: Loader) -> float:
    """Share of positions that are padding."""
    masks = [batch["attention_mask"] for batch in run]
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(int(mask.size) for mask in masks)


def test_buckets_save_padding(shards: premask.ShardSet) -> None:
    plain, bucketed = (
        loader(shards, batch_size=3),
        loader(shards, batch_size=3, bucket_rows=103),
    )
    assert waste(bucketed) < waste(plain) / 2


@pytest.mark.parametrize("world_size", [1, 3])
def test_buckets_deliver_every_row_once(shards: premask.ShardSet, world_size: int) -> None:
    rows = [
        batch["row_ids"]
        for rank in range(world_size)
        for batch in loader(
            shards,
            bucket_rows=40,
            rank=rank,
            world_size=world_size,
            drop_last=False,
            audit=True,
        )
    ]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(103))


def test_a_bucketed_run_resumes_with_another_batch_size(shards: premask.ShardSet) -> None:
    run = loader(shards, bucket_rows=40, audit=True)
    batches = iter(run)
    seen = [next(batches)["row_ids"] for _ in range(3)]
    resumed = loader(shards, bucket_rows=40, batch_size=7, drop_last=False, audit=True)
    resumed.load_state_dict(run.state_dict())
    seen += [batch["row_ids"] for batch in resumed]
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(103))


def test_long_and_short_batches_come_in_no_order(shards: premask.ShardSet) -> None:
    run = loader(shards, bucket_rows=103)
    widths = [batch["input_ids"].shape[1] for batch in run]
    assert widths != sorted(widths)
    assert [batch["input_ids"].shape[1] for batch in run] != widths, "the next epoch differs"


def test_a_tiny_bucket_is_refused(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="at least 32, got 8"):
        loader(shards, bucket_rows=8)


@pytest.mark.parametrize("pad_to", [None, 16, "max"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_a_budget_of_tokens_is_kept_and_used(
    shards: premask.ShardSet, pad_to: Any, world_size: int
) -> None:
    runs = [
        list(
            loader(
                shards,
                batch_size=50,
                max_tokens=300,
                pad_to=pad_to,
                rank=rank,
                world_size=world_size,
                drop_last=False,
                audit=True,
            )
        )
        for rank in range(world_size)
    ]
    assert len({len(run) for run in runs}) == 1
    sizes = [batch["input_ids"].size for run in runs for batch in run]
    assert max(sizes) <= 300
    assert np.mean(sizes) > 180
    rows = np.concatenate([batch["row_ids"] for run in runs for batch in run])
    assert np.array_equal(np.sort(rows), np.arange(103))


def test_a_budgeted_run_has_a_length_and_single_batches(shards: premask.ShardSet) -> None:
    run = loader(shards, max_tokens=300)
    batches = list(loader(shards, max_tokens=300))
    assert len(run) == len(batches)
    for k in (0, 3, len(run) - 1):
        assert np.array_equal(run.batch(k)["input_ids"], batches[k]["input_ids"])


def test_a_budgeted_run_resumes_on_other_ranks(shards: premask.ShardSet) -> None:
    run = loader(shards, max_tokens=300, audit=True)
    batches = iter(run)
    seen = [next(batches)["row_ids"] for _ in range(4)]
    for rank in range(3):
        resumed = loader(
            shards, max_tokens=200, drop_last=False, audit=True, rank=rank, world_size=3
        )
        resumed.load_state_dict(run.state_dict())
        seen += [batch["row_ids"] for batch in resumed]
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(103))


def test_a_budget_below_the_longest_row_is_refused(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="at least 64"):
        loader(shards, max_tokens=63)
