"""Laws of span lengths, where they are known in closed form, as expected counts.

Drawn over the measured lengths in the report, and tested for span corruption, whose masked runs
are its spans.
"""

from __future__ import annotations

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
    log_factorial = np.cumsum(np.log(np.maximum(np.arange(len(noise) + 1), 1)))
    for length in np.flatnonzero(statistics.by_text.rows):
        tokens, parts = int(noise[length]), int(spans[length])
        if parts:
            weight = float(statistics.by_text.rows[length]) * parts
            law += weight * _part_law(tokens, parts, log_factorial)
    return law


def _part_law(tokens: int, parts: int, log_factorial: np.ndarray) -> np.ndarray:
    """The length of one part of a random composition, float ``[65]``; 64 for more."""
    law = np.zeros(LONGEST_RUN + 1)
    if parts == 1:
        law[min(tokens, LONGEST_RUN)] = 1.0
        return law
    longest = tokens - parts + 1
    k = np.arange(1, min(longest, LONGEST_RUN) + 1)
    n, m = tokens - k - 1, parts - 2
    ways = log_factorial[n] - log_factorial[m] - log_factorial[n - m]
    whole = log_factorial[tokens - 1] - log_factorial[parts - 1] - log_factorial[tokens - parts]
    law[k] = np.exp(ways - whole)
    law[LONGEST_RUN] += max(0.0, 1.0 - float(law.sum())) if longest > LONGEST_RUN else 0.0
    return law
