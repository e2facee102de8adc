"""Where every row of the open shards lies, and the gather that copies rows out.

B rows, W positions (the longest of the B rows), K record batches.

A row number becomes an address by arithmetic alone: a binary search over the K first rows,
one gather from the mapped offsets, one addition. The rows themselves come out in one indexing
call per column (see `premask._memory`), which costs what a gather from a plain memory-mapped
matrix costs. Memory: about 200 bytes per record batch, none per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from premask._columns import LIST, NUMBER, Layout
from premask._errors import FormatError
from premask._memory import Region
from premask._shard_file import OpenShard


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One column of every record batch, as element numbers of the region."""

    layout: Layout
    offsets_K: np.ndarray
    values_K: np.ndarray
    limit_K: np.ndarray


class Extents(NamedTuple):
    """Where the rows of one list column lie. A tuple, because making one must cost nothing.

    Attributes:
        starts, lengths, limits: int64 ``[B]``: first element, number of elements, first
            element that may not be read.
        uniform: the length that all rows share, -1 where they differ or it is not known.
        safe: whether the longest of the rows may be read from every start.
    """

    starts: np.ndarray
    lengths: np.ndarray
    limits: np.ndarray
    uniform: int
    safe: bool


class Located(NamedTuple):
    """Rows and where they lie. `part` is cheap, so locate many and gather a few at a time.

    Attributes:
        rows: int64 ``[B]``, row numbers of the set.
        batches, places: int64 ``[B]``: record batch, and row within it.
        extents: by list column.
    """

    rows: np.ndarray
    batches: np.ndarray
    places: np.ndarray
    extents: Mapping[str, Extents]

    def part(self, first: int, last: int) -> Located:
        """The rows ``first .. last-1`` of these."""
        cut = slice(first, last)
        return Located(
            self.rows[cut],
            self.batches[cut],
            self.places[cut],
            {
                name: Extents(x.starts[cut], x.lengths[cut], x.limits[cut], x.uniform, x.safe)
                for name, x in self.extents.items()
            },
        )


class Table:
    """An immutable view of some open shards. Keeps them mapped while it lives."""

    def __init__(self, shards: Iterable[tuple[int, OpenShard]]) -> None:
        """`shards`: pairs of (number of the first row, shard), in the order of the rows."""
        pairs = list(shards)
        self._shards = [shard for _, shard in pairs]
        self._region = _span([shard.region for shard in self._shards if sum(shard.num_rows)])
        firsts = [
            first + np.cumsum((0, *shard.num_rows[:-1]), dtype=np.int64)
            for first, shard in pairs
            if shard.num_rows
        ]
        self._first_K = np.concatenate([*firsts, np.empty(0, np.int64)])
        self._columns = {
            name: self._column(name, layout)
            for name, layout in self._layouts().items()
            if layout.kind in (LIST, NUMBER)
        }
        self._texts = [
            {name: texts[i] for name, texts in shard.texts.items()}
            for shard in self._shards
            for i in range(len(shard.num_rows))
        ]
        self._offsets = self._region.elements(np.int32)
        self._windows: dict[tuple[np.dtype, int], np.ndarray] = {}

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

    def _column(self, name: str, layout: Layout) -> _Column:
        blocks = [block for shard in self._shards for block in shard.blocks[name]]
        addresses = np.array(
            [(b.offsets, b.values, b.limit) for b in blocks], np.int64
        ).reshape(-1, 3)
        return _Column(
            layout=layout,
            offsets_K=self._region.index(addresses[:, 0], np.int32),
            values_K=self._region.index(addresses[:, 1], layout.dtype),
            limit_K=self._region.index(addresses[:, 2], layout.dtype),
        )

    def locate(self, rows: np.ndarray, lists: Iterable[str]) -> Located:
        """Where `rows` (int64 ``[B]``, all in open shards) lie, in the columns `lists`."""
        batches = np.searchsorted(self._first_K, rows, side="right") - 1
        places = rows - self._first_K[batches]
        extents = {name: self._extents(name, batches, places) for name in lists}
        return Located(rows, batches, places, extents)

    def _extents(self, name: str, batches: np.ndarray, places: np.ndarray) -> Extents:
        column = self._columns[name]
        at = column.offsets_K[batches] + places
        start = self._offsets[at].astype(np.int64)
        lengths = self._offsets[at + 1] - start
        starts, limits = column.values_K[batches] + start, column.limit_K[batches]
        longest, shortest = int(lengths.max(initial=0)), int(lengths.min(initial=1 << 31))
        uniform = longest if longest == shortest else -1
        safe = bool((starts + longest <= limits).all())
        return Extents(starts, lengths, limits, uniform, safe)

    def lists(self, name: str, located: Located) -> np.ndarray:
        """One list column of the rows: ``[B, W]`` in its stored type, zeros after each row."""
        found = located.extents[name]
        width = found.uniform if found.uniform >= 0 else int(found.lengths.max(initial=0))
        dtype = self._columns[name].layout.dtype
        if width == 0:
            return np.zeros((len(found.starts), 0), dtype)
        if found.safe:
            values = self._gathered(dtype, width, found.starts)
        else:
            values = self._near_the_end(dtype, found, width)
        if found.uniform < 0:
            values[np.arange(width) >= found.lengths[:, None]] = 0
        return values

    def _near_the_end(self, dtype: np.dtype, found: Extents, width: int) -> np.ndarray:
        """As `lists`, where a window on some rows would pass the end of what is mapped."""
        values = np.zeros((len(found.starts), width), dtype)
        late = found.starts + width > found.limits
        if not late.all():
            values[~late] = self._gathered(dtype, width, found.starts[~late])
        elements = self._region.elements(dtype)
        for row in np.flatnonzero(late):
            start, length = found.starts[row], found.lengths[row]
            values[row, :length] = elements[start : start + length]
        return values

    def numbers(self, name: str, located: Located) -> np.ndarray:
        """One number per row: ``[B]`` in its stored type."""
        column = self._columns[name]
        at = column.values_K[located.batches] + located.places
        found: np.ndarray = self._region.elements(column.layout.dtype)[at]
        return found

    def texts(self, name: str, located: Located) -> tuple[str, ...]:
        """One string per row, each decoded alone."""
        pairs = zip(located.batches.tolist(), located.places.tolist(), strict=True)
        try:
            return tuple(self._texts[batch][name][place].as_py() for batch, place in pairs)
        except UnicodeDecodeError as error:
            raise FormatError(
                f"a value of {name} is no text: {error}; run `premask verify`"
            ) from error

    def _gathered(self, dtype: np.dtype, width: int, starts: np.ndarray) -> np.ndarray:
        """The `width` elements from each of `starts` on: ``[B, width]``."""
        key = (dtype, width)
        if key not in self._windows:
            self._windows[key] = self._region.windows(dtype, width)
        values: np.ndarray = self._windows[key][starts].view(dtype)
        return values.reshape(len(starts), width)


def _span(regions: list[Region]) -> Region:
    if not regions:
        return Region(0, 0)
    return Region(min(r.start for r in regions), max(r.end for r in regions))
