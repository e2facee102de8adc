"""Cuts long documents where a tokenizer cannot tell, so that its memory stays bounded.

`tokenizers` needs about 120 bytes per character while it encodes, so a document of 60 MB would
take 7 GB. Most tokenizers look at one word at a time and attach a blank to what follows it:
cut before a single blank between two letters or digits, such a document gives exactly the
tokens of the whole. Whether a tokenizer is of that kind is tried out on it, once; documents of
others (SentencePiece models whose pieces span words) stay whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tokenizers import Tokenizer

PIECE_CHARACTERS = 1 << 20

_BLANK = re.compile(r"(?<=[^\W_]) (?=[^\W_])")
_PROBES = tuple(
    (left, f" {right}")
    for left in ("ab", "12", "Çé", "жд", "サ", "中")
    for right in ("cd", "34", "Éß", "ий", "ラ", "文")
)


class Piece(NamedTuple):
    """A stretch of a document that is encoded by itself."""

    document: int
    start: int
    text: str


def can_be_cut(tokenizer: Tokenizer) -> bool:
    """Whether a text and its parts, cut before a blank between words, give the same tokens."""
    added = (token.content for token in tokenizer.get_added_tokens_decoder().values())
    if any(_BLANK.search(content) for content in added):
        return False
    return all(
        _words(tokenizer, left + right) == _words(tokenizer, left) + _words(tokenizer, right)
        for left, right in _PROBES
    )


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def pieces(texts: list[str], *, cut: bool) -> Iterator[Piece]:
    """The documents in order, those longer than `PIECE_CHARACTERS` in pieces if they may be."""
    for document, text in enumerate(texts):
        start = 0
        while cut and len(text) - start > PIECE_CHARACTERS:
            blank = _BLANK.search(text, start + PIECE_CHARACTERS)
            if blank is None:
                break
            yield Piece(document, start, text[start : blank.start()])
            start = blank.start()
        yield Piece(document, start, text[start:] if start else text)


def groups(parts: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Pieces gathered to about `PIECE_CHARACTERS`, one longer piece alone."""
    gathered: list[Piece] = []
    size = 0
    for piece in parts:
        if gathered and size + len(piece.text) > PIECE_CHARACTERS:
            yield gathered
            gathered, size = [], 0
        gathered.append(piece)
        size += len(piece.text)
    if gathered:
        yield gathered
