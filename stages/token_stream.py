"""The documents of a unit as flat arrays, end to end: what rows are cut from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._format import BOUNDARIES, INPUT_IDS, TRACKS, Boundary
from premask.schemas.records import PARTS
from premask.stages.plain_loops import Column, Int64

# Shapes: D documents, T tokens of a stream.
IN_NO_ROW = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Documents end to end, separators between them.

    Attributes:
        columns: ``[T]`` each, by name: ids, boundaries and tracks.
        document_starts: int64 ``[D]``; the first is negative where its document began earlier.
        document_ids: large strings, of the D documents.
        positions: int64 ``[D]``.
        first_D: uint64: the ordinal of the first row that holds some of the document.
        placed_D: bool: whether there is a place of it yet; see `premask.stages.placing`.
        part_starts: int64: where lines, or targets, begin inside documents.
    """

    columns: Mapping[str, Column]
    document_starts: Int64
    document_ids: pa.LargeStringArray
    positions: Int64
    first_D: npt.NDArray[np.uint64]
    placed_D: npt.NDArray[np.bool_]
    part_starts: Int64

    def __len__(self) -> int:
        return len(self.columns[INPUT_IDS])

    @classmethod
    def of(cls, batch: pa.RecordBatch, separator: int | None) -> TokenStream:
        """The documents of a TOKENS batch, with the id `separator` behind each of them."""
        lengths_D = batch.column(INPUT_IDS).value_lengths().to_numpy()
        gap = 0 if separator is None else 1
        starts_D = np.cumsum(lengths_D + gap) - lengths_D - gap
        names = [INPUT_IDS, BOUNDARIES, *(t for t in TRACKS if t in batch.schema.names)]
        columns = {name: batch.column(name).flatten().to_numpy() for name in names}
        if separator is not None:
            marks = {INPUT_IDS: separator, BOUNDARIES: int(Boundary.SPECIAL)}
            columns = {
                name: _separated(values, lengths_D, marks.get(name, 0))
                for name, values in columns.items()
            }
        return cls(
            columns=columns,
            document_starts=starts_D,
            document_ids=batch.column("document_id"),
            positions=batch.column("position").to_numpy(),
            first_D=np.full(batch.num_rows, IN_NO_ROW, np.uint64),
            placed_D=np.zeros(batch.num_rows, bool),
            part_starts=_part_starts(batch, starts_D),
        )

    @classmethod
    def joined(cls, streams: Sequence[TokenStream]) -> TokenStream:
        """Streams one behind the other."""
        if len(streams) == 1:
            return streams[0]
        sizes = np.array([len(stream) for stream in streams])
        shifts = np.cumsum(sizes) - sizes
        shifted = list(zip(streams, shifts.tolist(), strict=True))
        return cls(
            columns={
                name: np.concatenate([stream.columns[name] for stream in streams])
                for name in streams[0].columns
            },
            document_starts=np.concatenate([s.document_starts + n for s, n in shifted]),
            document_ids=pa.concat_arrays([stream.document_ids for stream in streams]),
            positions=np.concatenate([stream.positions for stream in streams]),
            first_D=np.concatenate([stream.first_D for stream in streams]),
            placed_D=np.concatenate([stream.placed_D for stream in streams]),
            part_starts=np.concatenate([s.part_starts + n for s, n in shifted]),
        )

    def behind(self, position: int) -> TokenStream:
        """What stands from `position` on; `num_behind` documents are no longer in it."""
        first = self.num_behind(position)
        return TokenStream(
            columns={name: values[position:].copy() for name, values in self.columns.items()},
            document_starts=self.document_starts[first:] - position,
            document_ids=self.document_ids[first:],
            positions=self.positions[first:],
            first_D=self.first_D[first:],
            placed_D=self.placed_D[first:],
            part_starts=self.part_starts[self.part_starts >= position] - position,
        )

    def num_behind(self, position: int) -> int:
        """How many documents end before `position`."""
        if position == len(self):
            return len(self.document_ids)
        return max(int(np.searchsorted(self.document_starts, position, side="right")) - 1, 0)

    def documents_at(self, positions: Int64) -> Int64:
        """The index of the document that each position lies in."""
        found: Int64 = np.searchsorted(self.document_starts, positions, side="right") - 1
        return found


def _separated(values: Column, lengths_D: Int64, mark: int) -> Column:
    """The values of documents with a mark behind each."""
    view = values.data
    borders = [0, *np.cumsum(lengths_D).tolist()]
    documents = [view[start:stop] for start, stop in pairwise(borders)]
    joined = values.dtype.type(mark).tobytes().join([*documents, b""])
    return np.frombuffer(joined, values.dtype)


def _part_starts(batch: pa.RecordBatch, starts_D: Int64) -> Int64:
    """Where the second and further parts of each document begin."""
    if PARTS not in batch.schema.names:
        return np.zeros(0, np.int64)
    lengths = batch.column(PARTS).flatten().to_numpy().astype(np.int64)
    parts_D = batch.column(PARTS).value_lengths().to_numpy()
    first = np.cumsum(parts_D) - parts_D
    behind = np.cumsum(lengths) - lengths
    starts = behind + np.repeat(starts_D - behind[first], parts_D)
    return np.delete(starts, first)
