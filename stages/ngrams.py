"""Counts n-grams of words exactly, per unit and mergeable by addition.

A word is the run of tokens from one word start to the next; an n-gram of words lies within one
row and one document. Its key is the bytes of its tokens, little-endian uint32 each, with
`WORD` set on the first token of every word: so two ways to part the same tokens into words
stay apart, and a key tells its words.

Long n-grams are too many to count at once. An n-gram is at most as frequent as its parts, so a
pass for n counts only those whose two parts of n - 1 words were frequent in the merged counts
of the pass before: still exact, and bounded by what is frequent. Cost: some sorts of the unit's
words per word of n, about 2 µs per word of text and word of n.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from premask._format import BOUNDARIES, INPUT_IDS, Boundary

# Shapes: R rows, T tokens, W words.
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

WORD = 1 << 31  # flag of a word's first token in a key
MAX_WORD_TOKENS = 8  # longer words (links, encoded data) are in no n-gram

NGRAMS = pa.schema(
    [
        pa.field("key", pa.large_binary(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramCounts:
    """How often each n-gram of one length occurs.

    Attributes:
        table: `NGRAMS`, one record per n-gram, in order of keys.
        total: all n-grams of that length, those that were not candidates included.
    """

    table: pa.Table
    total: int

    def __add__(self, other: NgramCounts) -> NgramCounts:
        both = pa.concat_tables([self.table, other.table])
        summed = both.group_by("key").aggregate([("count", "sum")])
        table = _sorted(summed.column("key"), summed.column("count_sum"))
        return NgramCounts(table=table, total=self.total + other.total)

    def frequent(self, min_count: int) -> NgramCounts:
        """Without the n-grams that occur less than `min_count` times."""
        kept = self.table.filter(pc.greater_equal(self.table.column("count"), min_count))
        return NgramCounts(table=kept.combine_chunks(), total=self.total)


def merge_ngrams(parts: Iterable[NgramCounts]) -> NgramCounts:
    """The sum of all parts, whatever their order."""
    return reduce(NgramCounts.__add__, parts, NgramCounts(table=NGRAMS.empty_table(), total=0))


def count_ngrams(rows: pa.Table, order: int, frequent: pa.ChunkedArray | None) -> NgramCounts:
    """Counts the n-grams of `order` words in one unit's rows.

    Args:
        rows: with the columns ``input_ids`` and ``boundaries`` of a shard.
        frequent: keys of the frequent n-grams of ``order - 1`` words; None: count all.
    """
    words = _Words(rows)
    number_W = words.numbers()
    ngram, valid = number_W, np.ones(len(number_W), bool)
    candidate = valid
    for size in range(2, order + 1):
        if size == order and frequent is not None:
            known = _are_frequent(words, ngram, valid, size - 1, frequent)
            candidate = known[:-1] & known[1:]
        ngram = _pair(ngram[:-1], number_W[size - 1 :])
        valid = valid[:-1] & words.joined_W[size - 2 :]
    if frequent is not None and order > 1:
        counted = np.flatnonzero(valid & candidate)
    else:
        counted = np.flatnonzero(valid)
    _, index, counts = np.unique(ngram[counted], return_index=True, return_counts=True)
    table = _sorted(words.keys(counted[index], order), pa.array(counts.astype(np.int64)))
    return NgramCounts(table=table, total=int(np.count_nonzero(valid)))


def _sorted(keys: pa.Array, counts: pa.Array) -> pa.Table:
    table = pa.Table.from_arrays([keys, counts], schema=NGRAMS)
    return table.take(pc.sort_indices(keys)).combine_chunks()


def _are_frequent(
    words: _Words, ngram: Int64, valid: Flags, order: int, frequent: pa.ChunkedArray
) -> Flags:
    """Whether the n-gram that begins at each word is among the frequent ones."""
    at = np.flatnonzero(valid)
    _, index, inverse = np.unique(ngram[at], return_index=True, return_inverse=True)
    known = pc.is_in(words.keys(at[index], order), value_set=frequent)
    result = np.zeros(len(ngram), bool)
    result[at] = known.to_numpy(zero_copy_only=False)[inverse]
    return result


def _pair(left: Int64, right: Int64) -> Int64:
    """Numbers 0, 1, ... for pairs of numbers: equal for equal pairs, without a gap."""
    size = int(right.max(initial=0)) + 1
    _, number = np.unique(left * size + right, return_inverse=True)
    return np.asarray(number, np.int64)


class _Words:
    """The words of a unit's rows, end to end."""

    def __init__(self, rows: pa.Table) -> None:
        ids, bits = (
            pa.chunked_array(rows.column(name).chunks, rows.schema.field(name).type)
            for name in (INPUT_IDS, BOUNDARIES)
        )
        lengths_R = pc.list_value_length(ids).to_numpy().astype(np.int64)
        ids_T = _flat(ids).astype(np.uint32)
        bits_T = _flat(bits)
        text_T = (bits_T & Boundary.SPECIAL) == 0
        border_T = (bits_T & Boundary.DOCUMENT_START) != 0
        border_T[(np.cumsum(lengths_R) - lengths_R)[lengths_R > 0]] = True
        # A row that begins within a word holds a fragment: it has no start, so it is no word.
        start_T = text_T & ((bits_T & Boundary.WORD_START) != 0)
        opens = np.flatnonzero(start_T | border_T | ~text_T)
        ends = np.append(opens[1:], len(bits_T))[: len(opens)]
        whole = start_T[opens] & (ends - opens <= MAX_WORD_TOKENS)
        self.first_W, self.end_W = opens[whole], ends[whole]
        self.coded_T = ids_T | (start_T * np.uint32(WORD))
        # Neighbours, unless something lies between them or the second begins a text.
        follows_W = self.end_W[:-1] == self.first_W[1:]
        self.joined_W = follows_W & ~border_T[self.first_W[1:]]

    def numbers(self) -> Int64:
        """A number for each word, equal for equal words: int64 ``[W]``."""
        number_W = np.zeros(len(self.first_W), np.int64)
        for place in range(MAX_WORD_TOKENS):
            at_W = self.first_W + place
            inside_W = at_W < self.end_W
            if not inside_W.any():
                break
            token_W = np.zeros(len(at_W), np.int64)
            token_W[inside_W] = self.coded_T[at_W[inside_W]].astype(np.int64) + 1
            _, token_W = np.unique(token_W, return_inverse=True)
            number_W = _pair(number_W, token_W.astype(np.int64))
        return number_W

    def keys(self, first: Int64, order: int) -> pa.Array:
        """The keys of the n-grams that begin at the words `first`."""
        start = self.first_W[first]
        sizes = self.end_W[first + order - 1] - start
        offsets = np.append(np.int64(0), np.cumsum(sizes))
        place = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], sizes)
        data = self.coded_T[place].astype("<u4")
        buffers = [None, pa.py_buffer((offsets * 4).tobytes()), pa.py_buffer(data.tobytes())]
        return pa.Array.from_buffers(pa.large_binary(), len(first), buffers)


def _flat(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    chunks = [chunk.flatten().to_numpy() for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.uint8)
