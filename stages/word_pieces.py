"""BERT's tokens of plain ASCII words, without a call of the tokenizer.

For a word of ASCII letters and digits the longest-match-first law of WordPiece is all that
BERT's normaliser and pre-tokenizer leave to do: a tenth of a microsecond per word, where the
tokenizer takes five. See `premask.stages.piece_loops.spell_words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from premask.stages.piece_loops import LONGEST, spell_words
from premask.stages.piece_table import PADDING, PieceTable
from premask.stages.tokens import Int64, Uint8, Uint32

# Shapes: N pieces, T tokens of all of them.

_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_BLANKS = bytes.maketrans(b"\t\n\r", b"   ")


class WordPieces:
    """The vocabulary of a BERT tokenizer, by the beginnings and the rests of words.

    Attributes:
        fold: a table for `bytes.translate` that changes no token of any text: white space is
            all one, and so are capitals and small letters where the tokenizer lowers them.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        model = content["model"]
        vocabulary: dict[str, int] = model["vocab"]
        prefix = model["continuing_subword_prefix"]
        self._first = _table(vocabulary)
        self._rest = _table(
            {
                word.removeprefix(prefix): number
                for word, number in vocabulary.items()
                if word.startswith(prefix)
            }
        )
        self._unknown = vocabulary[model["unk_token"]]
        lowers = content["normalizer"]["lowercase"]
        self.fold = _LOWER.translate(_BLANKS) if lowers else _BLANKS
        self._longest = min(LONGEST, int(model["max_input_chars_per_word"]))

    def encode(
        self, text: Uint8, starts_N: Int64, stops_N: Int64
    ) -> tuple[Uint32, npt.NDArray[np.int32], Int64]:
        """Ids ``[T]``, spans ``[2, T]`` within pieces, and numbers of tokens of pieces.

        Pieces are stretches of `text`, which is folded and has `PADDING` behind it. One that is
        no plain word, ASCII letters and digits with blanks before them, gets no token.
        """
        room = int((stops_N - starts_N).sum())
        ids_T, spans_2T = np.empty(room, np.uint32), np.empty((2, room), np.int32)
        counts_N = np.empty(len(starts_N), np.int64)
        size = spell_words(
            text,
            starts_N,
            stops_N,
            self._longest,
            self._first.slots,
            self._rest.slots,
            self._unknown,
            ids_T,
            spans_2T,
            counts_N,
        )
        return ids_T[:size], spans_2T[:, :size], counts_N


def _table(vocabulary: Mapping[str, int]) -> PieceTable:
    """The pieces that are short enough, and not empty."""
    chosen = {
        raw: number
        for word, number in vocabulary.items()
        if 0 < len(raw := word.encode()) <= LONGEST
    }
    ends = np.cumsum([0, *map(len, chosen)], dtype=np.int64)
    text = np.frombuffer(b"".join(chosen) + PADDING, np.uint8)
    table = PieceTable()
    table.add(text, ends[:-1], ends[1:], np.array(list(chosen.values()), np.int64))
    return table
