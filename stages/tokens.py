"""What every way to encode gives: the tokens of documents, end to end.

A `BlockEncoder` is one such way that is faster than the tokenizer itself, for the tokenizers
that allow it: `premask.stages.piece_cache`, `premask.stages.byte_pairs`. Which one is taken
says `premask.stages.encode`, which also holds it to the tokenizer's own results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Encoding

# Shapes: D documents, T tokens of all of them.
Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]
Uint32 = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of documents; what was not asked for is empty or None.

    Attributes:
        ids_T: their ids.
        splits: int64 ``[D + 1]``: where each document's tokens begin.
        starts_T, ends_T: code points of their documents.
        words_T: whether each begins a word, where only the tokenizer can tell.
    """

    ids_T: Uint32
    splits: Int64
    starts_T: Int64
    ends_T: Int64
    words_T: npt.NDArray[np.bool_] | None = None


class BlockEncoder(Protocol):
    """Gives the tokens of a tokenizer, faster.

    Attributes:
        name: for the log.
        usable: cleared for good when the tokenizer was seen to give other tokens.
    """

    name: str
    usable: bool

    def encode(self, text: Uint8, splits: Int64, *, with_offsets: bool) -> Tokens | None:
        """The tokens of a block of documents; None where the tokenizer itself is better.

        `text` is UTF-8, documents end to end; `splits` are int64 ``[D + 1]`` positions in it.
        """
        ...


def flat_ids(encodings: Sequence[Encoding]) -> tuple[Uint32, list[int]]:
    """The ids of encodings end to end, uint32 ``[T]``, and how many each has."""
    ids = [encoding.ids for encoding in encodings]
    lengths = list(map(len, ids))
    return np.fromiter(chain.from_iterable(ids), np.uint32, sum(lengths)), lengths


def flat_offsets(encodings: Sequence[Encoding], num_tokens: int) -> npt.NDArray[np.int32]:
    """Where their tokens begin and end in what was encoded, in code points: ``[2, T]``."""
    pairs = chain.from_iterable(encoding.offsets for encoding in encodings)
    flat = np.fromiter(chain.from_iterable(pairs), np.int32, 2 * num_tokens)
    return flat.reshape(-1, 2).T


def buffers(texts: pa.LargeStringArray) -> tuple[Int64, Uint8]:
    """Where documents begin and end in the bytes of a column, and those bytes, not copied."""
    _, offsets, data = texts.buffers()
    splits = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return splits, np.frombuffer(data or b"", np.uint8)
