"""The parts of the page that plot measures. Each takes one report, or two to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from premask.pipeline.audit.cards import (
    STYLES,
    Report,
    bar_card,
    card,
    key,
    percent,
    series_of,
)
from premask.pipeline.audit.charts import Axis, Series, bars, lines

_MOST_BARS = 18


def plots(reports: Sequence[Report], names: Sequence[str]) -> str:
    """All plots that the data of `reports` allow, as cards."""
    parts = [card for section in _SECTIONS for card in section(reports, names)]
    return f'<div class="grid">{"".join(parts)}</div>'


def _fractions(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    tables = [report["measures"]["rows_by_percent"] for report in reports]
    if not any(map(sum, tables)):
        return
    borders = [_inner(table) for table in tables]
    first = max(0, min(low for low, _ in borders) - 2)
    last = min(100, max(max(high for _, high in borders) + 2, first + 12))
    every = max(1, (last - first) // 8)
    axis = Axis(
        title="share of the row's text that is masked, %",
        labels={
            cell - first: str(cell) for cell in range(first, last + 1) if cell % every == 0
        },
    )
    series = series_of(
        reports,
        names,
        lambda r: percent(r["measures"]["rows_by_percent"])[first : last + 1],
    )
    yield card(
        "How much of a row is masked",
        "Rows by the share of their text that is masked. A narrow hill is an exact budget.",
        bars(series, axis, "% of rows"),
        key(names),
    )


def _inner(table: Sequence[int]) -> tuple[int, int]:
    """The first and the last cell when one row in a hundred is left out at both ends."""
    total, seen, cells = sum(table), 0, []
    for cell, count in enumerate(table):
        seen += count
        if count and total <= 100 * seen and 100 * (seen - count) <= 99 * total:
            cells.append(cell)
    return cells[0], cells[-1]


def _runs(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    yield from _run_lengths(reports, names, "runs", "tokens")
    if any(report["measures"]["word_runs_law"] for report in reports):
        yield from _run_lengths(reports, names, "word_runs", "words")


def _run_lengths(
    reports: Sequence[Report], names: Sequence[str], measure: str, unit: str
) -> Iterator[str]:
    tables = [report["measures"][measure] for report in reports]
    if not any(map(sum, tables)):
        return
    longest = max(map(len, tables))
    length = min(longest, 25 if longest < 60 else 65)
    every = 1 if length <= 16 else 4 if length <= 30 else 10

    def shares(table: Sequence[float]) -> list[float]:
        shown = percent(table)[1:length]
        return [*shown, *[0.0] * (length - 1 - len(shown))]

    laws = [report["measures"][f"{measure}_law"] for report in reports]
    law = None
    if len(reports) == 1 and laws[0]:
        law = Series(name="what the law says", values=shares(laws[0]), style="law")
    labels = {n - 1: str(n) for n in range(1, length) if n == 1 or n % every == 0}
    if length == 65:
        labels[63] = "64+"
    series = series_of(reports, names, lambda r: shares(r["measures"][measure]))
    yield card(
        f"How long masked runs are, in {unit}",
        "Neighbouring masked tokens form a run. Runs by their length.",
        bars(series, Axis(title=f"{unit} in the run", labels=labels), "% of runs", law),
        key(["measured"] if law else names, "what the law says" if law else ""),
    )


def _curve(
    reports: Sequence[Report],
    names: Sequence[str],
    measure: str,
    title: str,
    text: str,
    axis: Axis,
) -> Iterator[str]:
    """Share masked over the cells of a measure, in per cent."""
    if not all(any(cell["masked"] for cell in r["measures"][measure]) for r in reports):
        return
    series = series_of(
        reports,
        names,
        lambda r: [100.0 * cell["share"] for cell in r["measures"][measure]],
    )
    even = 100.0 * reports[0]["measures"]["masked_share"] if len(reports) == 1 else None
    plot = lines(series, axis, "% masked", even=even)
    legend = key(["measured"] if even is not None else names, "average" if even else "")
    yield card(title, text, plot, legend)


def _positions(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    labels = {0: "start", 16: "¼", 32: "½", 48: "¾", 63: "end"}
    yield from _curve(
        reports,
        names,
        "by_position",
        "Where in the row",
        "Share of tokens masked, from the start of a row to its end.",
        Axis(title="position in the row", labels=labels),
    )


def _frequencies(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    labels = {0: "rare", **{n: str(n + 1) for n in range(1, 9)}, 9: "common"}
    yield from _curve(
        reports,
        names,
        "by_frequency",
        "How frequent the token is",
        "Ten bands with about as many tokens each, the rarest left, the commonest right.",
        Axis(title="frequency band", labels=labels),
    )


def _word_lengths(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    cells = reports[0]["measures"]["by_word_length"]
    lengths = [n for n in range(1, len(cells)) if cells[n]["tokens"] >= 50]
    if len(lengths) < 2:
        return
    yield bar_card(
        reports,
        names,
        "How long the word is",
        "Share of tokens masked, by the number of tokens in their word.",
        [(_tokens(n, len(cells) - 1), _cell_getter("by_word_length", n)) for n in lengths],
    )


def _tokens(count: int, most: int) -> str:
    return f"{count}{'+' if count == most else ''} token{'s' if count > 1 else ''}"


_TRACKS = {
    "entity_labels": ("Named entities", "Share of tokens masked, by entity label."),
    "pos_tags": ("Parts of speech", "Share of tokens masked, by part of speech."),
}


def _tracks(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    for track, (title, text) in _TRACKS.items():
        codes = [
            cell
            for cell in reports[0]["measures"]["by_track"].get(track, [])
            if all(_by_code(r["measures"], track=track, code=cell["code"]) for r in reports)
        ]
        codes = sorted(codes, key=lambda cell: -cell["tokens"])[:_MOST_BARS]
        if codes:
            yield bar_card(
                reports,
                names,
                title,
                text,
                [
                    (
                        "none" if cell["code"] == 0 else str(cell["name"]),
                        partial(_by_code, track=track, code=cell["code"]),
                    )
                    for cell in codes
                ],
            )


def _cell_getter(measure: str, cell: int) -> Callable[[Any], Any]:
    return lambda measures: measures[measure][cell]


def _by_code(measures: Mapping[str, Any], *, track: str, code: int) -> Any:
    return next((c for c in measures["by_track"].get(track, ()) if c["code"] == code), None)


def _coverage(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    if any(report["epochs"] < 2 for report in reports):
        return
    count = max(len(r["measures"]["coverage"]["tokens"]) for r in reports)
    if not any(sum(r["measures"]["coverage"]["tokens"]) for r in reports):
        return
    law = None
    if len(reports) == 1:
        chance = percent(reports[0]["measures"]["coverage"]["by_chance"])
        law = Series(name="by chance", values=chance, style="law")
    every = max(1, count // 12)
    axis = Axis(
        title="epochs in which a token is masked",
        labels={n: str(n) for n in range(count) if n % every == 0},
    )
    series = series_of(reports, names, lambda r: percent(r["measures"]["coverage"]["tokens"]))
    yield card(
        "How often a token is masked",
        "Tokens by the number of epochs that mask them. Left: those never learned from.",
        bars(series, axis, "% of tokens", law),
        key(["measured"] if law else names, "by chance" if law else ""),
    )


def _lengths(reports: Sequence[Report], names: Sequence[str]) -> Iterator[str]:
    for field, title in (("input_lengths", "inputs"), ("target_lengths", "targets")):
        tables = [report["measures"]["sequences"].get(field, []) for report in reports]
        if not all(map(any, tables)):
            continue
        width = max(1, -(-max(map(len, tables)) // 40))
        cells = -(-max(map(len, tables)) // width)
        series = [
            Series(name=name, values=_grouped(table, width), style=style)
            for table, name, style in zip(tables, names, STYLES, strict=False)
        ]
        labels = {n: str(n * width) for n in range(0, cells, max(1, cells // 8))}
        yield card(
            f"How long {title} are",
            f"Rows by the length of their {title}.",
            bars(series, Axis(title="tokens", labels=labels), "% of rows"),
            key(names),
        )


def _grouped(table: Sequence[int], width: int) -> list[float]:
    return percent([sum(table[at : at + width]) for at in range(0, len(table), width)])


_SECTIONS = (
    _fractions,
    _runs,
    _frequencies,
    _positions,
    _tracks,
    _word_lengths,
    _coverage,
    _lengths,
)
