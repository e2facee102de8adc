"""Where a tokenizer provably cuts, seen in the raw bytes of a text.

A text is taken apart before bytes at which no token, no normalisation and no pattern of the
tokenizer can reach across, whatever stands farther left or right. Then the tokens of the text
are those of its parts, end to end. White space stands at the head of the part that follows it,
so the parts lie in the text without gaps. Which pairs of neighbouring bytes are such places:

``bert``
    White space after anything else; ASCII punctuation against ASCII letters and digits. BERT
    isolates each of these characters, and its normaliser leaves them alone.
``byte_level``
    White space after anything else; ASCII letters, digits and punctuation against each other,
    but for an apostrophe before a letter (``'s``). In the pattern of GPT-2 no match holds two
    of these, and none looks back or, at such a place, ahead. Runs of white space stay whole.
``white_space``
    White space after printable ASCII: SentencePiece models that look at one word at a time.

Everything else, all of Chinese for one, is never cut. Half a ns per byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal

import numpy as np

Family = Literal["bert", "byte_level", "white_space"]

# Begins the names of special tokens in an encoder, see `tokenizer_text`: no text holds it.
_MARK = "\ufffe"


class _Kind(IntEnum):
    """What a byte is for a border."""

    SPACE = 0
    LETTER = 1
    DIGIT = 2
    MARK = 3  # ASCII punctuation and symbols
    APOSTROPHE = 4
    CONTROL = 5
    HIGH = 6  # part of a character beyond ASCII


def _kind(code: int) -> _Kind:
    character = chr(code)
    if code >= 0x80:
        return _Kind.HIGH
    if character in " \t\n\r":
        return _Kind.SPACE
    if code < 0x20 or code == 0x7F:
        return _Kind.CONTROL
    if character.isalpha():
        return _Kind.LETTER
    if character.isdigit():
        return _Kind.DIGIT
    return _Kind.APOSTROPHE if character == "'" else _Kind.MARK


def _is_border(family: Family, left: _Kind, right: _Kind) -> bool:
    words, marks = (_Kind.LETTER, _Kind.DIGIT), (_Kind.MARK, _Kind.APOSTROPHE)
    if right == _Kind.SPACE:
        printable = left in words or left in marks
        if family == "bert":
            return left != _Kind.SPACE
        # After a character beyond ASCII, the cutting looks closer.
        return printable or (family == "byte_level" and left == _Kind.HIGH)
    if family == "white_space":
        return False
    if family == "byte_level" and (left, right) == (_Kind.APOSTROPHE, _Kind.LETTER):
        return False
    if left in words and right in words:
        return family == "byte_level" and left != right
    return (left in words and right in marks) or (left in marks and right in words)


_FAMILIES: tuple[Family, ...] = ("bert", "byte_level", "white_space")
_KIND = [_kind(code) for code in range(256)]
# By byte: its kind as a bit, and the bits of all kinds after which it begins a part.
LEFT = np.array([1 << kind for kind in _KIND], np.uint8)
RIGHT = {
    family: np.array(
        [sum(1 << left for left in _Kind if _is_border(family, left, kind)) for kind in _KIND],
        np.uint8,
    )
    for family in _FAMILIES
}


class NoBorders(ValueError):
    """Nothing is certain about where a tokenizer cuts; says why."""


def family_of(content: Mapping[str, Any]) -> Family:
    """The family of an encoder's tokenizer.json.

    Raises:
        NoBorders: added tokens that a text can hold, dropout, prefixes that depend on the place
            in the text, or a normaliser or pre-tokenizer not known here.
    """
    for token in content["added_tokens"]:
        if not token["content"].startswith(_MARK):
            raise NoBorders(f"its added token {token['content']!r} can stand in a text")
    model = content["model"]
    if model["type"] not in ("WordPiece", "BPE", "Unigram"):
        raise NoBorders(f"its model is {model['type']}")
    if model.get("dropout"):
        raise NoBorders("its model drops merges at random")
    return _family(content["normalizer"] or {}, content["pre_tokenizer"] or {})


def _family(normalizer: Mapping[str, Any], cutter: Mapping[str, Any]) -> Family:
    normal, kind = normalizer.get("type"), cutter.get("type")
    if kind is None:
        raise NoBorders("it has no pre-tokenizer, so a piece may span words")
    steps = [step["type"] for step in cutter.get("pretokenizers", [])]
    if kind == "BertPreTokenizer":
        if normal == "BertNormalizer" and normalizer["clean_text"]:
            return "bert"
    elif kind == "ByteLevel":
        if cutter["add_prefix_space"] or not cutter["use_regex"]:
            raise NoBorders("it puts a blank before a text, or has no pattern")
        if normal in (None, "NFC"):
            return "byte_level"
    elif steps == ["WhitespaceSplit", "Metaspace"]:
        if normal in (None, "Precompiled") and (
            cutter["pretokenizers"][1]["prepend_scheme"] == "always"
        ):
            return "white_space"
    else:
        raise NoBorders(f"its pre-tokenizer is {'+'.join(steps) or kind}")
    raise NoBorders(f"its normaliser is {normal}")
