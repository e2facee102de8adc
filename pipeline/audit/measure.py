"""Counts one batch of rows over all its epochs: the audit's inner loop, NumPy throughout.

Counters that it fills:

- ``rows``, ``tokens``, ``text_tokens``: of the source, once per row;
- ``row_epochs``, ``selected``, ``empty_rows``: masked versions, masked tokens, versions of
  rows with text in which nothing is masked;
- ``selected_special``, ``wrong_labels``, ``changed``: masked special tokens, labels that are
  not the row's token, tokens outside the mask that differ from the row's;
- ``masked``, ``kept``, ``random``, ``random_special``: what became of masked tokens, and
  random replacements that are no ordinary id;
- ``overlap``, ``overlap_expected``, ``overlap_squares``, ``overlap_rows``: tokens masked in
  two neighbouring epochs, what chance gives (in 1/256), squared differences (in 1/65536);
- ``mask_rows``: masks large enough that two equal ones are no accident;
- ``repeated``: of these, masks that the same row had in an earlier epoch already;
- ``inputs``, ``targets``, ``sentinels``, ``sources``: tokens of two-sequence objectives.

Cost: about 30 passes over the text tokens per row, and 10 per epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from premask.masking._rows import Vocabulary
from premask.pipeline.audit.distinct import mask_hashes
from premask.pipeline.audit.observation import Observation, SourceRows
from premask.pipeline.audit.statistics import (
    EDGE,
    LONGEST_RUN,
    LONGEST_WORD,
    PERCENT_BINS,
    PROFILE_BINS,
    REPLACEMENT_BUCKETS,
    UNITS,
    Statistics,
)

LONG_ROW = 64  # rows this long have more masks than there are rows
LARGE_MASK = 8


def measure(
    statistics: Statistics,
    source: SourceRows,
    observations: Sequence[Observation],
    vocabulary: Vocabulary,
) -> None:
    """Adds some rows, and what was made of them in each epoch, to `statistics`."""
    _count_source(statistics, source, len(observations))
    masks = []
    for observation in observations:
        _count_sequences(statistics, source, observation)
        if observation.selected_BL is None:
            continue
        _count_rows(statistics, source, observation, observation.selected_BL)
        selected_N = observation.selected_BL[source.text_BL]
        _count_positions(statistics, source, selected_N)
        _count_units(statistics, source, selected_N)
        _count_runs(statistics, source, selected_N)
        _count_replacements(statistics, source, observation, selected_N, vocabulary)
        masks.append(observation.selected_BL)
    if masks:
        _count_epochs(statistics, source, masks)


def _count_source(statistics: Statistics, source: SourceRows, num_epochs: int) -> None:
    """What does not depend on the mask, counted once for all epochs."""
    counters = statistics.counters
    counters["rows"] += len(source.lengths_B)
    counters["tokens"] += int(source.lengths_B.sum())
    counters["text_tokens"] += len(source.ids_N)
    if source.seeds_B is not None:
        statistics.seeds = statistics.seeds.add(source.seeds_B)
    _tally(statistics, source, np.arange(len(source.ids_N)), 0, num_epochs)


def _tally(
    statistics: Statistics, source: SourceRows, which: np.ndarray, layer: int, weight: int
) -> None:
    """Counts the text tokens at `which` by id, position, word length and track codes."""

    def count(table: np.ndarray, values: np.ndarray) -> None:
        table[layer] += weight * np.bincount(values, minlength=table.shape[1])

    count(statistics.tokens, source.ids_N[which])
    rank, num_text = source.rank_N[which], source.num_text_N[which]
    count(statistics.profile, rank * PROFILE_BINS // np.maximum(num_text, 1))
    long = num_text >= LONG_ROW
    from_start, from_end = rank[long], (num_text - 1 - rank)[long]
    count(statistics.head, from_start[from_start < EDGE])
    count(statistics.tail, from_end[from_end < EDGE])
    count(statistics.word_lengths, np.minimum(source.word_lengths_N[which], LONGEST_WORD))
    for name, track_BL in source.tracks.items():
        table = statistics.tracks.setdefault(name, np.zeros((2, 256), np.int64))
        count(table, track_BL[source.text_BL][which])


def _count_sequences(
    statistics: Statistics, source: SourceRows, observation: Observation
) -> None:
    """Lengths of inputs and targets, where these are two sequences."""
    if (
        observation.num_inputs_B is None
        or observation.num_targets_B is None
        or observation.num_sentinels_B is None
    ):
        return
    counters = statistics.counters
    for name, table, values in (
        ("inputs", statistics.input_lengths, observation.num_inputs_B),
        ("targets", statistics.target_lengths, observation.num_targets_B),
    ):
        counters[name] += int(values.sum())
        table += np.bincount(np.minimum(values, len(table) - 1), minlength=len(table))
    counters["sentinels"] += int(observation.num_sentinels_B.sum())
    counters["sources"] += int(source.lengths_B.sum())


def _count_rows(
    statistics: Statistics,
    source: SourceRows,
    observation: Observation,
    selected_BL: np.ndarray,
) -> None:
    counters = statistics.counters
    num_text_B = source.num_text_B
    selected_B = (selected_BL & source.text_BL).sum(axis=1, dtype=np.int64)
    special = int(selected_BL.sum()) - int(selected_B.sum())
    counters["row_epochs"] += len(selected_B)
    counters["selected"] += int(selected_B.sum())
    counters["selected_special"] += special
    counters["wrong_labels"] += observation.wrong_labels
    counters["empty_rows"] += int(((selected_B == 0) & (num_text_B > 0)).sum())
    whole_B = np.maximum(num_text_B, 1)
    percent_B = (selected_B * 200 + whole_B) // (2 * whole_B)
    statistics.percent += np.bincount(percent_B[num_text_B > 0], minlength=PERCENT_BINS)
    statistics.by_text.add(num_text_B, selected_B)
    statistics.by_length.add(source.lengths_B, selected_B)


def _count_positions(
    statistics: Statistics, source: SourceRows, selected_N: np.ndarray
) -> None:
    _tally(statistics, source, np.flatnonzero(selected_N), 1, 1)


def _count_units(statistics: Statistics, source: SourceRows, selected_N: np.ndarray) -> None:
    """Units masked whole, in part, and not at all."""
    for unit in UNITS:
        places, starts = source.members(unit)
        if not len(places):
            continue
        first = np.flatnonzero(starts)
        length = np.diff(first, append=len(places))
        hit = np.add.reduceat(selected_N[places].astype(np.int64), first)
        whole, spared = int((hit == length).sum()), int((hit == 0).sum())
        statistics.units[unit] += (whole, len(first) - whole - spared, spared)


def _count_runs(statistics: Statistics, source: SourceRows, selected_N: np.ndarray) -> None:
    """Lengths of the maximal masked runs, in tokens and in words they touch."""
    after_N = np.zeros_like(selected_N)
    after_N[1:] = selected_N[:-1]
    opens_N = selected_N & (~after_N | source.opens_run_N)
    place = np.flatnonzero(selected_N)
    if not len(place):
        return
    first = np.flatnonzero(opens_N[place])
    length = np.diff(first, append=len(place))
    last = place[first + length - 1]
    words = source.word_N[last] - source.word_N[place[first]] + 1
    for table, values in ((statistics.runs, length), (statistics.word_runs, words)):
        table += np.bincount(np.minimum(values, LONGEST_RUN), minlength=LONGEST_RUN + 1)


def _count_replacements(
    statistics: Statistics,
    source: SourceRows,
    observation: Observation,
    selected_N: np.ndarray,
    vocabulary: Vocabulary,
) -> None:
    """What the model reads where it must predict, and whether anything else changed."""
    if observation.corrupted_BL is None:
        return
    counters = statistics.counters
    corrupted_N = observation.corrupted_BL[source.text_BL]
    differs_N = corrupted_N != source.ids_N
    outside = (observation.corrupted_BL != source.ids_BL) & source.inside_BL
    counters["changed"] += int(outside.sum()) - int((differs_N & selected_N).sum())
    masked = int((selected_N & (corrupted_N == vocabulary.mask_id)).sum())
    kept = int((selected_N & ~differs_N).sum())
    fresh = corrupted_N[selected_N & differs_N & (corrupted_N != vocabulary.mask_id)]
    counters["masked"] += masked
    counters["kept"] += kept
    counters["random"] += len(fresh)
    ordinary, place, size = place_among(vocabulary.replacement_ranges, fresh)
    counters["random_special"] += int((~ordinary).sum())
    bucket = place[ordinary] * REPLACEMENT_BUCKETS // max(size, 1)
    statistics.replacements += np.bincount(bucket, minlength=REPLACEMENT_BUCKETS)


def place_among(
    ranges: Sequence[tuple[int, int]], ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Whether each id lies in half-open `ranges`, its place among all that do, their number."""
    inside = np.zeros(len(ids), bool)
    place = np.zeros(len(ids), np.int64)
    before = 0
    for low, high in ranges:
        here = (ids >= low) & (ids < high)
        place[here] = ids[here] - low + before
        inside |= here
        before += high - low
    return inside, place, before


