"""BART's text infilling: spans of Poisson length over whole words.

Law: Lewis et al. (ACL 2020), fairseq's ``add_whole_word_mask``. Lengths are drawn until
they sum to ``ceil(words * rate)``, the last one cut to fit; lengths of zero insert a mask;
the others go to distinct uniformly random words. Spans may overlap, and then merge: less is
hidden than was drawn. A span that reaches the end of its segment stops there. Cost: four sorts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from premask.masking._backend import (
    Array,
    constant,
    cumsum,
    gather,
    lookup,
    namespace,
    positions,
    shift_right,
    total,
)
from premask.masking.objectives._arrays import clip, compact, inverse, running_max
from premask.masking.objectives._chance import cumulative, pick, shuffled
from premask.masking.objectives._layout import Layout

SPARE_DRAWS = 32  # a row of n words draws at most n + 32 lengths, so that drawing ends
_NEGLIGIBLE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """What is hidden: `first` and `rest` of every run of hidden text, bool ``[B, L]``.

    `inserts` int32 ``[B, 1]`` is the number of spans of length zero.
    """

    first: Array
    rest: Array
    inserts: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLaw:
    """How many words are drawn by number of words, and the law of span lengths.

    `thresholds` None means that every span is one word.
    """

    budgets: np.ndarray
    thresholds: tuple[int, ...] | None
    bits: int

    def __call__(self, where: Layout, starts: Array, select: Array, draws: Array) -> Spans:
        """Hides spans of words that begin at `starts` (bool ``[B, L]``).

        `select` are random words ``[B, L]``, `draws` at least ``[B, L + SPARE_DRAWS]``.
        """
        xp = namespace(select)
        num_words = total(starts)
        budget = lookup(
            constant(select, self.budgets), clip(num_words, 0, len(self.budgets) - 1)
        )
        lengths, drawn, inserts = self._lengths(budget, num_words, draws, starts.shape[1])
        turn = inverse(shuffled(select, starts, self.bits))
        length = xp.where(starts & (turn < drawn), gather(lengths, turn), 0)
        # Words are numbered with a gap at every segment that no span can bridge.
        gap = 1 + len(self.thresholds or ())
        word = cumsum(starts) + gap * cumsum(where.segment_start)
        reach = running_max(xp.where(length > 0, word + length, 0))
        covered = where.text & (shift_right(reach, 1, 0) > word)
        return Spans(first=(length > 0) & ~covered, rest=covered, inserts=inserts)

    def _lengths(
        self, budget: Array, num_words: Array, draws: Array, width: int
    ) -> tuple[Array, Array, Array]:
        """Positive span lengths in drawing order, their number, and the number of zeros."""
        xp = namespace(draws)
        if self.thresholds is None:
            ones = positions(draws, width) * 0 + 1 + budget * 0
            return ones, budget, budget * 0
        length = pick(draws, self.thresholds)
        before = cumsum(length) - length
        live = (before < budget) & (positions(draws, draws.shape[1]) < num_words + SPARE_DRAWS)
        length = xp.where(before + length > budget, budget - before, length)
        positive, count = compact(length, live & (length > 0), width=width, fill=0)
        return positive, count, total(live & (length == 0))


def poisson_thresholds(mean: float) -> tuple[int, ...]:
    """Thresholds of the Poisson law, without the lengths less likely than one in 10 million."""
    chances = [math.exp(-mean)]
    while len(chances) < 127 and (chances[-1] >= _NEGLIGIBLE or len(chances) <= mean):
        chances.append(chances[-1] * mean / len(chances))
    return cumulative(chances)
