"""Plots as inline SVG and HTML bars: no script, no font, no request to anywhere.

Colours are CSS variables of the page, so the plots follow its light and dark form and print.
Every mark has a title that a pointer shows and a screen reader says. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 460.0, 216.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 8.0, 12.0, 34.0
_INNER = _WIDTH - _LEFT - _RIGHT
_BASE = _HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One set of values to draw, with its name and CSS class (``a``, ``b`` or ``law``)."""

    name: str
    values: Sequence[float]
    style: str = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The horizontal axis: what it is, and the labels of some of its cells."""

    title: str
    labels: dict[int, str]


def bars(series: Sequence[Series], axis: Axis, unit: str, law: Series | None = None) -> str:
    """A histogram; two series stand side by side, a law is drawn over them as a line.

    Args:
        unit: what the values are, for the titles of the marks: ``% of rows``.
    """
    count = max((len(one.values) for one in series), default=0)
    drawn = [*series, law] if law else list(series)
    top = _nice(max((max(one.values, default=0.0) for one in drawn), default=0.0))
    step = _INNER / max(count, 1)
    width = step * (0.86 if len(series) == 1 else 0.43)
    marks = []
    for place, one in enumerate(series):
        for cell, value in enumerate(one.values):
            if value <= 0:
                continue
            height = max(value / top * (_BASE - _TOP), 0.8)
            x = _LEFT + cell * step + step * 0.07 + place * width
            label = f"{axis.labels.get(cell, cell)}: {_number(value)} {unit} ({one.name})"
            marks.append(
                f'<rect class="{one.style}" x="{x:.1f}" y="{_BASE - height:.1f}" '
                f'width="{max(width, 0.8):.1f}" height="{height:.1f}">'
                f"<title>{escape(label)}</title></rect>"
            )
    if law:
        marks.append(_line(law, top, step, count))
    return _figure("".join(marks), axis, top, step, count)


def lines(series: Sequence[Series], axis: Axis, unit: str, *, even: float | None = None) -> str:
    """Curves over the same cells; `even` draws a level for comparison."""
    count = max((len(one.values) for one in series), default=0)
    top = _nice(max((max(one.values, default=0.0) for one in series), default=0.0) * 1.15)
    step = _INNER / max(count, 1)
    marks = []
    if even is not None and top:
        y = _BASE - even / top * (_BASE - _TOP)
        marks.append(
            f'<line class="law" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}">'
            f"<title>on average {_number(even)} {escape(unit)}</title></line>"
        )
    for one in series:
        marks.append(_line(one, top, step, count))
        for cell, value in enumerate(one.values):
            x, y = _LEFT + (cell + 0.5) * step, _BASE - value / top * (_BASE - _TOP)
            label = f"{axis.labels.get(cell, cell)}: {_number(value)} {unit} ({one.name})"
            marks.append(
                f'<circle class="dot {one.style}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
                f"<title>{escape(label)}</title></circle>"
            )
    return _figure("".join(marks), axis, top, step, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a list: a label, its value per series, and a remark."""

    label: str
    values: Sequence[float]
    note: str = ""


def bar_list(items: Sequence[Bar], *, top: float, mark: float | None = None) -> str:
    """Horizontal bars with their labels, as plain HTML; `mark` draws a thin line in each."""
    rows = []
    scale = 100.0 / max(top, 1e-9)
    line = (
        f'<i class="mark" style="left:{min(mark * scale, 100.0):.2f}%"></i>'
        if mark is not None
        else ""
    )
    for item in items:
        tracks = "".join(
            f'<span class="track"><b class="{style}" '
            f'style="width:{min(value * scale, 100.0):.2f}%"></b>{line}</span>'
            for style, value in zip("ab", item.values, strict=False)
        )
        shown = " · ".join(f"{value:.1%}" for value in item.values)
        rows.append(
            f'<li title="{escape(item.note)}"><span class="name">{escape(item.label)}</span>'
            f'<span class="tracks">{tracks}</span><span class="value">{shown}</span></li>'
        )
    return f'<ul class="bars">{"".join(rows)}</ul>'


def _line(one: Series, top: float, step: float, count: int) -> str:
    points = " ".join(
        f"{_LEFT + (cell + 0.5) * step:.1f},{_BASE - value / top * (_BASE - _TOP):.1f}"
        for cell, value in enumerate(one.values[:count])
    )
    return (
        f'<polyline class="line {one.style}" points="{points}">'
        f"<title>{escape(one.name)}</title></polyline>"
    )


def _figure(marks: str, axis: Axis, top: float, step: float, count: int) -> str:
    ticks = [top * part / 4 for part in range(5)]
    grid = "".join(
        f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">'
        f"{_number(tick)}</text>"
        for tick in ticks
        for y in [_BASE - tick / top * (_BASE - _TOP) if top else _BASE]
    )
    labels = "".join(
        f'<text class="tick" x="{_LEFT + (cell + 0.5) * step:.1f}" y="{_BASE + 14:.1f}" '
        f'text-anchor="middle">{escape(text)}</text>'
        for cell, text in axis.labels.items()
        if cell < count and text
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{escape(axis.title)}">{grid}{marks}{labels}'
        f'<text class="axis" x="{_LEFT + _INNER / 2:.1f}" y="{_HEIGHT - 4:.1f}" '
        f'text-anchor="middle">{escape(axis.title)}</text></svg>'
    )


def _nice(value: float) -> float:
    """The lowest of 1, 2, 4, 5, 6, 8 times a power of ten that is at least `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * k for k in (1, 2, 4, 5, 6, 8, 10) if power * k >= value * 0.9999)


def _number(value: float) -> str:
    """A number short enough for an axis."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:.3g}"
