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

from premask.stages.piece_borders import NoBorders, family_of
from premask.stages.piece_cache import PieceCache
from premask.stages.tokenizer_words import Rule
from premask.stages.tokens import BlockEncoder
from tokenizers import Tokenizer


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


def fast_path(encoder: Tokenizer, rule: Rule) -> FastPath:
    """The encoders for a tokenizer without special tokens, whose words are found by `rule`."""
    if rule == "word_ids":
        return FastPath(encoders=(), why_not="only it can tell where words begin")
    content = encoder.to_str()
    try:
        family = family_of(json.loads(content))
    except NoBorders as error:
        return FastPath(encoders=(), why_not=str(error))
    encoders: list[BlockEncoder] = [PieceCache(encoder, family)]
    if family == "byte_level" and find_spec("gigatoken") is not None:
        from premask.stages.byte_pairs import BytePairs

        # It refuses what `tokenizers` takes: a vocabulary that lacks the token of a byte, say.
        with suppress(RuntimeError, ValueError):
            encoders.insert(0, BytePairs(content))
    return FastPath(encoders=tuple(encoders))
