"""Turns token ids back into something to read. Loads the set's tokenizer, about half a second.

A token's text begins with a blank where a word begins, whatever the tokenizer's own mark for
that is; special tokens are shown by their names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from premask._errors import FormatError
from premask._format import TOKENIZER_FILE
from premask.stages.tokenizer_words import byte_alphabet

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CLOSING = frozenset(",.;:!?)]}%’”'\"")
_OPENING = frozenset("([{“‘")

# token id -> text, with a leading blank where it opens a word
Speller = Callable[[int], str]


def set_tokenizer(data: bytes) -> Tokenizer:
    """The tokenizer that a set carries, from the bytes of its file.

    Raises:
        FormatError: it is damaged.
    """
    from premask.stages.tokenizer import parse_tokenizer

    try:
        return parse_tokenizer(data.decode())
    except ValueError as error:
        raise FormatError(
            f"the `tokenizers` library refuses the set's tokenizer: {error}; copy or build the "
            "set again",
            location=TOKENIZER_FILE,
        ) from error


def speller(tokenizer_json: bytes, special_ids: Sequence[int]) -> Speller:
    """The function from token ids to text for a ``tokenizer.json``.

    Raises:
        FormatError: it is damaged.
    """
    tokenizer = set_tokenizer(tokenizer_json)
    content = json.loads(tokenizer.to_str())  # old files leave out defaults
    byte_level = "ByteLevel" in json.dumps(
        [content.get("pre_tokenizer"), content.get("decoder")]
    )
    blank = "▁" if not byte_level and b"Metaspace" in tokenizer_json else None
    continuation = content["model"].get("continuing_subword_prefix")
    alphabet = byte_alphabet()
    special = frozenset(special_ids)

    @lru_cache(maxsize=1 << 16)
    def spell(token_id: int) -> str:
        token = tokenizer.id_to_token(token_id)
        if token is None:
            return f" <{token_id}>"
        if token_id in special:
            return f" {token}"
        if byte_level:
            raw = bytes(alphabet[c] for c in token if c in alphabet)
            return raw.decode("utf-8", errors="replace")
        if blank is not None:
            return str(token.replace(blank, " "))
        if continuation and token.startswith(continuation):
            return str(token.removeprefix(continuation))
        return str(token) if token[0] in _CLOSING else f" {token}"

    return spell


def plain_ids(token_id: int) -> str:
    """What is shown for a token where no tokenizer is known."""
    return f" {token_id}"


def join(texts: Sequence[str]) -> list[str]:
    """The texts with blanks taken out that nobody writes: after an opening bracket, say."""
    joined: list[str] = []
    for text in texts:
        after_opening = bool(joined) and joined[-1][-1:] in _OPENING
        joined.append(text.removeprefix(" ") if after_opening else text)
    return joined
