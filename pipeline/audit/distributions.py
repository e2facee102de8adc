"""Tail probabilities for the audit's tests, with the standard library alone.

Each agrees with SciPy to about ten digits (a test compares them). A p-value of 0.0 means that
it is below the smallest double. Cost: microseconds; the audit makes a few dozen calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_TINY = 1e-300
_PRECISION = 1e-15
_STEPS = 10_000


def normal_two_sided(z: float) -> float:
    """P(|Z| >= |z|) for a standard normal Z."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def chi_square_tail(x: float, degrees: int) -> float:
    """P(X >= x) for a chi-square variable with `degrees` degrees of freedom.

    Source: the regularised incomplete gamma function, by its series below the mean and by
    Legendre's continued fraction above it.
    """
    if x <= 0 or degrees <= 0:
        return 1.0
    shape, half = degrees / 2.0, x / 2.0
    front = math.exp(shape * math.log(half) - half - math.lgamma(shape))
    if half < shape + 1.0:
        term = total = 1.0 / shape
        for step in range(1, _STEPS):
            term *= half / (shape + step)
            total += term
            if term < total * _PRECISION:
                break
        return max(0.0, 1.0 - front * total)
    return min(1.0, front * _gamma_fraction(shape, half))


def binomial_two_sided(hits: int, trials: int, probability: float) -> float:
    """Exact two-sided p-value of `hits` in `trials`: twice the smaller tail, at most 1."""
    if trials == 0:
        return 1.0
    if probability <= 0.0 or probability >= 1.0:
        certain = 0 if probability <= 0.0 else trials
        return 1.0 if hits == certain else 0.0
    at_least = 1.0 if hits == 0 else _beta_tail(probability, hits, trials - hits + 1)
    at_most = 1.0 if hits == trials else _beta_tail(1.0 - probability, trials - hits, hits + 1)
    return min(1.0, 2.0 * min(at_least, at_most))


def holm(p_values: Sequence[float], significance: float) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects.

    The chance of rejecting any true hypothesis among them is at most `significance`, whatever
    their dependence. Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    rejected = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        if p_values[index] > significance / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def _gamma_fraction(shape: float, x: float) -> float:
    """Continued fraction of the upper incomplete gamma function (modified Lentz)."""
    b = x + 1.0 - shape
    c, d = 1.0 / _TINY, 1.0 / b
    value = d
    for step in range(1, _STEPS):
        a = -step * (step - shape)
        b += 2.0
        d = 1.0 / _away_from_zero(a * d + b)
        c = _away_from_zero(b + a / c)
        value *= d * c
        if abs(d * c - 1.0) < _PRECISION:
            break
    return value


def _beta_tail(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    front = math.exp(
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log1p(-x)
    )
    if x > (a + 1.0) / (a + b + 2.0):
        return max(0.0, 1.0 - front * _beta_fraction(1.0 - x, b, a) / b)
    return min(1.0, front * _beta_fraction(x, a, b) / a)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Continued fraction of the incomplete beta function (modified Lentz)."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away_from_zero(1.0 + numerator * d)
            c = _away_from_zero(1.0 + numerator / c)
            value *= d * c
        if abs(d * c - 1.0) < _PRECISION:
            break
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
