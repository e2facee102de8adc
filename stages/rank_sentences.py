"""Ranks the sentences of every row by how well they sum it up: the track ``sentence_ranks``.

Law: Zhang et al. (ICML 2020, PEGASUS), "Ind": ROUGE-1 F of a sentence against the rest of the
text, here in token ids and against the rest of the row, since a row is what the objective
``gap_sentences`` sees. Rank 1 is the best, of equals the last; every token of a sentence
carries its rank. Rows of more than 255 sentences leave those after the 255 best at 0, none.

The same as `premask.masking.objectives.rouge.sentence_ranks`, for a batch at once: three sorts,
about 0.3 µs per token, whatever the number of sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._format import BOUNDARIES, INPUT_IDS, Boundary

SENTENCE_RANKS = "sentence_ranks"
# Shapes: R rows, T tokens, S sentences, P pairs of a sentence and a token id.
Int64 = npt.NDArray[np.int64]
_MOST = 255


def rank_sentences(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Adds the ranks to batches of ROWS.

    Args:
        batches: with ``input_ids`` and ``boundaries``, among these the starts of sentences.
        schema: of what goes out: that of a batch, with ``sentence_ranks``.
    """
    for batch in batches:
        ids, bits = batch.column(INPUT_IDS), batch.column(BOUNDARIES).flatten().to_numpy()
        lengths_R = ids.value_lengths().to_numpy().astype(np.int64)
        ranks_T = row_ranks(ids.flatten().to_numpy(), bits, lengths_R)
        offsets = pa.array(np.append(0, np.cumsum(lengths_R)).astype(np.int32))
        track = pa.ListArray.from_arrays(offsets, pa.array(ranks_T))
        columns = [
            track if name == SENTENCE_RANKS else batch.column(name) for name in schema.names
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def row_ranks(
    ids_T: npt.NDArray[Any], bits_T: npt.NDArray[Any], lengths_R: Int64
) -> npt.NDArray[np.uint8]:
    """The rank of every token's sentence in its row, rows end to end; 0 on special tokens."""
    text_T = (bits_T & Boundary.SPECIAL) == 0
    begins_T = np.append(True, ~text_T[:-1])[: len(text_T)]
    begins_T[(np.cumsum(lengths_R) - lengths_R)[lengths_R > 0]] = True
    begins_T |= (bits_T & (Boundary.SENTENCE_START | Boundary.DOCUMENT_START)) != 0
    start_T = text_T & begins_T
    row_T = np.repeat(np.arange(len(lengths_R)), lengths_R)
    sentence_T = np.cumsum(start_T) - 1
    rank_S = _ranks(ids_T[text_T].astype(np.int64), sentence_T[text_T], row_T[start_T])
    ranks_T = np.zeros(len(ids_T), np.uint8)
    ranks_T[text_T] = rank_S[sentence_T[text_T]]
    return ranks_T


def _ranks(ids_T: Int64, sentence_T: Int64, row_S: Int64) -> npt.NDArray[np.uint8]:
    """Ranks of sentences within their rows, from tokens of text."""
    size = int(ids_T.max(initial=0)) + 1
    pair_P, count_P = np.unique(sentence_T * size + ids_T, return_counts=True)
    sentence_P, id_P = np.divmod(pair_P, size)
    known, whole = np.unique(row_S[sentence_T] * size + ids_T, return_counts=True)
    row_count_P = whole[np.searchsorted(known, row_S[sentence_P] * size + id_P)]
    # Sentence and rest have the row's size together, so ROUGE F grows with the matches alone.
    matches_P = np.minimum(count_P, row_count_P - count_P)
    matches_S = np.bincount(sentence_P, matches_P, len(row_S)).astype(np.int64)
    order = np.lexsort((-np.arange(len(row_S)), -matches_S, row_S))
    first_S = np.searchsorted(row_S, row_S)  # sentences are in the order of rows
    rank_S = np.empty(len(row_S), np.int64)
    rank_S[order] = np.arange(len(row_S))
    rank_S += 1 - first_S
    return np.where(rank_S <= _MOST, rank_S, 0).astype(np.uint8)
