"""The audit in plain sentences, made from the report alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Report = Mapping[str, Any]


def verdict(report: Report) -> tuple[bool, str, str]:
    """Whether all is well, a headline and what stands below it."""
    promises = report["promises"]
    broken = [promise for promise in promises if not promise["passed"]]
    if not promises:
        return True, "Nothing was promised", "This data was measured, but no policy was named."
    if not broken:
        return (
            True,
            f"All {len(promises)} promises hold" if len(promises) > 1 else "The promise holds",
            "The masks do what the policy says, as far as this data can show.",
        )
    details = " ".join(
        f"{promise['promise']} Found: {promise['observed']}; expected: {promise['expected']}."
        + (f" In {', '.join(promise['files'])}." if promise["files"] else "")
        for promise in broken
    )
    plural = "promises are" if len(broken) > 1 else "promises is"
    return False, f"{len(broken)} of {len(promises)} {plural} broken", details


def sentences(report: Report) -> Iterator[str]:
    """What was measured, one sentence each, the most important first."""
    totals, measures = report["totals"], report["measures"]
    yield _scope(report)
    if totals.get("row_epochs"):
        yield from _masking(report)
    if measures["sequences"]:
        found = measures["sequences"]
        source = totals["sources"] / max(totals["rows"] * report["epochs"], 1)
        yield (
            f"A row of {source:.0f} tokens becomes an input of {found['mean_input']:.0f} and a "
            f"target of {found['mean_target']:.0f} tokens on average."
        )
    if report["epochs"] > 1 and sum(measures["coverage"]["tokens"]):
        coverage = measures["coverage"]
        yield (
            f"After {report['epochs']} epochs {coverage['never']:.1%} of the text has never "
            f"been masked; chance alone would leave {coverage['never_by_chance']:.1%}."
        )


def _scope(report: Report) -> str:
    totals, policy = report["totals"], report["policy"]
    who = f"Policy {policy['name']}" if policy else "The masks found in the data"
    times = f", in each of {report['epochs']} epochs" if report["epochs"] > 1 else ""
    verb = "was applied to" if policy else "cover"
    return f"{who} {verb} {totals['rows']:,} rows with {totals['tokens']:,} tokens{times}."


def _masking(report: Report) -> Iterator[str]:
    totals, measures = report["totals"], report["measures"]
    low, high = quantiles(measures["rows_by_percent"])
    spread = f"between {low} and {high} %" if high > low else f"about {low} %"
    yield (
        f"{measures['masked_share']:.1%} of the text is masked; in nine rows of ten it is "
        f"{spread}."
    )
    if totals["empty_rows"]:
        share = totals["empty_rows"] / totals["row_epochs"]
        yield f"{share:.2%} of the rows have text but no masked token: they teach nothing."
    split = measures["split"]
    if split:
        yield (
            f"Of the masked tokens {split['masked']:.1%} are shown as a mask, "
            f"{split['random']:.1%} are replaced by a random token, {split['kept']:.1%} stay."
        )
    words = measures["units"]["word"]
    hit = words["whole"] + words["part"]
    if hit and any(cell["tokens"] for cell in measures["by_word_length"][2:]):
        yield (
            f"{words['whole'] / hit:.1%} of the words that were hit are masked whole."
            if words["part"]
            else "Every word that was hit is masked whole."
        )


def quantiles(histogram: list[int]) -> tuple[int, int]:
    """The cells that hold the fifth and the ninety-fifth of a hundred."""
    total, seen = sum(histogram), 0
    low = high = 0
    for cell, count in enumerate(histogram):
        if seen < 0.05 * total:
            low = cell
        if seen < 0.95 * total:
            high = cell
        seen += count
    return low, high
