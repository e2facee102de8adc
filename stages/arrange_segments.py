"""Rows of two segments: BERT's next-sentence pairs and ALBERT's sentence order.

Both gather sentences of a document until they have a row's tokens, and part them at a uniformly
drawn sentence. **segment_pairs** (Devlin et al., 2019): with probability 1/2, and always where
there is one sentence only, the second segment is taken from another document instead, from a
uniformly drawn sentence on, and the sentences that it displaced begin the next row (label 1).
**sentence_order** (Lan et al., 2020): with probability 1/2 the segments are swapped (label 1).
What does not fit is taken off the longer segment, token by token, from either end by a coin.

Where this differs from the published code, on purpose:

- A label is true by construction: the other document is uniform among the *others* of a window
  (`premask.stages.windows`), and where there is none the segments follow each other.
- One sentence alone, where no other document may be used, is parted at a word: no document is
  left out for having one sentence. A single word is dropped, and counted.
- A sentence longer than a row counts as several of half a row, so that it is not cut off.
- The length of short rows is drawn for each row, not once per document.

Counted: ``random_next``, of these ``forced_random_next``; ``borrowed_tokens`` of random second
segments; ``truncated_tokens``, the document's own that were cut off. So the text tokens of rows
are those of documents (times `dupe_factor`) minus truncated, minus dropped, plus borrowed.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from premask._format import BOUNDARIES, Boundary
from premask.stages.arrange_stream import sentence_borders
from premask.stages.cut_rows import Row
from premask.stages.layout import Numbering
from premask.stages.plain_loops import Int64
from premask.stages.row_identity import below
from premask.stages.token_stream import TokenStream
from premask.stages.windows import windows

Stretch = tuple[int, int]


def cut_segments(
    numbering: Numbering, stream: TokenStream, start: int, is_last: bool
) -> tuple[list[Row], int]:
    """Rows of the documents in every complete window from `start` on."""
    rows: list[Row] = []
    of_order = numbering.layout.rows.arrangement == "sentence_order"
    for begin, end in windows(stream, start, is_last, least_documents=2):
        pool = _Pool.of(stream, begin, end, numbering.layout.capacity)
        chooser = _Segments(numbering=numbering, stream=stream, pool=pool)
        for document in range(pool.num_documents):
            first, last = pool.firsts[document], pool.firsts[document + 1]
            while first < last:
                choose = chooser.in_order if of_order else chooser.next_or_not
                row, first = choose(document, first, last)
                rows += row
        start = end
    return rows, start


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """The sentences of a window.

    Attributes:
        borders: where each begins, and where the last ends.
        firsts: the number of each document's first sentence, and of all.
    """

    borders: list[int]
    firsts: list[int]

    @property
    def num_documents(self) -> int:
        return len(self.firsts) - 1

    @classmethod
    def of(cls, stream: TokenStream, start: int, stop: int, longest: int) -> _Pool:
        borders = _divided(sentence_borders(stream, start, stop), longest)
        starts = stream.document_starts
        documents = starts[(starts >= start) & (starts < stop)]
        firsts = np.searchsorted(borders, documents)
        return cls(borders=borders.tolist(), firsts=[*firsts.tolist(), len(borders) - 1])

    def until(self, first: int, last: int, length: int) -> int:
        """The end of the fewest sentences from `first` on with `length` tokens, or `last`."""
        wanted = self.borders[first] + length
        return bisect_left(self.borders, wanted, first + 1, last)

    def stretch(self, first: int, last: int) -> Stretch:
        return self.borders[first], self.borders[last]


def _divided(borders: Int64, longest: int) -> Int64:
    """Borders with further ones in sentences of more than `longest` tokens.

    They are divided into halves of that, two of which make a row without any loss.
    """
    lengths = np.diff(borders)
    if (lengths <= longest).all():
        return borders
    half = (longest + 1) // 2
    parts = np.where(lengths > longest, -(-lengths // half), 1)
    number = np.arange(int(parts.sum())) - np.repeat(np.cumsum(parts) - parts, parts)
    return np.append(np.repeat(borders[:-1], parts) + number * half, borders[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segments:
    """Makes one row at a time. Sentences are numbers of the pool."""

    numbering: Numbering
    stream: TokenStream
    pool: _Pool

    def next_or_not(self, document: int, first: int, last: int) -> tuple[list[Row], int]:
        """A row from sentence `first` on, and the sentence at which the next row begins."""
        numbering, pool = self.numbering, self.pool
        words = numbering.identity.words(numbering.ordinal)
        length = numbering.length()
        end = pool.until(first, last, length)
        is_alone = end - first == 1
        if pool.num_documents == 1 or not (is_alone or words[1] >> 63):
            end = self._divisible(first, end, last)
            one, two = self._parted(first, end, words)
            return self._row(one, two), end
        middle = first + 1 if is_alone else first + 1 + below(words[0], end - first - 1)
        one = pool.stretch(first, middle)
        two = self._elsewhere(document, words, length - (one[1] - one[0]))
        numbering.count("random_next", 1)
        numbering.count("forced_random_next", int(is_alone))
        return self._row(one, two, is_random=True), middle

    def in_order(self, _document: int, first: int, last: int) -> tuple[list[Row], int]:
        """A row of all sentences that it takes from `first` on, as in order or swapped."""
        numbering = self.numbering
        words = numbering.identity.words(numbering.ordinal)
        end = self._divisible(first, self.pool.until(first, last, numbering.length()), last)
        one, two = self._parted(first, end, words)
        return self._row(one, two, is_swapped=bool(words[1] >> 63)), end

    def _divisible(self, first: int, end: int, last: int) -> int:
        """The end of sentences that make two segments: one more if there is a single word."""
        if end - first > 1 or end == last:
            return end
        return end if len(self._inner_words(*self.pool.stretch(first, end))) else end + 1

    def _parted(self, first: int, end: int, words: tuple[int, ...]) -> tuple[Stretch, Stretch]:
        """Two segments that follow each other; the second is empty where there is one word."""
        pool = self.pool
        if end - first > 1:
            middle = first + 1 + below(words[0], end - first - 1)
            return pool.stretch(first, middle), pool.stretch(middle, end)
        start, stop = pool.stretch(first, end)
        starts = self._inner_words(start, stop)
        cut = int(starts[below(words[0], len(starts))]) if len(starts) else stop
        return (start, cut), (cut, stop)

    def _inner_words(self, start: int, stop: int) -> Int64:
        """Where words begin after the first one."""
        bits = self.stream.columns[BOUNDARIES][start + 1 : stop]
        found: Int64 = np.flatnonzero(bits & Boundary.WORD_START) + start + 1
        return found

    def _elsewhere(self, document: int, words: tuple[int, ...], length: int) -> Stretch:
        """Sentences of another document, from a uniform one on, with `length` tokens if any."""
        pool = self.pool
        other = below(words[2], pool.num_documents - 1)
        other += other >= document
        first, last = pool.firsts[other], pool.firsts[other + 1]
        start = first + below(words[3], last - first)
        return pool.stretch(start, pool.until(start, last, length))

    def _row(
        self, one: Stretch, two: Stretch, *, is_random: bool = False, is_swapped: bool = False
    ) -> list[Row]:
        """The row of two segments, or none where they are too short."""
        numbering = self.numbering
        own = one if is_random else (one[0], two[1])
        fitted = self._fitted(one, two)
        sizes = [stop - start for start, stop in fitted]
        if not sizes[1] or sum(sizes) < numbering.layout.rows.min_length:
            numbering.drop(self.stream, *own)
            return []
        borrowed = sizes[1] if is_random else 0
        numbering.count("borrowed_tokens", borrowed)
        numbering.count("truncated_tokens", own[1] - own[0] - (sum(sizes) - borrowed))
        pieces = fitted[::-1] if is_swapped else fitted
        label = int(is_random or is_swapped)
        return [numbering.make(*pieces, label=label, borrows=is_random)]

    def _fitted(self, one: Stretch, two: Stretch) -> tuple[Stretch, Stretch]:
        """The segments without what does not fit, taken off the longer, at a tie the second."""
        sizes = one[1] - one[0], two[1] - two[0]
        excess = sum(sizes) - self.numbering.layout.capacity
        if excess <= 0:
            return one, two
        longer = int(sizes[1] > sizes[0])
        off = [0, 0]
        off[longer] = min(excess, abs(sizes[0] - sizes[1]))
        rest = excess - off[longer]
        off = [off[0] + rest // 2, off[1] + rest - rest // 2]
        identity, ordinal = self.numbering.identity, self.numbering.ordinal
        front = identity.heads(ordinal, 0, off[0]), identity.heads(ordinal, off[0], off[1])
        return (
            (one[0] + front[0], one[1] - off[0] + front[0]),
            (two[0] + front[1], two[1] - off[1] + front[1]),
        )
