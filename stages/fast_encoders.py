"""Which encoders may stand in for a tokenizer, told from its own parts.

In this order: gigatoken for byte-level BPE, where it is installed; the cache of pieces for
every tokenizer of which `premask.stages.piece_borders` knows where it cuts. The first that
takes a block encodes it, and is held to the tokenizer's results by `premask.stages.encode`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec

from premask.stages.piece_borders import Family, NoBorders, family_of
from premask.stages.tokenizer_words import Rule
from premask.stages.tokens import BlockEncoder, Int64, Tokens, Uint8
from tokenizers import Tokenizer

PATIENCE = 1 << 19  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FastPath:
    """What encodes faster than a tokenizer.

    Attributes:
        encoders: in the order in which they are asked.
        why_not: the reason where there are none, else empty.
    """

    encoders: tuple[BlockEncoder, ...]
    why_not: str = ""

    def __str__(self) -> str:
        """For users: what will encode."""
        names = ", else ".join(encoder.name for encoder in self.encoders)
        return names or f"the tokenizer itself, as {self.why_not}"


class PatientPieceCache:
    """A `PieceCache` once it pays: a `BlockEncoder`.

    To load its compiled loops takes as long as the tokenizer itself takes for a megabyte or two
    of text, so the first `patience` bytes are left to the tokenizer.

    Attributes:
        parts: what a `PieceCache` is made of.
    """

    def __init__(self, encoder: Tokenizer, family: Family, *, patience: int = PATIENCE) -> None:
        self.name = "piece cache"
        self.usable = True
        self.parts = encoder, family
        self._patience = patience
        self._cache: BlockEncoder | None = None

    def encode(self, text: Uint8, splits: Int64, *, with_offsets: bool) -> Tokens | None:
        """The tokens of a block of documents, as `PieceCache` gives them."""
        self._patience -= len(text)
        if self._patience >= 0:
            return None
        if self._cache is None:
            from premask.stages.piece_cache import PieceCache

            self._cache = PieceCache(*self.parts)
        return self._cache.encode(text, splits, with_offsets=with_offsets)


def fast_path(encoder: Tokenizer, rule: Rule) -> FastPath:
    """The encoders for a tokenizer without special tokens, whose words are found by `rule`."""
    if rule == "word_ids":
        return FastPath(encoders=(), why_not="only it can tell where words begin")
    content = encoder.to_str()
    try:
        family = family_of(json.loads(content))
    except NoBorders as error:
        return FastPath(encoders=(), why_not=str(error))
    encoders: list[BlockEncoder] = [PatientPieceCache(encoder, family)]
    if family == "byte_level" and find_spec("gigatoken") is not None:
        from premask.stages.byte_pairs import BytePairs

        # It refuses what `tokenizers` takes: a vocabulary that lacks the token of a byte, say.
        with suppress(RuntimeError, ValueError):
            encoders.insert(0, BytePairs(content))
    return FastPath(encoders=tuple(encoders))
