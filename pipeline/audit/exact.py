"""Promises in which no chance is involved: one counter-example breaks them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from premask.pipeline.audit.expectation import Expectation
from premask.pipeline.audit.promises import Finding
from premask.pipeline.audit.statistics import ByLength, Statistics

# A mask of this size may come twice by accident in a very large set, hardly more often.
REPEAT_TOLERANCE = 1e-4


def check(statistics: Statistics, expectation: Expectation) -> Iterator[Finding]:
    """The exact promises that apply."""
    counters = statistics.counters
    if expectation.spares_specials:
        yield _none(
            "specials_spared",
            "Special tokens are never masked.",
            counters["selected_special"],
            "special tokens masked",
        )
    if expectation.in_place:
        yield _none(
            "labels",
            "Every label is the row's own token.",
            counters["wrong_labels"],
            "labels that are not",
        )
        yield _none(
            "untouched",
            "Tokens outside the mask stay as they are.",
            counters["changed"],
            "tokens changed outside the mask",
        )
    if expectation.ordinary_replacements:
        yield _none(
            "ordinary_replacements",
            "Random replacements are ordinary tokens.",
            counters["random_special"],
            "replacements that are special, unknown or unused ids",
        )
    for unit in expectation.whole:
        if unit in statistics.units and statistics.units[unit].sum():
            yield _none(
                f"whole_{unit}",
                f"{PLURALS[unit]} are masked whole or not at all.",
                int(statistics.units[unit][1]),
                f"{PLURALS[unit].lower()} masked in part",
            )
    if expectation.budget is not None and statistics.counters["row_epochs"]:
        yield from _budget(statistics, expectation, expectation.budget)
    if expectation.spans is not None:
        yield _spans(statistics, expectation.spans)
    yield from _repeats(statistics, expectation)


PLURALS = {
    "word": "Words",
    "entity": "Entities",
    "phrase": "Phrases",
    "sentence": "Sentences",
    "collocation": "Collocations",
}


def _none(name: str, promise: str, count: int, what: str) -> Finding:
    return Finding(
        name=name,
        promise=promise,
        passed=count == 0,
        method="exact",
        observed=f"{count:,} {what}",
        expected="0",
        effect=float(count),
    )


def _budget(
    statistics: Statistics, expectation: Expectation, budget: np.ndarray
) -> Iterator[Finding]:
    rows = statistics.by_length if expectation.count_special else statistics.by_text
    target = min_text(budget, expectation)
    wanted = int((rows.rows * target).sum())
    masked = int(rows.selected.sum())
    if expectation.budget_tolerance == 0.0:
        yield _every_row(rows, target, expectation.budget_slack, wanted, masked)
        return
    effect = (masked - wanted) / max(wanted, 1)
    yield Finding(
        name="budget",
        promise="Rows come as close to their budget as whole units allow.",
        passed=abs(effect) <= expectation.budget_tolerance,
        method="tolerance",
        observed=f"{masked:,} tokens masked",
        expected=f"{wanted:,}, give or take {expectation.budget_tolerance:.0%}",
        effect=effect,
        tolerance=expectation.budget_tolerance,
    )


def min_text(budget: np.ndarray, expectation: Expectation) -> np.ndarray:
    """The budget, limited to what a row of that length can hold."""
    room = np.arange(len(budget)) if not expectation.count_special else len(budget)
    limited: np.ndarray = np.minimum(budget, room)
    return limited


def _every_row(
    rows: ByLength, target: np.ndarray, slack: int, wanted: int, masked: int
) -> Finding:
    seen = rows.rows > 0
    off = seen & ((rows.least < target) | (rows.most > target + slack))
    lengths = np.flatnonzero(off)
    where = (
        f"; rows of {lengths[0]:,} tokens have {rows.least[lengths[0]]:,} to "
        f"{rows.most[lengths[0]]:,} masked instead of {target[lengths[0]]:,}"
        if len(lengths)
        else ""
    )
    return Finding(
        name="budget",
        promise="Every row has exactly as many masked tokens as its length allows."
        if not slack
        else "Every row has its budget of masked tokens, rounded down or up.",
        passed=not len(lengths),
        method="exact",
        observed=f"{masked:,} tokens masked" + where,
        expected=f"{wanted:,}" if not slack else f"at least {wanted:,}",
        effect=(masked - wanted) / max(wanted, 1),
    )


def _spans(statistics: Statistics, spans: np.ndarray) -> Finding:
    wanted = int((statistics.by_text.rows * spans).sum())
    found = statistics.counters["sentinels"]
    # A span that runs over a document's border, or is rolled over the row's end, is cut in
    # two; none is ever lost.
    effect = (found - wanted) / max(wanted, 1)
    return Finding(
        name="span_count",
        promise="Every row has its number of spans; a document's border may cut one in two.",
        passed=0 <= effect <= 0.05,
        method="tolerance",
        observed=f"{found:,} spans",
        expected=f"{wanted:,}",
        effect=effect,
        tolerance=0.05,
    )


def _repeats(statistics: Statistics, expectation: Expectation) -> Iterator[Finding]:
    masks, counters = statistics.masks, statistics.counters
    if expectation.fresh and statistics.num_epochs > 1 and counters["mask_rows"]:
        share = counters["repeated"] / counters["mask_rows"]
        yield Finding(
            name="fresh_epochs",
            promise="A row gets a new mask in every epoch.",
            passed=share <= REPEAT_TOLERANCE,
            method="exact",
            observed=f"{counters['repeated']:,} of {counters['mask_rows']:,} large masks seen "
            "before in the same row",
            expected="0",
            effect=share,
            tolerance=REPEAT_TOLERANCE,
        )
    if expectation.distinct and masks.num_seen:
        share = masks.num_repeats / masks.num_seen
        yield Finding(
            name="distinct_masks",
            promise="No two rows share a mask, and no epoch repeats one.",
            passed=share <= REPEAT_TOLERANCE,
            method="exact",
            observed=f"{masks.num_repeats:,} repeats among {masks.num_seen:,} large masks",
            expected="0",
            effect=share,
            tolerance=REPEAT_TOLERANCE,
        )
    if statistics.seeds.num_seen:
        yield _none(
            "distinct_seeds",
            "Every row has a seed of its own.",
            statistics.seeds.num_repeats,
            f"repeats among {statistics.seeds.num_seen:,} seeds",
        )
