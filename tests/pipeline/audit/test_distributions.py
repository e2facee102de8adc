"""Tail probabilities, compared with SciPy, and Holm's procedure."""

from __future__ import annotations

import pytest
from premask.pipeline.audit.distributions import (
    binomial_two_sided,
    chi_square_tail,
    holm,
    normal_two_sided,
)

stats = pytest.importorskip("scipy.stats", reason="SciPy comes with the jax extra")


@pytest.mark.parametrize("degrees", [1, 2, 7, 63, 500])
@pytest.mark.parametrize("factor", [0.01, 0.5, 0.99, 1.0, 1.5, 4.0])
def test_chi_square_tails_equal_those_of_scipy(degrees: int, factor: float) -> None:
    x = degrees * factor
    expected = float(stats.chi2.sf(x, degrees))
    assert chi_square_tail(x, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-280)


@pytest.mark.parametrize("z", [0.0, 0.5, -1.96, 6.0, 30.0])
def test_normal_tails_equal_those_of_scipy(z: float) -> None:
    assert normal_two_sided(z) == pytest.approx(2 * float(stats.norm.sf(abs(z))), rel=1e-12)


@pytest.mark.parametrize(
    ("hits", "trials", "probability"),
    [(0, 10, 0.15), (10, 10, 0.15), (3, 10, 0.5), (150, 1000, 0.15), (15700, 100_000, 0.15)],
)
def test_binomial_tails_equal_those_of_scipy(
    hits: int, trials: int, probability: float
) -> None:
    law = stats.binom(trials, probability)
    expected = min(1.0, 2 * min(float(law.cdf(hits)), float(law.sf(hits - 1))))
    found = binomial_two_sided(hits, trials, probability)
    assert found == pytest.approx(expected, rel=1e-8)


def test_a_certain_event_that_does_not_happen_has_no_probability() -> None:
    assert binomial_two_sided(9, 10, 1.0) == 0.0
    assert binomial_two_sided(10, 10, 1.0) == 1.0
    assert binomial_two_sided(1, 10, 0.0) == 0.0


def test_holm_rejects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]


def test_holm_rejects_nothing_where_nothing_was_tested() -> None:
    assert holm([], 0.05) == []
