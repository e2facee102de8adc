"""Weighted races in integers: fixed-point logarithms of random variates.

A weighted race (Efraimidis and Spirakis 2006) draws an exponential variate per candidate,
divides it by the weight and lets the smallest win. In the log domain that is
``log2(variate) - log2(weight)``; here both are integers with 16 fraction bits, so that NumPy,
torch and JAX pick the same winners (a float32 logarithm differs between them in every fifth
value). Inclusion is that of successive sampling, which is not proportional to the weights.
Where rates are meant, Pareto sampling (Rosen 1997) races ``logit(u) - logit(p)`` instead:
inclusion follows `p` to about 1.5 %.

`u` is a 31-bit word. Each function is a table with linear interpolation: 4096 steps over the
whole range, then three finer tables towards each end, each from 2**-6 of the range of the one
before. The error stays below 0.001 octave, but for the last hundred of the 2**31 words at
either end, where it reaches half an octave.
The tables are computed with additions, multiplications and divisions alone, no ``libm``, so
they are the same on every machine; a test holds their SHA-256.
Cost: two gathers from a table of 112 KiB and about 30 elementwise operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from premask.masking._backend import Array, Table, clip, lookup, namespace
from premask.masking.threefry import shift_right_logical

FRACTION_BITS = 16

_LN2 = 0.6931471805599453
_STEPS = 1 << 12
_LEVELS = (19, 13, 7, 1)  # word bits below a step, of the whole range and of each finer table
_TOP = (1 << 31) - 1
# log2(variate) reaches down to -31 and log2(weight) up to 13: 44 octaves keep keys positive.
_OFFSET = 44 << FRACTION_BITS
_KEY_BITS = 22
_WEIGHT_LIMIT = 12 << 8


def natural_log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive float64, in IEEE basic operations alone.

    Exact to about 1e-15, and the same bits on every machine, which `numpy.log` is not.
    """
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2, mantissa)
    fraction = _twice_atanh((mantissa - 1) / (mantissa + 1))
    values: np.ndarray = fraction + (exponent - low) * _LN2
    return values


def log2(x: np.ndarray) -> np.ndarray:
    """Binary logarithm of positive float64; see `natural_log`."""
    values: np.ndarray = natural_log(x) / _LN2
    return values


def _twice_atanh(t: np.ndarray) -> np.ndarray:
    square = t * t
    series: np.ndarray = np.zeros_like(square)
    for odd in range(45, 0, -2):
        series = series * square + 1 / odd
    values: np.ndarray = 2 * t * series
    return values


def _log2_exponential(u: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """log2(-ln(u)), from whichever of `u` and ``rest = 1 - u`` is small."""
    near_one = _twice_atanh(rest / (2 - rest))
    values: np.ndarray = np.where(u < 0.5, -natural_log(u), near_one)
    return log2(values)


def _log2_odds(u: np.ndarray, rest: np.ndarray) -> np.ndarray:
    values: np.ndarray = log2(u) - log2(rest)
    return values


def _build(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Seven tables in a row: the whole range, three towards 0, three towards 1."""
    steps = np.arange(_STEPS + 1, dtype=np.float64)
    # Neither end of the range is reached; half a word stands in for it.
    steps[0] = 0.25
    pieces = []
    for bits in _LEVELS:
        near = steps * 2.0 ** (bits - 31)
        near = np.minimum(near, 1 - 2.0**-33)
        pieces.append(function(near, 1 - near))
    for bits in _LEVELS[1:]:
        near = steps * 2.0 ** (bits - 31)
        pieces.append(function(1 - near, near))
    scaled = np.concatenate(pieces) * (1 << FRACTION_BITS)
    return np.floor(scaled + 0.5).astype(np.int32)


@cache
def exponential_table() -> Table:
    """The table of `log2_exponential`, int32, built on first use."""
    return Table(_build(_log2_exponential))


@cache
def odds_table() -> Table:
    """The table of `log2_odds`, int32, built on first use."""
    return Table(_build(_log2_odds))


def _interpolate(number: Array, table: Table) -> Array:
    """The tabulated function of a 31-bit `number`, with 16 fraction bits."""
    xp = namespace(number)
    rest = _TOP - number
    near = xp.where(number < rest, number, rest)
    index, fraction = number >> 19, (number & ((1 << 19) - 1)) >> 7
    for level, bits in enumerate(_LEVELS[1:], 1):
        finer = near < (1 << (bits + 12))
        fine = (near & ((1 << bits) - 1)) << 12 >> bits
        piece = xp.where(number < rest, level, level + 3) * (_STEPS + 1)
        index = xp.where(finer, piece + (near >> bits), index)
        fraction = xp.where(finer, fine, fraction)
    # Near the ends a word stands for the middle of its own interval.
    fraction = xp.where(near < (1 << 13), fraction + (1 << 10), fraction)
    values = table(number)
    low, high = lookup(values, index), lookup(values, index + 1)
    return low + (((high - low) * fraction) >> 12)


def log2_exponential(word: Array) -> Array:
    """log2 of an exponential variate, int32 with 16 fraction bits, from a random word."""
    return _interpolate(shift_right_logical(word, 1), exponential_table())


def log2_odds(number: Array) -> Array:
    """log2(u / (1 - u)) of ``u = number / 2**31``, int32 with 16 fraction bits."""
    return _interpolate(number, odds_table())


def race_key(word: Array, log2_weight: Array, bits: int) -> Array:
    """The key of a weighted race; the smallest wins.

    Args:
        word: a random int32 per candidate.
        log2_weight: int32 with 8 fraction bits, within 12 octaves of 0.
        bits: bits of a place; keys have ``31 - bits``, at most 22 of them in use.
    """
    log2_weight = clip(log2_weight, -_WEIGHT_LIMIT, _WEIGHT_LIMIT)
    return _as_key(log2_exponential(word) - (log2_weight << 8) + _OFFSET, bits)


def pareto_key(word: Array, probability: Array, bits: int) -> Array:
    """The key of Pareto sampling with inclusion `probability`, 31 bits; the smallest wins."""
    odds = log2_odds(shift_right_logical(word, 1)) - log2_odds(probability)
    # A difference of two reaches 62 octaves either way; beyond 32 it decides nothing.
    return _as_key(odds + (32 << FRACTION_BITS), bits)


def _as_key(value: Array, bits: int) -> Array:
    value = clip(value, 0, (1 << _KEY_BITS) - 1)
    return value >> max(0, _KEY_BITS - (31 - bits))
