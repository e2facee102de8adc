"""Where words begin, as a rule over token ids that holds for every tokenizer family.

What a **word** is here, once for all families:

* White space ends a word, and a word owns the blanks that stand before it (``Ġ`` and ``▁``).
* A punctuation mark or symbol is a word of its own, and so is a Han character.
* A change between Hiragana, Katakana and other letters begins a word.
* Digits and letters are one word (``covid19``) unless the tokenizer itself keeps them apart.
* Combining marks and joiners belong to the character before them.

For BERT this is exactly its own pre-tokenizer. For byte-level BPE and SentencePiece it is the
same notion, where their pre-tokenizers would glue ``end.``, ``(see`` or ``--"`` together.
A word begins only where a token does; the first token of a document always begins one.

Which of three rules finds the words is decided once, when the tokenizer is loaded:

``lookup``
    WordPiece whose pre-tokenizer isolates ``#``, and word-level models: a table by id, exact.
``classes``
    Tokens that show their blanks (byte-level, metaspace): the class of the last character of
    one token against the first of the next, from two tables. Incomplete UTF-8 is classed by
    the characters that it may become; a token of continuation bytes never begins a word.
``word_ids``
    Everything else: the tokenizer's own words, at the price of full encodings.

The first two cost about 10 ns per token, in NumPy.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Rule = Literal["lookup", "classes", "word_ids"]


class CharacterClass(IntEnum):
    """What a character is for the border of a word."""

    BLANK = 0  # the space that a word owns
    BREAK = 1  # other white space
    LETTER = 2
    DIGIT = 3  # only where the tokenizer keeps digits and letters apart
    ISOLATED = 4  # punctuation, symbols, Han
    HIRAGANA = 5
    KATAKANA = 6
    JOINED = 7  # marks, joiners, bytes inside a character


# Unified ideographs and their compatibility forms, the blocks that BERT isolates.
_HAN = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EBEF),
    (0x2F800, 0x2FA1F),
)
_KATAKANA = ((0x30A1, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D))
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_LONG_VOWELS = (0x30FC, 0xFF70)  # lengthen a vowel of either syllabary


@dataclass(frozen=True, slots=True, kw_only=True)
class WordStarts:
    """The rule that finds word starts, with its table.

    Attributes:
        rule: see the module.
        classes_V: uint8 ``[V]``: class of the first character, and 8 times that of the last;
            None for ``word_ids``.
    """

    rule: Rule
    classes_V: npt.NDArray[np.uint8] | None = None

    def find(
        self, ids_T: npt.NDArray[np.uint32], document_starts_D: npt.NDArray[np.int64]
    ) -> Flags:
        """Whether each token begins a word: bool ``[T]``.

        `document_starts_D` are the positions of the documents' first tokens. Not for the rule
        ``word_ids``, which needs encodings.
        """
        assert self.classes_V is not None
        pair_T = self.classes_V.take(ids_T)
        first_T = pair_T & np.uint8(7)
        pair_T -= first_T
        _carry(pair_T, document_starts_D)
        pair_T[1:] = pair_T[:-1] + first_T[1:]
        starts_T = np.frombuffer(bytearray(pair_T.tobytes().translate(_BORDER)), np.bool_)
        starts_T[document_starts_D] = True
        return starts_T


def _carry(last_T: npt.NDArray[np.uint8], document_starts_D: npt.NDArray[np.int64]) -> None:
    """Gives tokens of continuation bytes the class of the token before."""
    joined = last_T == 8 * CharacterClass.JOINED
    joined[document_starts_D] = False
    place_J = np.flatnonzero(joined)
    first_J = np.diff(place_J, prepend=-1) != 1  # of the tokens that follow each other
    before = place_J[first_J] - 1
    sizes = np.diff(np.flatnonzero(first_J), append=len(place_J))
    last_T[place_J] = last_T[before].repeat(sizes)


def _is_border(last: int, first: int) -> bool:
    """Whether a word begins between a token that ends in `last` and one that begins so."""
    kind = CharacterClass
    if first == kind.JOINED or last == kind.JOINED:
        return False
    if first in (kind.BLANK, kind.BREAK):
        return True
    if last == kind.BLANK:  # a lone space before its word
        return False
    return last in (kind.BREAK, kind.ISOLATED) or first == kind.ISOLATED or first != last


# For `bytes.translate`, six times as fast as an array of indices.
_BORDER = bytes(_is_border(pair >> 3 & 7, pair & 7) for pair in range(256))


@lru_cache(maxsize=1 << 16)
def character_class(character: str) -> CharacterClass:
    """The class of one character; digits count as ``DIGIT``."""
    code = ord(character)
    if character == " ":
        return CharacterClass.BLANK
    if character.isspace():
        return CharacterClass.BREAK
    if code in _SKIN_TONES or code in _LONG_VOWELS:
        return CharacterClass.JOINED
    if any(low <= code <= high for low, high in _HAN):
        return CharacterClass.ISOLATED
    category = unicodedata.category(character)
    if category[0] == "M" or category in ("Cf", "Cc"):
        return CharacterClass.JOINED
    if category[0] in "PS":
        return CharacterClass.ISOLATED
    if 0x3041 <= code <= 0x309F:
        return CharacterClass.HIRAGANA
    if any(low <= code <= high for low, high in _KATAKANA):
        return CharacterClass.KATAKANA
    return CharacterClass.DIGIT if category[0] == "N" else CharacterClass.LETTER


@lru_cache(maxsize=1 << 12)
def _incomplete_class(start: bytes, length: int) -> CharacterClass:
    """The class of most characters whose UTF-8 begins with `start` and has `length` bytes."""
    missing = length - len(start)
    code = start[0] & (0x7F >> length)
    for byte in start[1:]:
        code = code << 6 | byte & 0x3F
    codes = range(code << 6 * missing, min(code + 1 << 6 * missing, 0x110000))
    step = max(1, len(codes) >> 8)
    candidates = (chr(c) for c in codes[::step] if not 0xD800 <= c < 0xE000)
    classes = Counter(character_class(c) for c in candidates if c.isprintable())
    return classes.most_common(1)[0][0] if classes else CharacterClass.LETTER


def token_classes(token: bytes) -> list[CharacterClass]:
    """Classes of the characters of a token, given as UTF-8 that may begin or end midway."""
    try:
        return [character_class(character) for character in token.decode()]
    except UnicodeDecodeError:
        pass
    classes, position = [], 0
    while position < len(token):
        lead = token[position]
        length = 1 if lead < 0xC2 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        chunk = token[position : position + length]
        continued = all(byte & 0xC0 == 0x80 for byte in chunk[1:])
        if lead & 0xC0 == 0x80 or lead > 0xF4 or not continued:
            classes.append(CharacterClass.JOINED)
            position += 1
            continue
        if len(chunk) < length:
            classes.append(_incomplete_class(chunk, length))
        else:
            decoded = chunk.decode(errors="replace")
            classes.append(character_class(decoded[0]))
        position += length
    return classes


def _borders(classes: list[CharacterClass]) -> tuple[int, int]:
    """First and last class of a token, as the rule ``classes`` wants them."""
    if not classes:
        return CharacterClass.JOINED, CharacterClass.JOINED
    real = [c for c in classes if c != CharacterClass.JOINED]
    last = real[-1] if real else CharacterClass.JOINED
    if last == CharacterClass.BLANK and any(c != CharacterClass.BLANK for c in real):
        last = CharacterClass.BREAK  # a blank that ends a token is no word's own
    return classes[0], last


def classes_rule(
    tokens: Mapping[int, bytes], *, size: int, digits_apart: bool, opaque: Iterable[int] = ()
) -> WordStarts:
    """The rule ``classes`` from each id's bytes; `opaque` ids count as letters."""
    first_V = np.full(size, CharacterClass.LETTER, np.uint8)
    last_V = first_V.copy()
    hidden = frozenset(opaque)
    for token_id, token in tokens.items():
        if token_id not in hidden:
            first_V[token_id], last_V[token_id] = _borders(token_classes(token))
    if not digits_apart:
        first_V[first_V == CharacterClass.DIGIT] = CharacterClass.LETTER
        last_V[last_V == CharacterClass.DIGIT] = CharacterClass.LETTER
    return WordStarts(rule="classes", classes_V=first_V + 8 * last_V)


