"""Cards of the page: a title, a sentence, a plot and its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from premask.pipeline.audit.charts import Bar, Series, bar_list

Report = Mapping[str, Any]
STYLES = ("a", "b")


def key(names: Sequence[str], law: str = "") -> str:
    """The legend: nothing where there is only one kind of mark."""
    items = [
        f'<span><i class="{style}"></i>{escape(name)}</span>'
        for style, name in zip(STYLES, names, strict=False)
    ]
    if law:
        items.append(f'<span><i class="law"></i>{escape(law)}</span>')
    return f'<div class="key">{"".join(items)}</div>' if len(items) > 1 else ""


def card(title: str, text: str, plot: str, legend: str = "") -> str:
    """One card; title and text are escaped, plot and legend are markup."""
    return (
        f'<section class="card"><h3>{escape(title)}</h3><p>{escape(text)}</p>{plot}{legend}'
        "</section>"
    )


def series_of(
    reports: Sequence[Report], names: Sequence[str], values: Callable[[Report], list[float]]
) -> list[Series]:
    """One series per report."""
    return [
        Series(name=name, values=values(report), style=style)
        for report, name, style in zip(reports, names, STYLES, strict=False)
    ]


def percent(values: Sequence[float]) -> list[float]:
    """The values in per cent of their sum."""
    whole = sum(values)
    return [100.0 * value / whole for value in values] if whole else [0.0 for _ in values]


def bar_card(
    reports: Sequence[Report],
    names: Sequence[str],
    title: str,
    text: str,
    cells: Sequence[tuple[str, Callable[[Any], Any]]],
) -> str:
    """Shares masked as bars; `cells` are labels and functions from measures to a cell."""
    items = []
    for label, cell in cells:
        found = [cell(report["measures"]) for report in reports]
        note = f"{found[0]['masked']:,} of {found[0]['tokens']:,} tokens masked"
        items.append(Bar(label=label, values=[one["share"] for one in found], note=note))
    even = reports[0]["measures"]["masked_share"] if len(reports) == 1 else None
    top = max([value for item in items for value in item.values] + [even or 0.0]) * 1.05
    legend = key(["measured"] if even is not None else names, "average" if even else "")
    return card(title, text, bar_list(items, top=top, mark=even), legend)
