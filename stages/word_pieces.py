"""BERT's tokens of plain ASCII words, many at once, without a call of the tokenizer.

The longest-match-first law of WordPiece (Devlin et al., 2018), as `tokenizers` follows it: the
longest piece of the vocabulary that begins the word, then the longest that goes on, and so
forth; the unknown token for the whole word where none does. For a word of ASCII letters and
digits that is all that BERT's normaliser and pre-tokenizer leave to do. A call of the table for
every first token, then for every second, and so on: half a microsecond per word, where the
tokenizer takes five.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from premask.stages.piece_table import LONGEST, PADDING, PieceTable, keys
from premask.stages.tokens import Int64

# Shapes: N words, T tokens of all of them.

_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_BLANKS = bytes.maketrans(b"\t\n\r", b"   ")


class WordPieces:
    """The vocabulary of a BERT tokenizer, by the beginnings and the rests of words.

    Attributes:
        fold: a table for `bytes.translate` that changes no token of any text: white space is
            all one, and so are capitals and small letters where the tokenizer lowers them.
        longest: bytes of the longest word that `encode` takes.
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
        self.longest = min(LONGEST, int(model["max_input_chars_per_word"]))

    def encode(
        self, padded: bytes, starts_N: Int64, stops_N: Int64
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32], Int64]:
        """Ids ``[T]``, spans ``[2, T]`` within words, and numbers of tokens of words.

        Words are ASCII letters and digits of `padded`, a folded text with `PADDING` behind it,
        none longer than `longest`.
        """
        words, ids, begins, ends = ([np.zeros(0, np.int64)] for _ in range(4))
        place_N = starts_N.copy()
        unknown_N = np.zeros(len(starts_N), np.bool_)
        left = np.arange(len(starts_N))
        table = self._first
        while len(left):
            found, stops = self._longest_matches(table, padded, place_N[left], stops_N[left])
            unknown_N[left[found < 0]] = True
            left, found, stops = left[found >= 0], found[found >= 0], stops[found >= 0]
            words.append(left)
            ids.append(found)
            begins.append(place_N[left] - starts_N[left])
            ends.append(stops - starts_N[left])
            place_N[left] = stops
            left = left[stops < stops_N[left]]
            table = self._rest
        lost = np.flatnonzero(unknown_N)
        columns = [np.concatenate(c) for c in (words, ids, begins, ends)]
        known = ~unknown_N[columns[0]]
        whole = (lost, np.full(len(lost), self._unknown), 0 * lost, (stops_N - starts_N)[lost])
        word_T, ids_T, begin_T, end_T = (
            np.append(column[known], more) for column, more in zip(columns, whole, strict=True)
        )
        order = np.argsort(word_T, kind="stable")  # the tokens of a word are in order already
        spans_2T = np.stack([begin_T, end_T])[:, order].astype(np.int32)
        counts_N = np.bincount(word_T, minlength=len(starts_N))
        return ids_T[order].astype(np.uint32), spans_2T, counts_N

    def _longest_matches(
        self, table: PieceTable, padded: bytes, starts: Int64, stops: Int64
    ) -> tuple[Int64, Int64]:
        """The number of the longest piece at each place, or a negative one, and its end."""
        counts = np.minimum(stops - starts, self.longest)
        word = np.repeat(np.arange(len(starts)), counts)
        length = np.arange(1, len(word) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
        number = table.find(*keys(padded, starts[word], length))
        hits = np.flatnonzero(number >= 0)
        found, ends = np.full(len(starts), -1), stops.copy()
        # Of several for a word the last and longest stays.
        found[word[hits]] = number[hits]
        ends[word[hits]] = starts[word[hits]] + length[hits]
        return found, ends


def _table(vocabulary: Mapping[str, int]) -> PieceTable:
    """The pieces that are short enough, and not empty."""
    chosen = {
        raw: number
        for word, number in vocabulary.items()
        if 0 < len(raw := word.encode()) <= LONGEST
    }
    ends = np.cumsum([0, *map(len, chosen)], dtype=np.int64)
    low, high = keys(b"".join(chosen) + PADDING, ends[:-1], np.diff(ends))
    table = PieceTable()
    table.add(low, high, np.array(list(chosen.values()), np.int64))
    return table
