"""Laws of span lengths, where they are known in closed form, as expected counts.

Drawn over the measured lengths in the report, and tested for span corruption, whose masked runs
are its spans.
"""

from __future__ import annotations

import math

import numpy as np
from premask.pipeline.audit.statistics import LONGEST_RUN, Statistics


def independent_runs(statistics: Statistics) -> np.ndarray:
    """Runs by length if tokens are masked without regard to their neighbours, float ``[65]``.

    Geometric with the share that was masked: a run goes on with that probability.
    """
    share = statistics.counters["selected"] / max(
        statistics.counters["text_tokens"] * statistics.num_epochs, 1
    )
    lengths = np.arange(LONGEST_RUN + 1)
    law = np.where(lengths > 0, (1.0 - share) * share ** np.maximum(lengths - 1, 0), 0.0)
    law[LONGEST_RUN] += share**LONGEST_RUN
    return law * float(statistics.runs.sum())


def composition_runs(
    statistics: Statistics, noise: np.ndarray, spans: np.ndarray
) -> np.ndarray:
    """Runs by length if every composition of the noise into spans is as likely, float ``[65]``.

    Of ``N`` tokens in ``S`` spans one span has length k with probability
    ``C(N - k - 1, S - 2) / C(N - 1, S - 1)``; summed over the rows by their length.
    """
    law = np.zeros(LONGEST_RUN + 1)
    rows = statistics.by_text.rows
    for length in np.flatnonzero(rows):
        tokens, parts = int(noise[length]), int(spans[length])
        if parts == 0:
            continue
        weight = float(rows[length]) * parts
        for k in range(1, tokens - parts + 2):
            law[min(k, LONGEST_RUN)] += weight * _part_probability(tokens, parts, k)
    return law


def _part_probability(tokens: int, parts: int, length: int) -> float:
    if parts == 1:
        return float(length == tokens)
    return math.exp(
        _log_choose(tokens - length - 1, parts - 2) - _log_choose(tokens - 1, parts - 1)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
