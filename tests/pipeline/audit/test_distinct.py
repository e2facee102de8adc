"""The sample of hashes in which repeats are counted."""

from __future__ import annotations

import numpy as np
from premask.pipeline.audit.distinct import LIMIT, DistinctSample, mask_hashes, mix


def test_repeats_are_counted_exactly_while_all_hashes_fit() -> None:
    hashes = mix(np.array([1, 2, 3, 2, 2, 1], np.uint64))
    sample = DistinctSample().add(hashes)
    assert (sample.num_seen, sample.num_repeats) == (6, 3)


def test_the_sample_is_bounded_and_keeps_the_share_of_repeats() -> None:
    numbers = np.arange(10 * LIMIT, dtype=np.uint64)
    numbers[1::2] = numbers[::2]  # every number twice
    sample = DistinctSample()
    for part in np.array_split(mix(numbers), 7):
        sample = sample.add(part)
    assert len(sample.hashes) <= LIMIT
    assert sample.num_repeats * 2 == sample.num_seen


def test_merging_does_not_depend_on_the_order() -> None:
    parts = np.array_split(mix(np.arange(3 * LIMIT, dtype=np.uint64)), 5)
    samples = [DistinctSample().add(part) for part in parts]
    forward, backward = DistinctSample(), DistinctSample()
    for one, other in zip(samples, reversed(samples), strict=True):
        forward, backward = forward.merge(one), backward.merge(other)
    assert forward.level == backward.level
    np.testing.assert_array_equal(forward.hashes, backward.hashes)
    np.testing.assert_array_equal(forward.counts, backward.counts)


def test_a_mask_hash_depends_on_positions_and_length_alone() -> None:
    masks = np.zeros((4, 9), bool)
    masks[0, [1, 4]] = masks[1, [1, 4]] = masks[2, [1, 5]] = masks[3, [1, 4]] = True
    first, same, moved, longer = mask_hashes(masks, np.array([7, 7, 7, 8])).tolist()
    assert first == same
    assert len({first, moved, longer}) == 3
