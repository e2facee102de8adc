"""Notes in which rows the documents of a unit stand: `Ledger.places`.

A row names the document that stands first in it. Every other one gets a *place*, a pair of
document and row, and so does a document in the row in which it begins, and in the first of its
rows if none holds its beginning. Together this gives all documents of a row and all rows of a
document, see `premask.pipeline.lineage`; most documents have one place. NumPy per batch, 50
bytes per place until the unit ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask.schemas.unit import PLACES
from premask.stages.cut_rows import CutRows
from premask.stages.plain_loops import Int64
from premask.stages.row_identity import RowIdentity
from premask.stages.token_stream import IN_NO_ROW, TokenStream

# Shapes: P pieces of rows; F places.
Uint64 = npt.NDArray[np.uint64]


class Placing:
    """The places of one unit; documents are numbered through, from 0.

    Args:
        identity: gives the seed of a row by its ordinal.
    """

    def __init__(self, identity: RowIdentity) -> None:
        self._identity = identity
        self._num_left = 0
        self._ids: list[pa.LargeStringArray] = []
        self._positions: list[Int64] = []
        # Numbers of documents, ordinals of rows, seeds.
        self._found: list[tuple[Int64, Uint64, Uint64]] = []

    def note(self, stream: TokenStream, rows: CutRows) -> None:
        """Takes in rows that were cut from `stream`."""
        counts_P = rows.to_P - rows.from_P + 1
        # From here on one entry per piece and document in it.
        shift_P = rows.from_P - (np.cumsum(counts_P) - counts_P)
        document = np.arange(int(counts_P.sum())) + np.repeat(shift_P, counts_P)
        row = np.repeat(rows.row_P, counts_P)
        begins = stream.document_starts[document] >= np.repeat(rows.starts_P, counts_P)
        named = rows.from_P[rows.first_R][row]
        wanted = np.flatnonzero(begins | (document != named))
        num_documents = len(stream.document_ids)
        pairs = np.sort(row[wanted] * num_documents + document[wanted])
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # `np.unique` hashes, which is slow
        row_F, document_F = np.divmod(pairs, num_documents)
        self._add(document_F, rows.ordinals_R[row_F], rows.seeds_R[row_F])
        stream.placed_D[document_F] = True
        own = np.repeat(rows.is_own_P, counts_P)
        np.minimum.at(stream.first_D, document[own], rows.ordinals_R[row[own]])

    def leave(self, stream: TokenStream, count: int) -> list[int]:
        """Takes leave of the first `count` documents; gives those that are in no row."""
        unplaced = np.flatnonzero(~stream.placed_D[:count])
        is_lost = stream.first_D[unplaced] == IN_NO_ROW
        document_F = unplaced[~is_lost]
        ordinals_F = stream.first_D[document_F]
        seeds = [self._identity.seed(ordinal) for ordinal in ordinals_F.tolist()]
        self._add(document_F, ordinals_F, np.array(seeds, np.uint64))
        self._ids.append(stream.document_ids[:count])
        self._positions.append(stream.positions[:count])
        self._num_left += count
        lost: list[int] = unplaced[is_lost].tolist()
        return lost

    def places(self) -> pa.Table:
        """All places, in the order of documents and, within one, of rows."""
        if not self._found:
            return PLACES.empty_table()
        document_F, ordinals_F, seeds_F = map(np.concatenate, zip(*self._found, strict=True))
        order = np.lexsort((ordinals_F, document_F))
        document_F = document_F[order]
        ids = pa.chunked_array(self._ids).take(pa.array(document_F))
        positions = np.concatenate(self._positions)[document_F]
        columns = [ids, pa.array(positions), pa.array(seeds_F[order])]
        return pa.Table.from_arrays(columns, schema=PLACES)

    def _add(self, document_F: Int64, ordinals_F: Uint64, seeds_F: Uint64) -> None:
        self._found.append((document_F + self._num_left, ordinals_F, seeds_F))
