"""Token streams as flat arrays, and rows gathered from them with the tokenizer's template.

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
from premask.masking._rows import Vocabulary
from premask.schemas.shard import row_schema

# Shapes: D documents, T tokens of a stream, R rows, N tokens of all rows.
Int64 = npt.NDArray[np.int64]
Column = npt.NDArray[Any]
_MAX_UINT16 = (1 << 16) - 1


class Cut(NamedTuple):
    """One row: a stretch of the stream, half-open, and its seed."""

    start: int
    stop: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream:
    """Documents end to end, separators between them.

    Attributes:
        columns: ``[T]`` each, by name: ids, boundaries and tracks.
        document_starts: int64 ``[D]``; the first is negative where its document began earlier.
        document_ids, positions: of the D documents.
    """

    columns: Mapping[str, Column]
    document_starts: Int64
    document_ids: Sequence[str]
    positions: Int64

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
        )

    def followed_by(self, other: TokenStream) -> TokenStream:
        """This stream and then the other."""
        if not len(self):
            return other
        return TokenStream(
            columns={
                name: np.concatenate([values, other.columns[name]])
                for name, values in self.columns.items()
            },
            document_starts=np.concatenate(
                [self.document_starts, other.document_starts + len(self)]
            ),
            document_ids=[*self.document_ids, *other.document_ids],
            positions=np.concatenate([self.positions, other.positions]),
        )

    def behind(self, position: int) -> TokenStream:
        """What stands from `position` on."""
        first = int(np.searchsorted(self.document_starts, position, side="right")) - 1
        first = len(self.document_ids) if position == len(self) else max(first, 0)
        return TokenStream(
            columns={name: values[position:].copy() for name, values in self.columns.items()},
            document_starts=self.document_starts[first:] - position,
            document_ids=self.document_ids[first:],
            positions=self.positions[first:],
        )

    def documents_begun(self, start: int, stop: int) -> range:
        """Indices of the documents that begin in ``start..stop``."""
        first, last = np.searchsorted(self.document_starts, [start, stop])
        return range(int(first), int(last))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """Makes record batches of rows, the template's tokens around each."""

    schema: pa.Schema
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    @classmethod
    def of(cls, vocabulary: Vocabulary, tracks: Sequence[str]) -> RowTable:
        return cls(
            schema=row_schema(vocabulary.size, tracks),
            prefix=vocabulary.prefix_ids,
            suffix=vocabulary.suffix_ids,
        )

    def rows(self, stream: TokenStream, cuts: Sequence[Cut]) -> pa.RecordBatch:
        """One record per cut."""
        starts_R, stops_R = np.array([cut[:2] for cut in cuts], np.int64).T
        lengths_R = stops_R - starts_R
        before, behind = len(self.prefix), len(self.suffix)
        splits = np.zeros(len(cuts) + 1, np.int32)
        np.cumsum(lengths_R + before + behind, out=splits[1:])
        text_starts_R = splits[:-1] + before
        text_N = np.arange(int(lengths_R.sum()))
        shift_R = np.cumsum(lengths_R) - lengths_R
        source_N = text_N + np.repeat(starts_R - shift_R, lengths_R)
        target_N = text_N + np.repeat(text_starts_R - shift_R, lengths_R)
        columns = {}
        for name, values in stream.columns.items():
            fill = int(Boundary.SPECIAL) if name == BOUNDARIES else 0
            kind = self.schema.field(name).type.value_type.to_pandas_dtype()
            row_values = np.full(int(splits[-1]), fill, kind)
            row_values[target_N] = values[source_N]
            columns[name] = row_values
        for place, token in enumerate(self.prefix):
            columns[INPUT_IDS][splits[:-1] + place] = token
        for place, token in enumerate(self.suffix):
            columns[INPUT_IDS][splits[1:] - behind + place] = token
        first = columns[BOUNDARIES][text_starts_R]
        is_text = (first & Boundary.SPECIAL) == 0
        columns[BOUNDARIES][text_starts_R] = first | is_text * np.uint8(Boundary.WORD_START)
        offsets = pa.array(splits)
        lists = [pa.ListArray.from_arrays(offsets, pa.array(v)) for v in columns.values()]
        first_R = np.searchsorted(stream.document_starts, starts_R, side="right") - 1
        last_R = np.searchsorted(stream.document_starts, stops_R - 1, side="right") - 1
        others = [
            pa.array(np.array([cut.seed for cut in cuts], np.uint64)),
            pa.array([stream.document_ids[i] for i in first_R.tolist()], pa.string()),
            pa.array(np.minimum(last_R - first_R + 1, _MAX_UINT16).astype(np.uint16)),
        ]
        return pa.RecordBatch.from_arrays([*lists, *others], schema=self.schema)
