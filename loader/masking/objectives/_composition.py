"""T5's noise: two uniformly random compositions, interleaved; and its periodic variant.

All masks with the given numbers of noise tokens and spans, beginning with a kept token and
ending with noise, are equally likely. Source: ``random_spans_noise_mask`` and
``regular_noise_mask`` of T5 (Raffel et al., JMLR 2020). Cost: five sorts, one twice as wide.

Noise is drawn over the text tokens of a row alone. A span that would run over a special token
or a document's start is cut in two there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from premask.masking._backend import (
    INT32_MAX,
    Array,
    concat,
    constant,
    cumsum,
    gather,
    lookup,
    namespace,
    positions,
    sort,
)
from premask.masking.objectives._arrays import clip
from premask.masking.objectives._chance import choose, pick, uniform
from premask.masking.objectives._layout import Layout
from premask.masking.threefry import ROW, SELECT, words


class NoiseLaw(Protocol):
    """What a span-corrupting objective hides, and the most that it may hide."""

    def max_noise(self, length: int) -> int:
        """Most noise tokens in a row of at most `length` tokens."""

    def max_runs(self, length: int) -> int:
        """Most runs of noise in one segment of at most `length` tokens."""

    def __call__(self, layout: Layout, key: Array, denoiser: Array) -> Array:
        """The noise of every row: bool ``[B, L]``; `denoiser` is int32 ``[B, 1]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanNoise:
    """Random spans, by one of M denoisers per row.

    Attributes:
        noise, spans: int32 ``[M, max_length + 1]``, by number of text tokens.
        roll: bool ``[M, max_length + 1]``, whether the mask is rolled by a uniform offset.
        bits: `Binding.position_bits`.
    """

    noise: np.ndarray
    spans: np.ndarray
    roll: np.ndarray
    bits: int

    def max_noise(self, length: int) -> int:
        """Most noise tokens in a row of at most `length` tokens."""
        return int(self.noise[:, : length + 1].max())

    def max_runs(self, length: int) -> int:
        """Most runs of noise in one segment of at most `length` tokens."""
        runs = self.spans + (self.roll & (self.spans > 0))  # a roll may wrap a span around
        return int(runs[:, : length + 1].max())

    def __call__(self, layout: Layout, key: Array, denoiser: Array) -> Array:
        """The noise of every row: bool ``[B, L]``; `denoiser` is int32 ``[B, 1]``."""
        xp = namespace(key)
        length = layout.text.shape[1]
        size = self.noise.shape[1]
        cell = denoiser * size + clip(layout.num_text, 0, size - 1)
        noise, spans, roll = (
            lookup(constant(key, table.astype(np.int32).ravel()), cell)
            for table in (self.noise, self.spans, self.roll)
        )
        num_text = layout.num_text
        draws = words(key, length, SELECT)
        mask = composition_mask(
            draws, num_tokens=num_text, noise=noise, spans=spans, bits=self.bits
        )
        offset = uniform(words(key, 1, ROW)[1], clip(num_text, 1, INT32_MAX))
        source = layout.rank - xp.where(roll > 0, offset, 0)
        source = xp.where(source < 0, source + num_text, source)
        return gather(mask, clip(source, 0, length - 1)) & layout.text


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularNoise:
    """Spans of one length per row, at regular distances, from a random offset.

    Attributes:
        periods: distance from span to span, by span length minus 1.
    """

    periods: tuple[int, ...]

    def max_noise(self, length: int) -> int:
        """Most noise tokens in a row of at most `length` tokens."""
        sizes = enumerate(self.periods, 1)
        return max(min(length, -(-length // period) * span) for span, period in sizes)

    def max_runs(self, length: int) -> int:
        """Most runs of noise in one segment of at most `length` tokens."""
        return max(-(-length // period) + 1 for period in self.periods)

    def __call__(self, layout: Layout, key: Array, denoiser: Array) -> Array:
        """The noise of every row: bool ``[B, L]``; there is one denoiser only."""
        first, second = words(key, 1, ROW)
        even = [round(k * 2**31 / len(self.periods)) - 1 for k in range(1, len(self.periods))]
        span = pick(first, even) + denoiser * 0
        period = lookup(constant(key, self.periods), span)
        offset = uniform(second, period)
        return ((layout.rank + offset) % period <= span) & layout.text


def composition_mask(
    draws: tuple[Array, Array], *, num_tokens: Array, noise: Array, spans: Array, bits: int
) -> Array:
    """Noise of rows that are text only: bool ``[B, L]``.

    Args:
        draws: two words per position.
        num_tokens, noise, spans: int32 ``[B, 1]``; a row with noise has
            ``1 <= spans <= min(noise, num_tokens - noise)``.
        bits: `Binding.position_bits`.
    """
    xp = namespace(draws[0])
    length = draws[0].shape[1]
    item = positions(draws[0], length)
    kept = num_tokens - noise
    noise_starts, noise_segment = _segments(draws[0], noise, spans, bits)
    kept_starts, kept_segment = _segments(draws[1], kept, spans, bits)
    # A noise item of segment j stands behind the kept segments 0..j, a kept item of segment j
    # behind the noise segments 0..j-1; a segment's start counts the items before it.
    before = gather(kept_starts, noise_segment)
    noise_at = item + xp.where(noise_segment < spans - 1, before, kept)
    before = gather(noise_starts, clip(kept_segment - 1, 0, length - 1))
    kept_at = item + xp.where(kept_segment > 0, before, 0)
    marked = [
        xp.where(item < noise, noise_at * 2 + 1, INT32_MAX),
        xp.where(item < kept, kept_at * 2, INT32_MAX),
    ]
    merged = sort(concat(marked))[:, :length]
    return ((merged & 1) == 1) & (merged != INT32_MAX)


def _segments(word: Array, items: Array, segments: Array, bits: int) -> tuple[Array, Array]:
    """A random composition of `items` into `segments`.

    Returns:
        the starts of segments 1, 2, ... in order, and each item's segment; int32 ``[B, L]``.
    """
    length = word.shape[1]
    item = positions(word, length)
    opens = choose(word, (item >= 1) & (item < items), segments - 1, bits)
    starts = sort(namespace(word).where(opens, item, length))
    return starts, clip(cumsum(opens), 0, length - 1)
