"""What the audit counts. Integer arrays that add up, so batches, shards and workers merge.

The size depends on the vocabulary and the longest row alone, never on how much was measured:
about 5 MB for 250,000 tokens. Merging is exact and its order does not matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from premask.pipeline.audit.distinct import DistinctSample

PERCENT_BINS = 101  # masked share of a row, to the nearest per cent
PROFILE_BINS = 64  # position in the row, relative
EDGE = 8  # tokens at each end that are looked at one by one
LONGEST_RUN = 64  # longer runs are counted in the last cell
LONGEST_WORD = 16
REPLACEMENT_BUCKETS = 64
UNITS = ("word", "entity", "phrase")
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLength:
    """Masked tokens per row by a length of the row, int64 ``[max_length + 1]`` each.

    `squares` sums the squares, so that the spread is known; `least` and `most` are the
    extremes (`NEVER` and 0 where no row has that length).
    """

    rows: np.ndarray
    selected: np.ndarray
    squares: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @classmethod
    def empty(cls, max_length: int) -> ByLength:
        def zeros() -> np.ndarray:
            return np.zeros(max_length + 1, np.int64)

        return cls(
            rows=zeros(),
            selected=zeros(),
            squares=zeros(),
            least=np.full(max_length + 1, NEVER),
            most=zeros(),
        )

    def add(self, length_B: np.ndarray, selected_B: np.ndarray) -> None:
        """Counts a batch: two int64 ``[B]``."""
        length_B = np.minimum(length_B, len(self.rows) - 1)
        np.add.at(self.rows, length_B, 1)
        np.add.at(self.selected, length_B, selected_B)
        np.add.at(self.squares, length_B, selected_B * selected_B)
        np.minimum.at(self.least, length_B, selected_B)
        np.maximum.at(self.most, length_B, selected_B)

    def merge(self, other: ByLength) -> None:
        self.rows[:] += other.rows
        self.selected[:] += other.selected
        self.squares[:] += other.squares
        np.minimum(self.least, other.least, out=self.least)
        np.maximum(self.most, other.most, out=self.most)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.int64)


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Counts over rows and epochs. A pair ``[2, ...]`` holds all text tokens, then masked ones.

    Attributes:
        counters: totals by name; see `premask.pipeline.audit.measure`.
        percent: rows by masked share of their text, ``[101]``.
        by_text, by_length: masked tokens by text tokens of the row, and by all its tokens.
        tokens: ``[2, V]`` by token id.
        profile: ``[2, 64]`` by relative position; head, tail: ``[2, 8]`` by distance from
            the first and the last text token, in rows of at least 64 text tokens.
        word_lengths: ``[2, 17]`` by tokens in the word, the last cell for longer ones.
        tracks: ``[2, 256]`` by track name and code.
        runs, word_runs: maximal masked runs by length in tokens and in words, ``[65]``.
        units: ``[3]`` by kind: masked whole, in part, not at all.
        replacements: random replacements by place among the ordinary ids, ``[64]``.
        coverage: tokens by the number of epochs that masked them, ``[E + 1]``.
        input_lengths, target_lengths: rows by length of the two sequences.
        masks, seeds: samples of the distinct masks, and of the distinct row seeds.
    """

    max_length: int
    vocabulary_size: int
    num_epochs: int
    counters: Counter[str] = field(default_factory=Counter)
    percent: np.ndarray = field(default_factory=lambda: _zeros(PERCENT_BINS))
    by_text: ByLength = field(init=False)
    by_length: ByLength = field(init=False)
    tokens: np.ndarray = field(init=False)
    profile: np.ndarray = field(default_factory=lambda: _zeros(2, PROFILE_BINS))
    head: np.ndarray = field(default_factory=lambda: _zeros(2, EDGE))
    tail: np.ndarray = field(default_factory=lambda: _zeros(2, EDGE))
    word_lengths: np.ndarray = field(default_factory=lambda: _zeros(2, LONGEST_WORD + 1))
    tracks: dict[str, np.ndarray] = field(default_factory=dict)
    runs: np.ndarray = field(default_factory=lambda: _zeros(LONGEST_RUN + 1))
    word_runs: np.ndarray = field(default_factory=lambda: _zeros(LONGEST_RUN + 1))
    units: dict[str, np.ndarray] = field(
        default_factory=lambda: {unit: _zeros(3) for unit in UNITS}
    )
    replacements: np.ndarray = field(default_factory=lambda: _zeros(REPLACEMENT_BUCKETS))
    coverage: np.ndarray = field(init=False)
    input_lengths: np.ndarray = field(init=False)
    target_lengths: np.ndarray = field(init=False)
    masks: DistinctSample = field(default_factory=DistinctSample)
    seeds: DistinctSample = field(default_factory=DistinctSample)

    def __post_init__(self) -> None:
        self.by_text = ByLength.empty(self.max_length)
        self.by_length = ByLength.empty(self.max_length)
        self.tokens = _zeros(2, self.vocabulary_size)
        self.coverage = _zeros(self.num_epochs + 1)
        self.input_lengths = _zeros(2 * self.max_length + 3)
        self.target_lengths = _zeros(2 * self.max_length + 3)

    def merge(self, other: Statistics) -> None:
        """Adds what another pass over other rows has counted.

        Both must have been made for the same vocabulary, longest row and number of epochs.
        """
        self.counters.update(other.counters)
        self.by_text.merge(other.by_text)
        self.by_length.merge(other.by_length)
        for mine, theirs in zip(self._arrays(), other._arrays(), strict=True):
            mine += theirs
        for name, table in other.tracks.items():
            self.tracks[name] = self.tracks.get(name, 0) + table
        self.masks = self.masks.merge(other.masks)
        self.seeds = self.seeds.merge(other.seeds)

    def _arrays(self) -> list[np.ndarray]:
        return [
            self.percent,
            self.tokens,
            self.profile,
            self.head,
            self.tail,
            self.word_lengths,
            self.runs,
            self.word_runs,
            *(self.units[unit] for unit in UNITS),
            self.replacements,
            self.coverage,
            self.input_lengths,
            self.target_lengths,
        ]