def _count_epochs(
    statistics: Statistics, source: SourceRows, masks: Sequence[np.ndarray]
) -> None:
    """How the masks of one row in several epochs relate, and how many are distinct."""
    num_text_B = np.maximum(source.num_text_B, 1)
    large_B = source.num_text_B >= LONG_ROW
    times_BL = np.zeros(masks[0].shape, np.uint16)
    hashes_EB, counts_EB = [], []
    for mask_BL in masks:
        times_BL += mask_BL
        hashes_EB.append(mask_hashes(mask_BL, source.lengths_B))
        counts_EB.append(mask_BL.sum(axis=1, dtype=np.int64))
        eligible = large_B & (counts_EB[-1] >= LARGE_MASK)
        # A row masked (almost) everywhere has only one mask to choose.
        eligible &= counts_EB[-1] <= num_text_B - LARGE_MASK
        statistics.counters["mask_rows"] += int(eligible.sum())
        statistics.masks = statistics.masks.add(hashes_EB[-1][eligible])
        seen = [earlier[eligible] for earlier in hashes_EB[:-1]]
        if seen:
            again = np.any(np.stack(seen) == hashes_EB[-1][eligible], axis=0)
            statistics.counters["repeated"] += int(again.sum())
    statistics.coverage += np.bincount(
        times_BL[source.text_BL], minlength=statistics.num_epochs + 1
    )
    for epoch in range(1, len(masks)):
        shared_B = (masks[epoch] & masks[epoch - 1]).sum(axis=1, dtype=np.int64)
        product_B = counts_EB[epoch] * counts_EB[epoch - 1]
        expected_B = product_B * 256 // num_text_B
        difference_B = shared_B * 256 - expected_B
        statistics.counters["overlap"] += int(shared_B.sum())
        statistics.counters["overlap_expected"] += int(expected_B.sum())
        statistics.counters["overlap_squares"] += int((difference_B**2).sum())
        statistics.counters["overlap_rows"] += len(shared_B)
