"""Permutations without tables, and the orders made of them."""

from __future__ import annotations

import numpy as np
import pytest
from premask import RequestError
from premask.order import RowOrder, Shuffle
from premask.permutation import Permutation

AWKWARD = [*range(300), 65_535, 65_536, 65_537, 262_145, 1_000_003]
SHUFFLES: list[Shuffle] = [True, False, "block"]


@pytest.mark.parametrize("size", AWKWARD[250:])
def test_a_permutation_meets_every_number_once(size: int) -> None:
    images = Permutation(size, 7, (0, 0))(np.arange(size))
    assert np.array_equal(np.sort(images), np.arange(size))


def test_small_permutations_meet_every_number_once() -> None:
    for size in AWKWARD[:250]:
        images = Permutation(size, 7, (0, 0))(np.arange(size))
        assert np.array_equal(np.sort(images), np.arange(size))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 65_537, 1_000_003])
def test_the_inverse_undoes_a_permutation(size: int) -> None:
    permutation = Permutation(size, 2**63 + 5, (3, 1))
    positions = np.random.default_rng(0).integers(0, size, 1000)
    assert np.array_equal(permutation.inverse(permutation(positions)), positions)


def test_a_billion_numbers_need_no_table() -> None:
    permutation = Permutation(10**9, 1, (0, 0))
    positions = np.arange(900_000_000, 900_001_000)
    images = permutation(positions)
    assert images.max() < 10**9
    assert np.array_equal(permutation.inverse(images), positions)


@pytest.mark.parametrize("size", [300, 65_537, 10**9, 2**40])
def test_a_permutation_is_the_same_asked_little_and_asked_much(size: int) -> None:
    """Once much was asked, hashes come from a table."""
    positions = np.random.default_rng(0).integers(0, size, 100_000)
    permutation = Permutation(size, 1, (0, 0))
    first = permutation(positions[:100])
    at_once = [permutation(positions) for _ in range(2)]
    assert np.array_equal(at_once[0], at_once[1])
    assert np.array_equal(first, at_once[1][:100])
    assert np.array_equal(permutation.inverse(at_once[1]), positions)
    assert np.array_equal(first, Permutation(size, 1, (0, 0))(positions[:100]))


def test_a_permutation_never_changes() -> None:
    """Golden values: an order is part of what makes a run reproducible."""
    assert Permutation(10, 1, (0, 0))(np.arange(10)).tolist() == [3, 7, 6, 8, 2, 5, 1, 4, 9, 0]
    assert Permutation(1000, 1, (0, 0))(np.arange(8)).tolist() == [
        58,
        319,
        844,
        429,
        870,
        239,
        59,
        185,
    ]


@pytest.mark.parametrize("change", ["seed", "epoch", "window", "size"])
def test_every_key_gives_another_permutation(change: str) -> None:
    base = Permutation(1000, 5, (1, 2))(np.arange(990))
    other = {
        "seed": Permutation(1000, 5 + 2**32, (1, 2)),
        "epoch": Permutation(1000, 5, (2, 2)),
        "window": Permutation(1000, 5, (1, 3)),
        "size": Permutation(991, 5, (1, 2)),
    }[change](np.arange(990))
    assert (base == other).mean() < 0.01


@pytest.mark.parametrize("size", [300, 5000, 65_537])
def test_permutations_look_random(size: int) -> None:
    """Chi-square of (position, image) cells, neighbours, and fixed points, over 60 seeds."""
    cells, neighbours, fixed = [], [], []
    positions = np.arange(size)
    for seed in range(60):
        images = Permutation(size, seed, (0, 0))(positions)
        table = np.histogram2d(positions, images, bins=16, range=[[0, size]] * 2)[0]
        expected = np.outer(table.sum(1), table.sum(0)) / size
        cells.append(((table - expected) ** 2 / expected).sum())
        neighbours.append(np.corrcoef(images[:-1], images[1:])[0, 1] * np.sqrt(size))
        fixed.append(int((images == positions).sum()))
    # 225 degrees of freedom: a mean of 60 has a standard deviation of 2.7
    assert abs(np.mean(cells) - 225) < 14
    assert abs(np.mean(neighbours)) < 0.65
    assert abs(np.mean(fixed) - 1) < 0.65


