"""The audit as data: ``audit.json``. Everything that the page shows stands in it.

Keys are stable within a `FORMAT_VERSION`; new ones may be added. Shares are fractions rounded
to six digits, so that the document depends on the data alone. ``docs/audit.md`` explains it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import comb
from typing import Any

import numpy as np
from premask.pipeline.audit.collect import Collected
from premask.pipeline.audit.exact import PLURALS
from premask.pipeline.audit.excerpts import Excerpt
from premask.pipeline.audit.expectation import Expectation
from premask.pipeline.audit.inference import frequency_bands
from premask.pipeline.audit.laws import composition_runs, independent_runs
from premask.pipeline.audit.promises import Finding
from premask.pipeline.audit.statistics import Statistics
from premask.pipeline.audit.words import Speller

FORMAT_NAME = "premask-audit"
FORMAT_VERSION = 1
_TOP = 24
_LEAST_SEEN = 20  # a token seen less often says nothing


def build_report(
    *,
    about: Mapping[str, Any],
    collected: Collected,
    expectation: Expectation,
    findings: Sequence[Finding],
    excerpts: Sequence[Excerpt],
    spell: Speller,
    tracks: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The whole audit as plain values.

    Args:
        about: what was audited: ``data``, ``policy``, ``epochs``, ``significance``.
        tracks: names of the codes, by track.
    """
    statistics = collected.statistics
    return {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        **about,
        "passed": all(finding.passed for finding in findings),
        "promises": [
            {
                **asdict(finding),
                "effect": _round(finding.effect),
                "files": collected.blame.get(finding.name, []),
            }
            for finding in findings
        ],
        "untested": _untested(statistics, expectation),
        "totals": dict(sorted(statistics.counters.items())),
        "measures": {
            "masked_share": _masked_share(statistics),
            "rows_by_percent": statistics.percent.tolist(),
            "split": _split(statistics),
            "units": {
                name: dict(zip(("whole", "part", "none"), table.tolist(), strict=True))
                for name, table in statistics.units.items()
            },
            "runs": _cut(statistics.runs),
            "word_runs": _cut(statistics.word_runs),
            "runs_law": _run_law(statistics, expectation),
            "word_runs_law": _word_run_law(statistics, expectation),
            "by_position": _pairs(statistics.profile),
            "by_frequency": _pairs(frequency_bands(statistics)),
            "by_word_length": _pairs(statistics.word_lengths),
            "head": _pairs(statistics.head),
            "tail": _pairs(statistics.tail),
            "by_track": _tracks(statistics, tracks),
            "coverage": _coverage(statistics),
            "tokens": _top_tokens(statistics, spell),
            "sequences": _sequences(statistics),
        },
        "excerpts": [excerpt.to_json() for excerpt in excerpts],
    }


def _untested(statistics: Statistics, expectation: Expectation) -> list[str]:
    """Promises that these data cannot show, as sentences."""
    return [
        f"That {PLURALS[unit].lower()} are masked whole: the rows do not say where they are."
        for unit in expectation.whole
        if unit not in statistics.units or not statistics.units[unit].any()
    ]


def _round(value: float) -> float:
    return round(float(value), 6)


def _share(part: float, whole: float) -> float:
    return _round(part / whole) if whole else 0.0


def _masked_share(statistics: Statistics) -> float:
    text = statistics.counters["text_tokens"] * statistics.num_epochs
    return _share(statistics.counters["selected"], text)


def _split(statistics: Statistics) -> dict[str, float]:
    counts = {name: statistics.counters[name] for name in ("masked", "random", "kept")}
    whole = sum(counts.values())
    return {name: _share(count, whole) for name, count in counts.items()} if whole else {}


def _cut(table: np.ndarray) -> list[int]:
    """A table without the zeros at its end."""
    last = int(np.flatnonzero(table).max(initial=0))
    values: list[int] = table[: last + 1].tolist()
    return values


def _pairs(table: np.ndarray) -> list[dict[str, Any]]:
    """Tokens, masked tokens and their share, cell by cell."""
    return [
        {"tokens": int(text), "masked": int(masked), "share": _share(masked, text)}
        for text, masked in table.T
    ]


def _run_law(statistics: Statistics, expectation: Expectation) -> list[float]:
    """Expected runs by length; empty where there is no closed form."""
    if not statistics.runs.any():
        return []
    if expectation.spans is not None and expectation.budget is not None:
        law = composition_runs(statistics, expectation.budget, expectation.spans)
    elif expectation.blind:
        law = independent_runs(statistics)
    else:
        return []
    return [round(value, 2) for value in law[: len(_cut(statistics.runs))].tolist()]


def _word_run_law(statistics: Statistics, expectation: Expectation) -> list[float]:
    """Expected runs by words, for policies of spans; empty for others."""
    if expectation.word_runs is None or not expectation.word_runs.any():
        return []
    scale = float(statistics.word_runs.sum()) / float(expectation.word_runs.sum())
    return [round(value * scale, 2) for value in _cut(expectation.word_runs)]


def _tracks(
    statistics: Statistics, names: Mapping[str, Sequence[str]]
) -> dict[str, list[dict[str, Any]]]:
    tracks = {}
    for track, table in sorted(statistics.tracks.items()):
        known = names.get(track, ())
        cells = _pairs(table)
        tracks[track] = [
            {
                "code": code,
                "name": known[code] if code < len(known) else str(code),
                **cells[code],
            }
            for code in np.flatnonzero(table[0]).tolist()
        ]
    return tracks


def _coverage(statistics: Statistics) -> dict[str, Any]:
    """Tokens by the number of epochs that masked them, beside what chance would give."""
    seen, share = statistics.coverage, _masked_share(statistics)
    epochs, total = statistics.num_epochs, int(statistics.coverage.sum())
    chances = [
        comb(epochs, k) * share**k * (1 - share) ** (epochs - k) for k in range(epochs + 1)
    ]
    return {
        "tokens": seen.tolist(),
        "by_chance": [round(total * chance, 1) for chance in chances],
        "never": _share(int(seen[0]), total),
        "never_by_chance": _round(chances[0]),
    }


def _top_tokens(statistics: Statistics, spell: Speller) -> dict[str, list[dict[str, Any]]]:
    """The tokens masked most and least often, relative to how often they occur."""
    text, masked = statistics.tokens
    known = np.flatnonzero(text >= _LEAST_SEEN * statistics.num_epochs)
    share = masked[known] / np.maximum(text[known], 1)
    order = known[np.lexsort((known, -text[known], -share))]
    spared = known[np.lexsort((known, -text[known], share))]

    def describe(token: int) -> dict[str, Any]:
        return {
            "id": token,
            "text": spell(token),
            "tokens": int(text[token]),
            "masked": int(masked[token]),
            "share": _share(masked[token], text[token]),
        }

    return {
        "most_masked": [describe(token) for token in order[:_TOP].tolist()],
        "least_masked": [describe(token) for token in spared[:_TOP].tolist()],
    }


def _sequences(statistics: Statistics) -> dict[str, Any]:
    """Lengths of inputs and targets; empty where an objective has only one sequence."""
    counters = statistics.counters
    if not counters["sources"]:
        return {}
    rows = int(statistics.input_lengths.sum())
    return {
        "mean_input": _share(counters["inputs"], rows),
        "mean_target": _share(counters["targets"], rows),
        "mean_sentinels": _share(counters["sentinels"], rows),
        "compression": _share(counters["inputs"], counters["sources"]),
        "input_lengths": _cut(statistics.input_lengths),
        "target_lengths": _cut(statistics.target_lengths),
    }
