"""Word starts for rows that carry none: static sets and foreign data, from their tokenizer."""

from __future__ import annotations

import numpy as np
from premask._format import Boundary
from premask.stages.tokenizer import LoadedTokenizer


def word_marks(
    ids_BL: np.ndarray, text_BL: np.ndarray, tokenizer: LoadedTokenizer | None
) -> np.ndarray | None:
    """Boundary bits, uint8 ``[B, L]``, with word starts alone.

    None without a tokenizer, and for the few whose words are told by the text alone. Where a
    row begins inside a word, the rest of that word counts as one.
    """
    if tokenizer is None or tokenizer.word_starts.rule == "word_ids":
        return None
    before_BL = np.zeros_like(text_BL)
    before_BL[:, 1:] = text_BL[:, :-1]
    opens_N = ~before_BL[text_BL]
    bits_BL = np.zeros(ids_BL.shape, np.uint8)
    if len(opens_N):
        ids_N = ids_BL[text_BL].astype(np.uint32)
        starts_N = tokenizer.word_starts.find(ids_N, np.flatnonzero(opens_N))
        bits_BL[text_BL] = starts_N * np.uint8(Boundary.WORD_START)
    return bits_BL