def lookup_rule(tokens: Mapping[int, str], *, size: int, continuation: str) -> WordStarts:
    """The rule ``lookup``: a token begins a word unless it has the `continuation` prefix."""
    # Every token ends in an isolated character, and those that go on begin with a joined one.
    classes_V = np.full(size, 9 * CharacterClass.ISOLATED, np.uint8)
    inside = [
        i for i, token in tokens.items() if continuation and token.startswith(continuation)
    ]
    classes_V[np.array(inside, np.int64)] = 8 * CharacterClass.ISOLATED + CharacterClass.JOINED
    return WordStarts(rule="lookup", classes_V=classes_V)


def byte_alphabet() -> dict[str, int]:
    """Byte of each character that byte-level tokenizers write it as."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    alphabet = {chr(byte): byte for byte in shown}
    return alphabet | {chr(256 + rank): byte for rank, byte in enumerate(hidden)}


def token_bytes(
    tokens: Mapping[int, str], *, byte_level: bool, blank: str | None, literal: Iterable[int]
) -> dict[int, bytes]:
    """The text that each token stands for, as UTF-8.

    `blank` is the metaspace mark; ids in `literal` (added tokens) stand for themselves.
    """
    verbatim = frozenset(literal)
    alphabet = byte_alphabet()
    decode: Callable[[str], bytes] = lambda token: bytes(alphabet[c] for c in token)  # noqa: E731
    result: dict[int, bytes] = {}
    for token_id, token in tokens.items():
        plain = token.replace(blank, " ") if blank else token
        if token_id in verbatim:
            result[token_id] = token.encode()
        elif is_byte_piece(token):
            result[token_id] = bytes([int(token[3:5], 16)])
        elif byte_level and all(c in alphabet for c in token):
            result[token_id] = decode(token)
        else:
            result[token_id] = plain.encode()
    return result


def is_byte_piece(token: str) -> bool:
    """Whether a token is a byte-fallback piece, such as ``<0x0A>``."""
    if len(token) != 6 or not token.startswith("<0x") or token[5] != ">":
        return False
    return all(c in "0123456789ABCDEF" for c in token[3:5])


def word_starts_of(encodings: Iterable[Any]) -> Flags:
    """The rule ``word_ids``: bool ``[T]`` for full encodings, one document each."""
    starts: list[bool] = []
    for encoding in encodings:
        words = encoding.word_ids
        starts += [
            i == 0 or word is None or word != words[i - 1] for i, word in enumerate(words)
        ]
    return np.array(starts, bool)
