"""Finds collocations: n-grams of words that are more than their parts.

The score of an n-gram is the least, over all ways to split it into shorter n-grams, of
``log2(p(n-gram)**2 / product of p(part))``, in bits (Levine et al. 2021, PMI-Masking). So "the
United States" does not win by the strength of "United States" alone. Every p is a share of the
n-grams of its length. An n-gram that its parts would form as often by chance is left out. n is
2 to 5; the table is filled by length in the proportions of that paper (half of it pairs, a
quarter triples, an eighth each of four and five words).

The result is the table ``collocations`` of a shard set, read by the policy ``pmi``: its first
column is a fixed-size list of token ids, filled up with -1.

Takes one pass over the shards for each n, and memory for what is frequent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from premask.masking.race import log2
from premask.stages.ngrams import WORD, NgramCounts, count_ngrams, merge_ngrams

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

MAX_WORDS = 5
COLLOCATIONS = "collocations"
_SHARES = {2: 4, 3: 2, 4: 1, 5: 1}  # eighths of the table


def find_collocations(
    read_units: Callable[[], Iterable[pa.Table]],
    *,
    min_count: int = 10,
    max_entries: int = 800_000,
    max_words: int = MAX_WORDS,
) -> pa.Table:
    """The collocations of a shard set.

    Args:
        read_units: gives the rows of each unit (``input_ids`` and ``boundaries``); called once
            per length.
        min_count: rarer n-grams are no collocations.
        max_entries: the most entries of all lengths together.
        max_words: the longest, 2 to 5.

    Returns:
        One record per collocation, by length and falling score: ``ngram`` (token ids, a
        fixed-size list of int32 filled up with -1), ``words``, ``count`` and ``score``.
    """
    counts: list[NgramCounts] = []
    for order in range(1, max_words + 1):
        known = counts[-1].table.column("key") if counts else None
        parts = (count_ngrams(rows, order, known) for rows in read_units())
        counts.append(merge_ngrams(parts).frequent(min_count))
    return collocation_table(counts, max_entries=max_entries)


def collocation_table(counts: Sequence[NgramCounts], *, max_entries: int) -> pa.Table:
    """Ranks n-grams from the frequent ones of every length, from single words upwards."""
    shares = sum(_SHARES[order] for order in range(2, len(counts) + 1))
    parts = []
    for order in range(2, len(counts) + 1):
        grams = Ngrams(counts[order - 1], order)
        score_N, surprise_N = grams.scores(counts)
        # Ties go by key, in which the table is sorted: the order is the same on every run.
        best = np.argsort(-score_N, kind="stable")
        best = best[surprise_N[best] > 0][: max_entries * _SHARES[order] // shares]
        parts.append((grams, best, score_N[best]))
    width = max((int(g.sizes_N[best].max(initial=1)) for g, best, _ in parts), default=1)
    ids = [grams.tokens(best, width) for grams, best, _ in parts]
    flat = np.concatenate([np.zeros((0, width), np.int32), *ids]).ravel()
    count = [g.counts_N[best] for g, best, _ in parts]
    words = [np.full(len(best), g.order, np.uint8) for g, best, _ in parts]
    return pa.table(
        {
            "ngram": pa.FixedSizeListArray.from_arrays(pa.array(flat), width),
            "words": pa.array(np.concatenate([np.zeros(0, np.uint8), *words])),
            "count": pa.array(np.concatenate([np.zeros(0, np.int64), *count])),
            "score": pa.array(np.concatenate([np.zeros(0), *(s for *_, s in parts)])),
        }
    )


class Ngrams:
    """The N n-grams of one length, their tokens laid end to end."""

    def __init__(self, counts: NgramCounts, order: int) -> None:
        table = counts.table
        self.order = order
        self.counts_N: Int64 = table.column("count").to_numpy()
        keys = table.column("key").combine_chunks()
        keys = keys.chunk(0) if isinstance(keys, pa.ChunkedArray) and keys.num_chunks else keys
        self.sizes_N: Int64 = pc.binary_length(keys).to_numpy().astype(np.int64) // 4
        self._first_N = np.cumsum(self.sizes_N) - self.sizes_N
        self._coded = np.frombuffer(b"".join(keys.to_pylist()), "<u4")
        starts = np.flatnonzero(self._coded & WORD)
        ends = (self._first_N + self.sizes_N)[:, None]
        self._words = np.hstack([starts.reshape(-1, order), ends])  # [N, order + 1]

    def tokens(self, chosen: Int64, width: int) -> npt.NDArray[np.int32]:
        """Token ids of the chosen n-grams: int32 ``[chosen, width]``, filled with -1."""
        place = self._first_N[chosen, None] + np.arange(width)
        inside = np.arange(width) < self.sizes_N[chosen, None]
        ids = (
            self._coded[np.where(inside, place, 0)] & np.uint32(WORD - 1) if len(chosen) else 0
        )
        return np.where(inside, ids, -1).astype(np.int32)

    def scores(self, counts: Sequence[NgramCounts]) -> tuple[Float64, Float64]:
        """The score of each n-gram, and its mutual information with its likeliest parts."""
        bits = {
            (i, j): self._bits(i, j, counts[j - i - 1])
            for i in range(self.order)
            for j in range(i + 1, self.order + 1)
        }
        whole = bits.pop((0, self.order))
        # best[j]: the likeliest way to split the first j words.
        best = [np.zeros(len(whole))]
        for j in range(1, self.order + 1):
            ways = [best[i] + bits[i, j] for i in range(j) if (i, j) in bits]
            best.append(np.maximum.reduce(ways))
        return 2 * whole - best[-1], whole - best[-1]

    def _bits(self, i: int, j: int, counts: NgramCounts) -> Float64:
        """``log2`` of the share of the words ``i:j`` among all n-grams of that length."""
        start, end = self._words[:, i], self._words[:, j]
        offsets = np.append(np.int64(0), np.cumsum(end - start))
        place = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], end - start)
        data = self._coded[place]
        buffers = [None, pa.py_buffer((offsets * 4).tobytes()), pa.py_buffer(data.tobytes())]
        keys = pa.Array.from_buffers(pa.large_binary(), len(start), buffers)
        index = pc.index_in(keys, value_set=counts.table.column("key")).to_numpy()
        return log2(counts.table.column("count").to_numpy()[index] / max(1, counts.total))
