"""Notes in which rows the documents of a unit stand: `Ledger.places`.

A row names the document that stands first in it. Every other one gets a *place*, a pair of
document and row, and so does a document in the row in which it begins, and in the first of its
rows if none holds its beginning. Together this gives all documents of a row and all rows of a
document, see `premask.pipeline.lineage`; most documents have one place. NumPy per row, 100
bytes per place until the unit ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from premask.stages.row_identity import RowIdentity
from premask.stages.rows_table import IN_NO_ROW, Row, TokenStream

Place = tuple[str, int, int]  # document id, position, seed of the row


class Placing:
    """The places of one unit; documents are numbered through, from 0.

    Args:
        identity: gives the seed of a row by its ordinal.
    """

    def __init__(self, identity: RowIdentity) -> None:
        self._identity = identity
        self._num_left = 0
        self._places: list[tuple[int, int, Place]] = []

    def note(self, stream: TokenStream, rows: Sequence[Row]) -> None:
        """Takes in rows that were cut from `stream`."""
        pieces_P = np.array([piece for row in rows for piece in row.pieces], np.int64)
        sizes = [len(row.pieces) for row in rows]
        row_P = np.repeat(np.arange(len(rows)), sizes)
        first_P = stream.documents_at(pieces_P[:, 0])
        counts_P = stream.documents_at(pieces_P[:, 1] - 1) - first_P + 1
        # From here on one entry per piece and document in it.
        shift_P = first_P - (np.cumsum(counts_P) - counts_P)
        document = np.arange(int(counts_P.sum())) + np.repeat(shift_P, counts_P)
        row = np.repeat(row_P, counts_P)
        begins = stream.document_starts[document] >= np.repeat(pieces_P[:, 0], counts_P)
        named = first_P[np.cumsum(sizes) - sizes][row]
        wanted = np.flatnonzero(begins | (document != named))
        num_documents = len(stream.document_ids)
        found = np.unique(row[wanted] * num_documents + document[wanted])
        for pair in found.tolist():
            self._add(stream, pair % num_documents, rows[pair // num_documents])
        stream.placed_D[document[wanted]] = True
        own_P = np.array([k < r.num_own for r in rows for k in range(len(r.pieces))])
        own = np.repeat(own_P, counts_P)
        ordinals = np.array([r.ordinal for r in rows], np.uint64)[row[own]]
        np.minimum.at(stream.first_D, document[own], ordinals)

    def leave(self, stream: TokenStream, count: int) -> Iterator[int]:
        """Takes leave of the first `count` documents; gives those that are in no row."""
        for document in range(count):
            if not stream.placed_D[document]:
                ordinal = int(stream.first_D[document])
                if ordinal == IN_NO_ROW:
                    yield document
                else:
                    row = Row((), self._identity.seed(ordinal), ordinal)
                    self._add(stream, document, row)
        self._num_left += count

    def places(self) -> list[Place]:
        """All places, in the order of documents and, within one, of rows."""
        self._places.sort(key=lambda entry: entry[:2])
        return [place for _, _, place in self._places]

    def _add(self, stream: TokenStream, document: int, row: Row) -> None:
        place = stream.document_ids[document], int(stream.positions[document]), row.seed
        self._places.append((self._num_left + document, row.ordinal, place))
