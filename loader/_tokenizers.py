"""What masking needs of a Hugging Face tokenizer: its vocabulary, and where words begin.

For data that Premask did not prepare. The rule for words sees token ids alone: a token begins a
word if its spelling shows a blank before it (``Ġ``, ``▁``) or lacks WordPiece's ``##``; a token
of punctuation is a word, and ends the word before it. `premask build` does better: it sees the
text. Costs one pass over the vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask.masking._rows import Vocabulary

_CONTINUED = "##"
_BLANKS = ("Ġ", "▁", "Ċ")
_CLOSED = re.compile(r"\[unused\d+\]|<unused_?\d+>|madeupword\d{4}|<0x[0-9A-F]{2}>")
_SENTINEL = re.compile(r"<extra_id_(\d+)>")
_LONGEST = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRule:
    """Where words begin, by token id.

    Attributes:
        begins_V: bool ``[V]``: the token begins a word.
        alone_V: bool ``[V]``: it is punctuation, a word of its own.
    """

    begins_V: np.ndarray
    alone_V: np.ndarray

    def starts(self, ids_T: np.ndarray) -> np.ndarray:
        """Whether each token of a row begins a word: bool ``[T]``."""
        alone_T = self.alone_V[ids_T]
        starts_T: np.ndarray = self.begins_V[ids_T] | alone_T
        starts_T[1:] |= alone_T[:-1]
        starts_T[:1] = True
        return starts_T


def word_rule(tokenizer: Any) -> WordRule:
    """The rule for `tokenizer`; its family is told by how most of its tokens are spelled."""
    tokens = _tokens(tokenizer)
    continued = sum(token.startswith(_CONTINUED) for token in tokens)
    blank = sum(token.startswith(_BLANKS) for token in tokens)
    if continued >= blank:
        begins = [not token.startswith(_CONTINUED) for token in tokens]
    else:
        begins = [token.startswith(_BLANKS) for token in tokens]
    return WordRule(
        begins_V=np.array(begins), alone_V=np.array([_is_punctuation(t) for t in tokens])
    )


def _is_punctuation(token: str) -> bool:
    text = token.removeprefix(_CONTINUED).lstrip("".join(_BLANKS))
    return bool(text) and all(unicodedata.category(c)[0] in "PS" for c in text)


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """The vocabulary of a Hugging Face tokenizer."""
    tokens = _tokens(tokenizer)
    special = {int(i) for i in tokenizer.all_special_ids}
    sentinels = sorted(
        (int(match[1]), i) for i, t in enumerate(tokens) if (match := _SENTINEL.fullmatch(t))
    )
    special |= {i for _, i in sentinels}
    unknown = tokenizer.unk_token_id
    roles = {
        f"{role}_id": getattr(tokenizer, f"{role}_token_id")
        for role in ("pad", "mask", "bos", "eos", "cls", "sep", "unk")
    }
    prefix, suffix = _template(tokenizer, special)
    special -= {unknown}
    closed = special | {unknown} | {i for i, t in enumerate(tokens) if _CLOSED.fullmatch(t)}
    return Vocabulary(
        size=len(tokens),
        special_ids=tuple(sorted(special)),
        sentinel_ids=tuple(i for _, i in sentinels),
        prefix_ids=prefix,
        suffix_ids=suffix,
        replacement_ranges=tuple(_runs(i for i in range(len(tokens)) if i not in closed)),
        **roles,
    )


def longest_row(tokenizer: Any) -> int:
    """The tokenizer's own limit, or 512 where it states none."""
    limit = int(getattr(tokenizer, "model_max_length", 0))
    return limit if 0 < limit <= _LONGEST else 512


def _tokens(tokenizer: Any) -> list[str]:
    size = len(tokenizer)
    return [str(token) for token in tokenizer.convert_ids_to_tokens(list(range(size)))]


def _template(tokenizer: Any, special: set[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and behind a text."""
    ids = [int(i) for i in tokenizer("a")["input_ids"]]
    plain = [i for i, token in enumerate(ids) if token not in special]
    if not plain:
        return (), ()
    return tuple(ids[: plain[0]]), tuple(ids[plain[-1] + 1 :])


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Half-open ranges that hold exactly these ascending numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
