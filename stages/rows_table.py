"""Rows as record batches: pieces of a token stream in a frame of special tokens.

Nothing is done token by token here: pieces are copied whole (`premask.stages.loops`), all
special tokens of one place at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from premask._format import BOUNDARIES, INPUT_IDS, Boundary
from premask.schemas.shard import row_schema
from premask.stages.cut_rows import CutRows
from premask.stages.loops import loops
from premask.stages.plain_loops import Column, Int64
from premask.stages.row_frame import Frame
from premask.stages.token_stream import TokenStream

# Shapes: R rows, their P pieces.
_MAX_UINT16 = (1 << 16) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where the pieces of rows stand in a batch.

    Attributes:
        leads_P: where the special tokens before each piece begin.
        texts_P: where its text begins.
        splits: int32 ``[R + 1]``: where the rows begin, and where the last ends.
    """

    leads_P: Int64
    texts_P: Int64
    splits: npt.NDArray[np.int32]

    @classmethod
    def of(cls, rows: CutRows, frame: Frame) -> _Places:
        lead_sizes_P = np.where(rows.is_first_P, len(frame.before), len(frame.between))
        sizes_P = lead_sizes_P + rows.lengths_P
        leads_P = np.cumsum(sizes_P) - sizes_P + rows.row_P * len(frame.behind)
        splits = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(np.add.reduceat(sizes_P, rows.first_R) + len(frame.behind), out=splits[1:])
        return cls(leads_P=leads_P, texts_P=leads_P + lead_sizes_P, splits=splits)


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

    def rows(self, stream: TokenStream, rows: CutRows) -> pa.RecordBatch:
        """One record per row."""
        places = _Places.of(rows, self.frame)
        columns = self._columns(stream, rows, places)
        offsets = pa.array(places.splits)
        # A document of which a row holds several pieces counts once.
        again_P = np.zeros(len(rows.row_P), bool)
        again_P[1:] = ~rows.is_first_P[1:] & (rows.from_P[1:] == rows.to_P[:-1])
        num_R = np.add.reduceat(rows.to_P - rows.from_P + 1 - again_P, rows.first_R)
        ids = stream.document_ids.take(pa.array(rows.from_P[rows.first_R]))
        arrays = [pa.ListArray.from_arrays(offsets, pa.array(v)) for v in columns.values()]
        arrays += [
            pa.array(rows.seeds_R),
            pc.cast(ids, pa.string()),
            pa.array(np.minimum(num_R, _MAX_UINT16).astype(np.uint16)),
        ]
        arrays += [pa.array(rows.labels_R)] * (len(self.schema) - len(arrays))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _columns(
        self, stream: TokenStream, rows: CutRows, places: _Places
    ) -> dict[str, Column]:
        """The per-token columns, in the order of the schema."""
        size = int(places.splits[-1])
        columns: dict[str, Column] = {}
        for field in self.schema:
            if field.name in stream.columns:
                fill = int(Boundary.SPECIAL) if field.name == BOUNDARIES else 0
                kind = field.type.value_type.to_pandas_dtype()
                columns[field.name] = np.full(size, fill, kind)
            elif field.name == self.frame.track:
                columns[field.name] = self._kinds(rows, places)
        copied = [(stream.columns[n], columns[n]) for n in columns if n in stream.columns]
        loops().copy_pieces(rows.starts_P, rows.lengths_P, places.texts_P, copied)
        frame = self.frame
        self._put(columns[INPUT_IDS], rows, places, frame.before, frame.between, frame.behind)
        bits, texts_P = columns[BOUNDARIES], places.texts_P
        is_text = (bits[texts_P] & Boundary.SPECIAL) == 0
        bits[texts_P] |= is_text * np.uint8(Boundary.WORD_START)
        return columns

    def _kinds(self, rows: CutRows, places: _Places) -> Column:
        """The number of the part that each token belongs to."""
        frame = self.frame
        kind_P = np.where(rows.is_first_P, *frame.kinds).astype(np.uint8)
        kinds = np.repeat(kind_P, np.diff(places.leads_P, append=places.splits[-1]))
        self._put(
            kinds, rows, places, frame.before_kinds, frame.between_kinds, frame.behind_kinds
        )
        return kinds

    def _put(
        self,
        column: Column,
        rows: CutRows,
        places: _Places,
        before: Sequence[int],
        between: Sequence[int],
        behind: Sequence[int],
    ) -> None:
        """Writes one value for every special token of every row."""
        for place, value in enumerate(before):
            column[places.leads_P[rows.is_first_P] + place] = value
        for place, value in enumerate(between):
            column[places.leads_P[~rows.is_first_P] + place] = value
        for place, value in enumerate(behind):
            column[places.splits[1:] - len(behind) + place] = value
