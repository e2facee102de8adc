"""Holds an `Expectation` against `Statistics`, promise by promise.

A promise is *exact* (a count that must be zero, a table that every row must meet) or
*statistical*. A statistical promise is broken if Holm's procedure rejects it among all that
were tested, at a family-wise significance, and the effect exceeds a stated tolerance: with a
billion tokens a deviation of no consequence is significant too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from premask.masking._rows import Vocabulary
from premask.pipeline.audit.distributions import holm
from premask.pipeline.audit.expectation import Expectation
from premask.pipeline.audit.statistics import Statistics

SIGNIFICANCE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise and what became of it.

    Attributes:
        name: a stable word, such as ``budget``.
        promise: what must hold, one sentence.
        passed: whether it does.
        method: how it was tested; ``exact`` where no chance is involved.
        observed, expected: what is compared, as text for people.
        effect: size of the deviation: a relative difference, or a count for exact promises.
        tolerance: the effect that is let pass.
        p_value: None for exact promises.
    """

    name: str
    promise: str
    passed: bool
    method: str
    observed: str
    expected: str
    effect: float
    tolerance: float = 0.0
    p_value: float | None = None


def check_promises(
    statistics: Statistics,
    expectation: Expectation,
    vocabulary: Vocabulary,
    *,
    significance: float = SIGNIFICANCE,
) -> tuple[Finding, ...]:
    """Tests every promise that applies.

    Args:
        significance: chance of calling any kept promise broken, over all statistical tests.
    """
    from premask.pipeline.audit import exact, inference

    findings = [
        *exact.check(statistics, expectation),
        *inference.check(statistics, expectation, vocabulary),
    ]
    return tuple(_decide(findings, significance))


def _decide(findings: list[Finding], significance: float) -> Iterator[Finding]:
    """Settles the statistical findings, which arrive undecided."""
    p_values = [f.p_value for f in findings if f.p_value is not None]
    rejected = iter(holm(p_values, significance))
    for finding in findings:
        if finding.p_value is None:
            yield finding
        else:
            broken = next(rejected) and abs(finding.effect) > finding.tolerance
            yield replace(finding, passed=not broken)
