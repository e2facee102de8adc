"""The worked example of the MacBERT paper, word for word."""

from __future__ import annotations

import numpy as np
from premask.masking.policy import policy

from tests.masking.batches import BINDING, MASK, selected, text_rows

WORD = 2
SENTENCE = "we use a language model to pre ##di ##ct the pro ##ba ##bility of the next word ."
PIECES = SENTENCE.split()
PUBLISHED = "we use a [M] [M] to [M] [M] [M] the [M] [M] [M] [M] [M] next word ."


def test_the_published_masks_of_n_grams_are_among_ours() -> None:
    """Cui et al. 2020, table 1: "language model", "predict" and "probability of the"."""
    bits = [0 if piece.startswith("##") else WORD for piece in PIECES]
    rows = text_rows(60_000, bits, seed=8)
    chosen = policy("macbert", rate=10 / len(PIECES), mask=1.0, random=0.0)
    outputs = chosen.bind(BINDING)(rows)
    wanted = np.array([token == "[M]" for token in PUBLISHED.split()])
    found = np.flatnonzero((selected(outputs) == wanted).all(axis=1))
    assert len(found) > 0
    shown = [
        "[M]" if token == MASK else piece
        for token, piece in zip(outputs["input_ids"][found[0]].tolist(), PIECES, strict=True)
    ]
    assert " ".join(shown) == PUBLISHED


def test_no_mask_of_the_published_sentence_splits_a_word() -> None:
    bits = [0 if piece.startswith("##") else WORD for piece in PIECES]
    hits = selected(policy("macbert").bind(BINDING)(text_rows(2_000, bits, seed=9)))
    for first, last in ((6, 9), (10, 13)):
        pieces = hits[:, first:last]
        assert (pieces.all(axis=1) | ~pieces.any(axis=1)).all()
