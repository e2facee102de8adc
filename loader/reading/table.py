"""Where every row of the open shards lies, and the gather that copies rows out.

N rows that are found at once, B of them that are copied at once, W positions (the longest of
the B), K record batches.

A row number becomes an address by arithmetic alone: its record batch (see
`premask.reading.ranges`), then one gather from the mapped offsets, or, where all rows have one
length, one multiplication. That is done for thousands of rows at once. The rows themselves come
out in one indexing call per column (see `premask.reading.memory`), which costs what a gather
from a plain memory-mapped matrix costs. Memory: about 250 bytes per record batch, none per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from premask._errors import FormatError
from premask.reading.columns import LIST, NUMBER, Layout
from premask.reading.memory import Region
from premask.reading.ranges import Ranges
from premask.reading.shard_file import OpenShard

# Rows of one length that are copied out together: few enough to stay in the cache of a core
# until a batch of them is used, enough to make a call's fixed costs small.
_HELD_ROWS = 256
_LONGEST_TRIANGLE = 1024  # 1 MB


class Place(NamedTuple):
    """Where rows lie: their record batches, and the rows there; int64 ``[N]`` each."""

    batches: np.ndarray
    places: np.ndarray


class _Column:
    """One column of every record batch, as element numbers of the region."""

    def __init__(self, region: Region, layout: Layout, shards: list[OpenShard], name: str):
        blocks = [block for shard in shards for block in shard.blocks[name]]
        addresses = np.array(
            [(b.offsets, b.values, b.limit) for b in blocks], np.int64
        ).reshape(-1, 3)
        lengths = {block.length for block in blocks}
        self.layout = layout
        self.elements = region.elements(layout.dtype)
        self.offsets_K = region.index(addresses[:, 0], np.int32)
        self.values_K = region.index(addresses[:, 1], layout.dtype)
        self.limit_K = region.index(addresses[:, 2], layout.dtype)
        self.length = lengths.pop() if len(lengths) == 1 else None  # None: rows differ
        self._region = region
        self._windows: dict[int, np.ndarray] = {}

    def gather(self, starts: np.ndarray, width: int) -> np.ndarray:
        """The `width` elements from each of `starts` on: ``[B, width]``."""
        if width == 0:
            return np.empty((len(starts), 0), self.layout.dtype)
        if width not in self._windows:
            self._windows[width] = self._region.windows(self.layout.dtype, width)
        values: np.ndarray = self._windows[width][starts].view(self.layout.dtype)
        return values.reshape(len(starts), width)


class EqualLists:
    """N rows of a list column in which all rows have one length, located.

    Parts that are asked for in order are copied out of the mapping several at a time.

    Attributes:
        lengths: int64 ``[N]``, the numbers of elements.
    """

    def __init__(self, column: _Column, starts: np.ndarray, length: int) -> None:
        self.lengths = np.full(len(starts), length)
        self._column, self._starts, self._length = column, starts, length
        self._held, self._first, self._last = np.empty((0, 0)), 0, 0

    def part(self, first: int, last: int) -> np.ndarray:
        """The rows ``first .. last-1``: ``[B, W]`` in their stored type."""
        if not self._first <= first <= last <= self._last:
            ahead = min(max(last, first + _HELD_ROWS), len(self._starts))
            starts = self._starts[first:ahead]
            self._held = self._column.gather(starts, self._length)
            self._first, self._last = first, ahead
        return self._held[first - self._first : last - self._first]


@dataclass(frozen=True, slots=True)
class UnequalLists:
    """N rows of one list column, located.

    Attributes:
        lengths: int64 ``[N]``, the numbers of elements.
        limits: int64 ``[N]``, the first elements that may not be read.
        is_safe: whether the longest of the rows may be read from every start.
    """

    column: _Column
    starts: np.ndarray
    lengths: np.ndarray
    limits: np.ndarray
    is_safe: bool

    def part(self, first: int, last: int) -> np.ndarray:
        """The rows ``first .. last-1``: ``[B, W]`` in their stored type, zeros after each."""
        cut = slice(first, last)
        starts, lengths, limits = self.starts[cut], self.lengths[cut], self.limits[cut]
        width = int(lengths.max(initial=0))
        if self.is_safe or (starts + width <= limits).all():
            values = self.column.gather(starts, width)
        else:
            values = self._near_the_end(starts, lengths, limits)
        np.multiply(values, _within(lengths, width), out=values)
        return values

    def _near_the_end(
        self, starts: np.ndarray, lengths: np.ndarray, limits: np.ndarray
    ) -> np.ndarray:
        """As `part`, where a window on some rows would pass the end of what is mapped."""
        width = int(lengths.max())
        values = np.zeros((len(starts), width), self.column.layout.dtype)
        late = starts + width > limits
        if not late.all():
            values[~late] = self.column.gather(starts[~late], width)
        for row in np.flatnonzero(late):
            start, length = starts[row], lengths[row]
            values[row, :length] = self.column.elements[start : start + length]
        return values


def _within(lengths: np.ndarray, width: int) -> np.ndarray:
    """Which of `width` positions lie in rows of `lengths` (int64 ``[B]``): bool ``[B, W]``."""
    size = 1 << max(0, width - 1).bit_length()
    if size <= _LONGEST_TRIANGLE:
        found: np.ndarray = _triangle(size)[lengths][:, :width]
        return found
    narrow = np.min_scalar_type(width)  # compared several times as fast as int64
    return np.arange(width, dtype=narrow) < lengths.astype(narrow)[:, None]


@cache
def _triangle(size: int) -> np.ndarray:
    """Row n begins with n times True: bool ``[size + 1, size]``. Faster than to compare."""
    return np.tri(size + 1, size, -1, bool)


@dataclass(frozen=True, slots=True)
class FoundNumbers:
    """N rows of a column with one number per row, located."""

    elements: np.ndarray
    index: np.ndarray

    def part(self, first: int, last: int) -> np.ndarray:
        """The rows ``first .. last-1``: ``[B]`` in their stored type."""
        found: np.ndarray = self.elements[self.index[first:last]]
        return found


class Table:
    """An immutable view of some open shards. Keeps them mapped while it lives."""

    def __init__(self, shards: Iterable[tuple[int, OpenShard]]) -> None:
        """`shards`: pairs of (number of the first row, shard), in the order of the rows."""
        pairs = list(shards)
        self._shards = [shard for _, shard in pairs]
        region = _span([shard.region for shard in self._shards if sum(shard.num_rows)])
        firsts = [
            first + np.cumsum((0, *shard.num_rows[:-1]), dtype=np.int64)
            for first, shard in pairs
            if shard.num_rows
        ]
        end = max((first + sum(shard.num_rows) for first, shard in pairs), default=0)
        self._batches = Ranges(np.concatenate([*firsts, np.empty(0, np.int64)]), end)
        self._columns = {
            name: _Column(region, layout, self._shards, name)
            for name, layout in self._layouts().items()
            if layout.kind in (LIST, NUMBER)
        }
        self._texts = [
            {name: texts[i] for name, texts in shard.texts.items()}
            for shard in self._shards
            for i in range(len(shard.num_rows))
        ]
        self._offsets = region.elements(np.int32)

    def _layouts(self) -> Mapping[str, Layout]:
        return self._shards[0].layouts if self._shards else {}

    @property
    def lists_and_numbers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the list columns, and of the columns with one number per row."""
        kinds = {name: column.layout.kind for name, column in self._columns.items()}
        return (
            tuple(name for name, kind in kinds.items() if kind == LIST),
            tuple(name for name, kind in kinds.items() if kind == NUMBER),
        )

    def locate(self, rows: np.ndarray) -> Place:
        """Where `rows` (int64 ``[N]``, all in open shards) lie."""
        batches = self._batches(rows)
        return Place(batches, rows - self._batches.firsts[batches])

    def lists(self, name: str, place: Place) -> EqualLists | UnequalLists:
        """The rows of one list column."""
        batches, places = place
        column = self._columns[name]
        if column.length is not None:
            first_K = column.values_K + self._offsets[column.offsets_K]
            starts = first_K[batches] + places * column.length
            return EqualLists(column, starts, column.length)
        at = column.offsets_K[batches] + places
        start = self._offsets[at].astype(np.int64)
        lengths = self._offsets[at + 1] - start
        starts, limits = column.values_K[batches] + start, column.limit_K[batches]
        is_safe = bool((starts + lengths.max(initial=0) <= limits).all())
        return UnequalLists(column, starts, lengths, limits, is_safe)

    def numbers(self, name: str, place: Place) -> FoundNumbers:
        """The rows of a column with one number per row."""
        column = self._columns[name]
        return FoundNumbers(column.elements, column.values_K[place.batches] + place.places)

    def texts(self, name: str, place: Place) -> tuple[str, ...]:
        """One string per row, each decoded alone."""
        pairs = zip(place.batches.tolist(), place.places.tolist(), strict=True)
        try:
            return tuple(self._texts[batch][name][row].as_py() for batch, row in pairs)
        except UnicodeDecodeError as error:
            raise FormatError(
                f"a value of {name} is no text: {error}; run `premask verify`"
            ) from error


def _span(regions: list[Region]) -> Region:
    if not regions:
        return Region(0, 0)
    return Region(min(r.start for r in regions), max(r.end for r in regions))
