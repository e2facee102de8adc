"""The kernel of ``clm``: `premask.masking.objectives.causal`, a copy in one pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from premask._format import IGNORE_LABEL, Boundary
from premask.kernels._compile import SOURCES, Integer, kernel
from premask.kernels._rows import Batch, Flat

_SPECIAL, _DOCUMENT = int(Boundary.SPECIAL), int(Boundary.DOCUMENT_START)

Kernel = Callable[[Flat, Batch, int, bool, np.ndarray, np.ndarray], None]


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
            count = rows.lengths[row]
            ids, labels = batch.input_ids[row], batch.labels[row]
            attention = batch.attention_mask[row]
            rank: Integer = 0
            documents: Integer = 0
            first = 0
            for place in range(count):
                bits = np.int64(rows.boundaries[row, place])
                token = np.int64(rows.input_ids[row, place])
                opens = place == 0 or ((bits & _DOCUMENT) != 0 and rank > 0)
                rank += 1 - (bits & _SPECIAL)
                ids[place], attention[place] = token, 1
                labels[place] = IGNORE_LABEL if opens and mask_first else token
                if counts_documents:
                    first = place if opens else first
                    documents += np.int64(opens)
                    position_ids[row, place] = place - first
                    document_ids[row, place] = documents
            for place in range(count, width):
                ids[place], attention[place], labels[place] = pad_id, 0, IGNORE_LABEL
                if counts_documents:
                    position_ids[row, place] = document_ids[row, place] = 0

    return copy_rows


copy_rows = _make(SOURCES)
