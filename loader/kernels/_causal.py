"""The kernel of ``clm``: `premask.masking.objectives.causal`, a copy and a look at documents.

Cost (one core with AVX-512): 0.6 ns per token, more where documents are told apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask._format import IGNORE_LABEL, Boundary
from premask.kernels._compile import SOURCES, Integer, compiled, kernel, widest_vectors
from premask.kernels._fill import pad_row
from premask.kernels._rows import Batch, Flat

_SPECIAL, _DOCUMENT = int(Boundary.SPECIAL), int(Boundary.DOCUMENT_START)

Kernel = Callable[[Flat, Batch, int, bool, np.ndarray, np.ndarray], None]


@compiled
def _copy_row(
    tokens: np.ndarray,
    pad_id: Integer,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    widest_vectors()
    count = len(tokens)
    for place in range(count):
        ids[place] = tokens[place]
    for place in range(count):
        labels[place] = tokens[place]
    pad_row(count, count, pad_id, ids, attention, labels)


def _make(sources: str) -> Kernel:
    @kernel
    def copy_rows(
        rows: Flat,
        batch: Batch,
        pad_id: int,
        mask_first: bool,
        position_ids: np.ndarray,
        document_ids: np.ndarray,
    ) -> None:
        """The last two arrays are written where they have rows."""
        _ = sources
        counts_documents = len(position_ids) > 0
        width = batch.input_ids.shape[1]
        for row in range(len(rows.lengths)):
            count, labels = rows.lengths[row], batch.labels[row]
            tokens, ids = rows.input_ids[row, :count], batch.input_ids[row]
            _copy_row(tokens, pad_id, ids, batch.attention_mask[row], labels)
            if not (mask_first or counts_documents):
                continue
            rank: Integer = 0
            documents: Integer = 0
            first = 0
            for place in range(count):
                bits = np.int64(rows.boundaries[row, place])
                opens = place == 0 or ((bits & _DOCUMENT) != 0 and rank > 0)
                rank += 1 - (bits & _SPECIAL)
                if opens and mask_first:
                    labels[place] = IGNORE_LABEL
                if counts_documents:
                    first = place if opens else first
                    documents += np.int64(opens)
                    position_ids[row, place] = place - first
                    document_ids[row, place] = documents
            if counts_documents:
                for place in range(count, width):
                    position_ids[row, place] = document_ids[row, place] = 0

    return copy_rows


copy_rows = _make(SOURCES)
