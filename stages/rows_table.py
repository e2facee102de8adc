"""Token streams as flat arrays, and rows gathered from them with their special tokens.

Vectorised over tokens: one index array per batch, one gather per column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._format import BOUNDARIES, INPUT_IDS, TRACKS, Boundary
from premask.schemas.records import PARTS
from premask.schemas.shard import row_schema
from premask.stages.row_frame import Frame

# Shapes: D documents, T tokens of a stream; R rows, their P pieces, the N text tokens in them.
Int64 = npt.NDArray[np.int64]
Column = npt.NDArray[Any]
_MAX_UINT16 = (1 << 16) - 1
IN_NO_ROW = (1 << 64) - 1


class Row(NamedTuple):
    """One row.

    Attributes:
        pieces: stretches of the stream: start and stop.
        seed: its mask seed.
        ordinal: its name within its unit.
        label: its label, where rows have one.
        num_own: how many pieces are here and nowhere else; those behind are borrowed.
    """

    pieces: tuple[tuple[int, int], ...]
    seed: int
    ordinal: int = 0
    label: int = 0
    num_own: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Documents end to end, separators between them.

    Attributes:
        columns: ``[T]`` each, by name: ids, boundaries and tracks.
        document_starts: int64 ``[D]``; the first is negative where its document began earlier.
        document_ids, positions: of the D documents.
        first_D: uint64: the ordinal of the first row that holds some of the document.
        placed_D: bool: whether there is a place of it yet; see `premask.stages.placing`.
        part_starts: int64: where lines, or targets, begin inside documents.
    """

    columns: Mapping[str, Column]
    document_starts: Int64
    document_ids: Sequence[str]
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
            ends_D = np.cumsum(lengths_D)
            marks = {INPUT_IDS: separator, BOUNDARIES: int(Boundary.SPECIAL)}
            columns = {
                name: np.insert(values, ends_D, marks.get(name, 0))
                for name, values in columns.items()
            }
        return cls(
            columns=columns,
            document_starts=starts_D,
            document_ids=batch.column("document_id").to_pylist(),
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
            document_ids=[name for stream in streams for name in stream.document_ids],
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where the pieces of rows stand in a batch."""

    starts_P: Int64
    lengths_P: Int64
    is_first_P: npt.NDArray[np.bool_]  # of its row
    leads_P: Int64  # where the special tokens before the piece begin
    texts_P: Int64  # where its text begins
    splits: npt.NDArray[np.int32]  # [R + 1]

    @classmethod
    def of(cls, rows: Sequence[Row], frame: Frame) -> _Places:
        pieces_P = np.array([piece for row in rows for piece in row.pieces], np.int64)
        num_R = np.fromiter((len(row.pieces) for row in rows), np.int64, len(rows))
        first_R = np.cumsum(num_R) - num_R
        is_first_P = np.zeros(len(pieces_P), bool)
        is_first_P[first_R] = True
        starts_P, lengths_P = pieces_P[:, 0], pieces_P[:, 1] - pieces_P[:, 0]
        lead_sizes_P = np.where(is_first_P, len(frame.before), len(frame.between))
        sizes_P = lead_sizes_P + lengths_P
        row_P = np.repeat(np.arange(len(rows)), num_R)
        leads_P = np.cumsum(sizes_P) - sizes_P + row_P * len(frame.behind)
        splits = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(np.add.reduceat(sizes_P, first_R) + len(frame.behind), out=splits[1:])
        return cls(
            starts_P=starts_P,
            lengths_P=lengths_P,
            is_first_P=is_first_P,
            leads_P=leads_P,
            texts_P=leads_P + lead_sizes_P,
            splits=splits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """Makes record batches of rows, in a frame of special tokens."""

    schema: pa.Schema
    frame: Frame

    @classmethod
    def of(
        cls,
        vocabulary_size: int,
        frame: Frame,
        tracks: Sequence[str],
        label: str | None = None,
    ) -> RowTable:
        """`tracks` are those of the tokens; the frame may add one."""
        names = [*tracks, *([frame.track] if frame.track else [])]
        labels = [label] if label else []
        return cls(schema=row_schema(vocabulary_size, names, labels), frame=frame)

    def rows(self, stream: TokenStream, rows: Sequence[Row]) -> pa.RecordBatch:
        """One record per row."""
        places = _Places.of(rows, self.frame)
        columns = self._columns(stream, places)
        offsets = pa.array(places.splits)
        first_P, last_P = (
            stream.documents_at(places.starts_P + shift)
            for shift in (np.int64(0), places.lengths_P - 1)
        )
        # A document of which a row holds several pieces counts once.
        again_P = np.zeros(len(first_P), bool)
        again_P[1:] = ~places.is_first_P[1:] & (first_P[1:] == last_P[:-1])
        row_firsts = np.flatnonzero(places.is_first_P)
        num_R = np.add.reduceat(last_P - first_P + 1 - again_P, row_firsts)
        ids = [stream.document_ids[i] for i in first_P[row_firsts].tolist()]
        arrays = [pa.ListArray.from_arrays(offsets, pa.array(v)) for v in columns.values()]
        arrays += [
            pa.array(np.array([row.seed for row in rows], np.uint64)),
            pa.array(ids, pa.string()),
            pa.array(np.minimum(num_R, _MAX_UINT16).astype(np.uint16)),
        ]
        labels = np.array([row.label for row in rows], np.uint8)
        arrays += [pa.array(labels)] * (len(self.schema) - len(arrays))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _columns(self, stream: TokenStream, places: _Places) -> dict[str, Column]:
        """The per-token columns, in the order of the schema."""
        lengths_P = places.lengths_P
        text_N = np.arange(int(lengths_P.sum()))
        shift_P = np.cumsum(lengths_P) - lengths_P
        source_N = text_N + np.repeat(places.starts_P - shift_P, lengths_P)
        target_N = text_N + np.repeat(places.texts_P - shift_P, lengths_P)
        columns: dict[str, Column] = {}
        for field in self.schema:
            if field.name in stream.columns:
                fill = int(Boundary.SPECIAL) if field.name == BOUNDARIES else 0
                kind = field.type.value_type.to_pandas_dtype()
                columns[field.name] = np.full(int(places.splits[-1]), fill, kind)
                columns[field.name][target_N] = stream.columns[field.name][source_N]
            elif field.name == self.frame.track:
                columns[field.name] = self._kinds(places, target_N)
        frame = self.frame
        self._put(columns[INPUT_IDS], places, frame.before, frame.between, frame.behind)
        bits, texts_P = columns[BOUNDARIES], places.texts_P
        is_text = (bits[texts_P] & Boundary.SPECIAL) == 0
        bits[texts_P] |= is_text * np.uint8(Boundary.WORD_START)
        return columns

    def _kinds(self, places: _Places, target_N: Int64) -> Column:
        """The number of the part that each token belongs to."""
        frame = self.frame
        kinds = np.zeros(int(places.splits[-1]), np.uint8)
        kind_P = np.where(places.is_first_P, *frame.kinds).astype(np.uint8)
        kinds[target_N] = np.repeat(kind_P, places.lengths_P)
        self._put(kinds, places, frame.before_kinds, frame.between_kinds, frame.behind_kinds)
        return kinds

    def _put(
        self,
        column: Column,
        places: _Places,
        before: Sequence[int],
        between: Sequence[int],
        behind: Sequence[int],
    ) -> None:
        """Writes one value for every special token of every row."""
        for place, value in enumerate(before):
            column[places.leads_P[places.is_first_P] + place] = value
        for place, value in enumerate(between):
            column[places.leads_P[~places.is_first_P] + place] = value
        for place, value in enumerate(behind):
            column[places.splits[1:] - len(behind) + place] = value