def test_small_permutations_are_fair() -> None:
    seen = [tuple(Permutation(4, seed, (0, 0))(np.arange(4))) for seed in range(4800)]
    counts = np.unique(seen, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 200) ** 2 / 200).sum() < 60  # 23 degrees of freedom


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("num_rows", [1, 5, 64, 1000, 1003])
def test_an_order_meets_every_row_once(shuffle: Shuffle, num_rows: int) -> None:
    order = RowOrder(num_rows, seed=1, epoch=2, shuffle=shuffle, block_rows=10, window=4)
    assert np.array_equal(np.sort(order(np.arange(num_rows))), np.arange(num_rows))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_any_stretch_of_an_order_is_the_same_alone(shuffle: Shuffle) -> None:
    order = RowOrder(1003, seed=1, epoch=2, shuffle=shuffle, block_rows=10, window=4)
    whole = order(np.arange(1003))
    assert np.array_equal(order(np.arange(377, 601)), whole[377:601])


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_an_order_says_when_it_meets_a_row(shuffle: Shuffle) -> None:
    order = RowOrder(1003, seed=1, epoch=2, shuffle=shuffle, block_rows=10, window=4)
    rows = np.array([0, 3, 999, 1002, 500])
    assert np.array_equal(order(order.inverse(rows)), rows)


def test_a_block_order_stays_within_a_window_of_blocks() -> None:
    order = RowOrder(1000, seed=1, epoch=0, shuffle="block", block_rows=10, window=4)
    for first in range(0, 1000, 40):
        rows = order(np.arange(first, first + 40))
        assert len(np.unique(rows // 10)) == 4
        assert not np.array_equal(np.sort(rows), rows)


def test_epochs_have_different_orders() -> None:
    shuffles: list[Shuffle] = [True, "block"]
    for shuffle in shuffles:
        first, second = (
            RowOrder(1000, seed=1, epoch=epoch, shuffle=shuffle, block_rows=10, window=4)
            for epoch in (0, 1)
        )
        positions = np.arange(1000)
        assert (first(positions) == second(positions)).mean() < 0.05


def test_an_unknown_shuffle_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown shuffle 'buffer'"):
        RowOrder(10, seed=1, epoch=0, shuffle="buffer")  # type: ignore[arg-type]


def design_effect(rows: np.ndarray, order: np.ndarray, batch_size: int) -> float:
    """Variance of batch means over that of independent draws; 1 for a random permutation."""
    means = rows[order][: len(order) // batch_size * batch_size].reshape(-1, batch_size).mean(1)
    drawn = rows.var() / batch_size * (1 - batch_size / len(rows))
    return float(((means - rows.mean()) ** 2).mean() / drawn)


def effect_of(rows: np.ndarray, shuffle: Shuffle, *, seeds: int = 12) -> float:
    """The mean design effect of an order over epochs, for batches of 64 of `rows`."""
    found = []
    for seed in range(seeds):
        order = RowOrder(
            len(rows), seed=seed, epoch=seed, shuffle=shuffle, block_rows=64, window=16
        )
        found.append(design_effect(rows, order(np.arange(len(rows))), 64))
    return float(np.mean(found))


# 40 documents or units after another, each with a level of its own: as rows stand in a corpus.
LEVELS = np.repeat(np.random.default_rng(0).normal(size=40), 512) + np.random.default_rng(
    1
).normal(size=40 * 512)


def test_a_whole_shuffle_is_as_good_as_a_random_permutation() -> None:
    rng = np.random.default_rng(2)
    random = np.mean([design_effect(LEVELS, rng.permutation(20_480), 64) for _ in range(12)])
    assert abs(random - 1) < 0.07  # 12 x 320 batches: a standard error of 0.023
    assert abs(effect_of(LEVELS, True) - 1) < 0.07


def test_a_block_order_of_rows_shuffled_when_written_is_as_good_as_a_random_one() -> None:
    written = np.random.default_rng(3).permutation(LEVELS)
    assert abs(effect_of(written, "block") - 1) < 0.07


def test_a_block_order_of_sorted_rows_is_worse_by_what_a_window_allows() -> None:
    """Why rows are shuffled when they are written.

    A batch comes from 16 blocks of like rows. With half of the variance between the units, a
    batch mean has ``1 + 63 * 0.5 / 16``, about 3, times the variance of independent draws.
    The stored order has 33 times.
    """
    block = effect_of(LEVELS, "block")
    stored = effect_of(LEVELS, False, seeds=1)
    assert 2 < block < 4
    assert stored > 20
