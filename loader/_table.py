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

import numpy as np
from premask._errors import FormatError
from premask._memory import Region
from premask._shard_file import LIST, NUMBER, Layout, OpenShard


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One column of every record batch, as element numbers of the region."""

    layout: Layout
    offsets_K: np.ndarray
    values_K: np.ndarray
    limit_K: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Rows and where they lie; slicing it is cheap, so locate many and gather few at a time.

    Attributes:
        rows: int64 ``[B]``, row numbers of the set.
        starts, lengths, limits: by list column, int64 ``[B]``: first element, number of
            elements, first element that may not be read.
        batches, places: int64 ``[B]``: record batch, and row within it.
    """

    rows: np.ndarray
    batches: np.ndarray
    places: np.ndarray
    starts: Mapping[str, np.ndarray]
    lengths: Mapping[str, np.ndarray]
    limits: Mapping[str, np.ndarray]

    def __getitem__(self, part: slice) -> Located:
        return Located(
            rows=self.rows[part],
            batches=self.batches[part],
            places=self.places[part],
            starts={name: x[part] for name, x in self.starts.items()},
            lengths={name: x[part] for name, x in self.lengths.items()},
            limits={name: x[part] for name, x in self.limits.items()},
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

    def locate(self, rows: np.ndarray) -> Located:
        """Where `rows` (int64 ``[B]``, all in open shards) lie."""
        batches = np.searchsorted(self._first_K, rows, side="right") - 1
        places = rows - self._first_K[batches]
        starts, lengths, limits = {}, {}, {}
        for name, column in self._columns.items():
            if column.layout.kind == LIST:
                at = column.offsets_K[batches] + places
                start = self._offsets[at].astype(np.int64)
                lengths[name] = self._offsets[at + 1] - start
                starts[name] = column.values_K[batches] + start
                limits[name] = column.limit_K[batches]
        return Located(
            rows=rows,
            batches=batches,
            places=places,
            starts=starts,
            lengths=lengths,
            limits=limits,
        )

    def lists(self, name: str, located: Located) -> np.ndarray:
        """One list column of the rows: ``[B, W]`` in its stored type, zeros after each row."""
        starts, lengths = located.starts[name], located.lengths[name]
        width = int(lengths.max(initial=0))
        dtype = self._columns[name].layout.dtype
        if width == 0:
            return np.zeros((len(starts), 0), dtype)
        late = starts + width > located.limits[name]
        if late.any():
            values = self._late(dtype, starts, lengths, late, width)
        else:
            values = self._window(dtype, width)[starts]
        if int(lengths.min()) < width:
            values[np.arange(width) >= lengths[:, None]] = 0
        return values

    def _late(
        self,
        dtype: np.dtype,
        starts: np.ndarray,
        lengths: np.ndarray,
        late: np.ndarray,
        width: int,
    ) -> np.ndarray:
        """As `lists`, where a window on some row would pass the end of what is mapped."""
        values = np.zeros((len(starts), width), dtype)
        if not late.all():
            values[~late] = self._window(dtype, width)[starts[~late]]
        elements = self._region.elements(dtype)
        for row in np.flatnonzero(late):
            length = int(lengths[row])
            values[row, :length] = elements[starts[row] : starts[row] + length]
        return values

    def numbers(self, name: str, located: Located) -> np.ndarray:
        """One number per row: ``[B]`` in its stored type."""
        column = self._columns[name]
        at = column.values_K[located.batches] + located.places
        found: np.ndarray = self._window(column.layout.dtype, 1)[:, 0][at]
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

    def _window(self, dtype: np.dtype, width: int) -> np.ndarray:
        key = (dtype, width)
        if key not in self._windows:
            self._windows[key] = self._region.windows(dtype, width)
        return self._windows[key]


def _span(regions: list[Region]) -> Region:
    if not regions:
        return Region(0, 0)
    return Region(min(r.start for r in regions), max(r.end for r in regions))
