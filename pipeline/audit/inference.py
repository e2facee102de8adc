"""Promises about chance, each with an asymptotic test and an effect size.

Masked tokens of one row are not independent (a budget ties them together, a span holds
several), so the rate is tested with the spread seen between rows, and a chi-square statistic
is divided by the design effect: the mean length of masked runs, weighted by length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from premask.masking._rows import Vocabulary
from premask.pipeline.audit.distributions import chi_square_tail, normal_two_sided
from premask.pipeline.audit.expectation import Expectation
from premask.pipeline.audit.laws import composition_runs
from premask.pipeline.audit.promises import Finding
from premask.pipeline.audit.statistics import PROFILE_BINS, Statistics

_LEAST_EXPECTED = 5  # cells below are joined with their neighbours
_BLOCKS = 8  # of the row, for the position profile
NUM_BANDS = 10


def check(
    statistics: Statistics, expectation: Expectation, vocabulary: Vocabulary
) -> Iterator[Finding]:
    """The statistical promises that apply; whether they passed is decided by the caller."""
    if not statistics.counters["selected"]:
        return
    if expectation.rate is not None:
        yield _rate(statistics, expectation.rate)
    if expectation.split is not None:
        yield _split(statistics, expectation.split, vocabulary)
    if expectation.uniform_replacements and statistics.replacements.sum():
        yield _replacements(statistics, vocabulary)
    if expectation.profile is not None:
        yield _profile(statistics, expectation, expectation.profile)
    if (
        expectation.span_law
        and expectation.budget is not None
        and expectation.spans is not None
    ):
        yield _span_lengths(statistics, expectation.budget, expectation.spans)
    if expectation.word_runs is not None and expectation.word_runs.any():
        yield _word_runs(statistics, expectation.word_runs)
    if expectation.blind:
        yield _frequency(statistics)
    if expectation.independent and statistics.counters["overlap_rows"]:
        yield _overlap(statistics)


def design_effect(statistics: Statistics) -> float:
    """How much masked runs inflate the variance of counts; at least 1."""
    lengths = np.arange(len(statistics.runs), dtype=float)
    tokens = float((statistics.runs * lengths).sum())
    return max(1.0, float((statistics.runs * lengths**2).sum()) / max(tokens, 1.0))


def frequency_bands(statistics: Statistics, num_bands: int = NUM_BANDS) -> np.ndarray:
    """Text and masked tokens by frequency band, int64 ``[2, bands]``, the rarest first.

    The bands hold about the same number of tokens each; a token id is never divided.
    """
    order = np.argsort(statistics.tokens[0], kind="stable")
    tokens = statistics.tokens[:, order]
    total = int(tokens[0].sum())
    middle = np.cumsum(tokens[0]) - tokens[0] / 2
    band = np.minimum((middle * num_bands / max(total, 1)).astype(np.int64), num_bands - 1)
    table = np.zeros((2, num_bands), np.int64)
    for layer in range(2):
        np.add.at(table[layer], band, tokens[layer])
    return table


def _rate(statistics: Statistics, rate: float) -> Finding:
    rows = statistics.by_text
    length = np.arange(len(rows.rows), dtype=float)
    text, selected = float((rows.rows * length).sum()), float(rows.selected.sum())
    squares = (
        float(rows.squares.sum())
        - 2.0 * rate * float((rows.selected * length).sum())
        + rate * rate * float((rows.rows * length**2).sum())
    )
    z = (selected - rate * text) / math.sqrt(max(squares, 1e-9))
    observed = selected / max(text, 1.0)
    return Finding(
        name="rate",
        promise=f"A share of {rate:.4g} of all text tokens is masked.",
        passed=False,
        method="z-test with the spread between rows",
        observed=f"{observed:.4%}",
        expected=f"{rate:.4%}",
        effect=observed / rate - 1.0 if rate else observed,
        tolerance=0.01,
        p_value=normal_two_sided(z),
    )


def _split(
    statistics: Statistics, split: tuple[float, float, float], vocabulary: Vocabulary
) -> Finding:
    counters = statistics.counters
    counts = [counters["masked"], counters["random"], counters["kept"]]
    total = sum(counts)
    mask, random, keep = split
    ordinary = sum(high - low for low, high in vocabulary.replacement_ranges)
    same = random / ordinary if ordinary else 0.0  # a random token may be the one it replaces
    shares = [mask, random - same, keep + same]
    p_value = _chi_square(
        np.array(counts), total * np.array(shares), deflate=design_effect(statistics)
    )
    seen = [count / max(total, 1) for count in counts]
    return Finding(
        name="split",
        promise=f"Of the masked tokens {mask:.0%} become [MASK], {random:.0%} a random token, "
        f"{keep:.0%} stay.",
        passed=False,
        method="chi-square",
        observed=" / ".join(f"{share:.2%}" for share in seen),
        expected=" / ".join(f"{share:.2%}" for share in shares),
        effect=max(abs(a - b) for a, b in zip(seen, shares, strict=True)),
        tolerance=0.005,
        p_value=p_value,
    )


def _replacements(statistics: Statistics, vocabulary: Vocabulary) -> Finding:
    counts = statistics.replacements
    size = sum(high - low for low, high in vocabulary.replacement_ranges)
    buckets = np.arange(size) * len(counts) // size
    share = np.bincount(buckets, minlength=len(counts)) / size
    return Finding(
        name="uniform_replacements",
        promise="Every ordinary token is equally likely as a random replacement.",
        passed=False,
        method="chi-square over 64 parts of the vocabulary",
        observed=_spread(counts / np.maximum(share * counts.sum(), 1e-9)),
        expected="even",
        effect=_total_variation(counts / counts.sum(), share),
        tolerance=0.02,
        p_value=_chi_square(counts, share * counts.sum()),
    )


def _profile(statistics: Statistics, expectation: Expectation, profile: np.ndarray) -> Finding:
    """Eight parts of the row, without its outermost tokens."""
    inner = np.s_[expectation.profile_margin : PROFILE_BINS - expectation.profile_margin]
    text, selected = statistics.profile.astype(float)
    expected = (text * profile * selected.sum() / (text * profile).sum())[inner]
    parts = np.array_split(np.arange(len(expected)), _BLOCKS)
    seen_P = np.array([statistics.profile[1][inner][part].sum() for part in parts])
    expected_P = np.array([expected[part].sum() for part in parts])
    ratio = seen_P / np.maximum(expected_P, 1e-9)
    return Finding(
        name="position",
        promise=_position_promise(expectation, profile),
        passed=False,
        method="chi-square over eight parts of the row",
        observed=_spread(ratio),
        expected="even",
        effect=float(np.abs(ratio - 1.0).max()),
        tolerance=expectation.profile_tolerance,
        p_value=_chi_square(seen_P, expected_P, deflate=design_effect(statistics)),
    )


def _position_promise(expectation: Expectation, profile: np.ndarray) -> str:
    if np.ptp(profile) > 0:
        return "Positions are masked as often as the mixture of denoisers says."
    if expectation.profile_margin > PROFILE_BINS // 8:
        return "Within the middle half of a row, where a token stands does not matter."
    return "Where a token stands in its row does not matter."


def _span_lengths(statistics: Statistics, noise: np.ndarray, spans: np.ndarray) -> Finding:
    """Span corruption: its masked runs are the parts of a random composition."""
    law = composition_runs(statistics, noise, spans)
    law *= statistics.runs.sum() / max(law.sum(), 1e-9)
    lengths = np.arange(len(law))
    whole = max(float(law.sum()), 1e-9)
    return Finding(
        name="span_lengths",
        promise="Span lengths follow the law of random compositions.",
        passed=False,
        method="chi-square over the lengths",
        observed=f"{(statistics.runs * lengths).sum() / whole:.3f} tokens on average",
        expected=f"{(law * lengths).sum() / whole:.3f}",
        effect=_total_variation(statistics.runs / whole, law / whole),
        tolerance=0.03,
        p_value=_chi_square(statistics.runs, law),
    )


def _word_runs(statistics: Statistics, drawn: np.ndarray) -> Finding:
    """Spans of words: the masked runs, beside those that the published procedure gives."""
    seen, words = statistics.word_runs, np.arange(len(drawn))
    total, drawn_total = float(seen.sum()), float(drawn.sum())
    # Two samples of different size; the sum is chi-square if both have one law.
    statistic = (
        seen * math.sqrt(drawn_total / total) - drawn * math.sqrt(total / drawn_total)
    ) ** 2
    both = seen + drawn
    cells = both >= 2 * _LEAST_EXPECTED
    return Finding(
        name="span_lengths",
        promise="Spans are as long as the published procedure makes them on these rows.",
        passed=False,
        method="two-sample chi-square against a simulation",
        observed=f"{(seen * words).sum() / total:.3f} words in a masked run",
        expected=f"{(drawn * words).sum() / drawn_total:.3f}",
        effect=_total_variation(seen / total, drawn / drawn_total),
        tolerance=0.03,
        p_value=chi_square_tail(
            float((statistic[cells] / both[cells]).sum()), int(cells.sum()) - 1
        ),
    )


def _frequency(statistics: Statistics) -> Finding:
    text, selected = frequency_bands(statistics)
    expected = text * (selected.sum() / max(text.sum(), 1))
    ratio = selected[text > 0] / np.maximum(expected[text > 0], 1e-9)
    return Finding(
        name="frequency",
        promise="How frequent a token is does not matter.",
        passed=False,
        method="chi-square over ten frequency bands",
        observed=_spread(ratio),
        expected="even",
        effect=float(np.abs(ratio - 1.0).max(initial=0.0)),
        tolerance=0.03,
        p_value=_chi_square(selected, expected, deflate=design_effect(statistics)),
    )


def _overlap(statistics: Statistics) -> Finding:
    counters = statistics.counters
    seen, expected = float(counters["overlap"]), counters["overlap_expected"] / 256
    spread = math.sqrt(max(counters["overlap_squares"], 1)) / 256
    return Finding(
        name="overlap",
        promise="What one epoch masks has no bearing on what the next one masks.",
        passed=False,
        method="z-test with the spread between rows",
        observed=f"{seen:,.0f} tokens masked in two neighbouring epochs",
        expected=f"{expected:,.0f}",
        effect=seen / max(expected, 1e-9) - 1.0,
        tolerance=0.05,
        p_value=normal_two_sided((seen - expected) / spread),
    )


def _chi_square(observed: np.ndarray, expected: np.ndarray, *, deflate: float = 1.0) -> float:
    """P-value of Pearson's statistic; cells that expect too little are joined."""
    cells = list(_joined(observed.tolist(), expected.tolist()))
    if any(wanted == 0.0 and seen for seen, wanted in cells):
        return 0.0
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in cells if wanted)
    return chi_square_tail(statistic / deflate, sum(wanted > 0 for _, wanted in cells) - 1)


def _joined(
    observed: Sequence[float], expected: Sequence[float]
) -> Iterator[tuple[float, float]]:
    seen = wanted = 0.0
    rest: list[tuple[float, float]] = []
    for count, mean in zip(observed, expected, strict=True):
        if mean == 0.0:
            yield count, 0.0  # nothing may be here
            continue
        seen, wanted = seen + count, wanted + mean
        if wanted >= _LEAST_EXPECTED:
            rest.append((seen, wanted))
            seen = wanted = 0.0
    if rest and wanted:
        last_seen, last_wanted = rest.pop()
        rest.append((last_seen + seen, last_wanted + wanted))
    yield from rest


def _total_variation(observed: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(observed - expected).sum() / 2)


def _spread(ratio: np.ndarray) -> str:
    return f"{ratio.min(initial=9.99):.2f} to {ratio.max(initial=0.0):.2f} times the expected"
