"""Two audits side by side: what differs comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from premask.pipeline.audit.cards import key
from premask.pipeline.audit.page import banner, document, promises, samples
from premask.pipeline.audit.sections import plots
from premask.pipeline.audit.summary import sentences

Report = Mapping[str, Any]
_LEAST_TOKENS = 100
_SAME = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One measure of both audits. `size` is relative: 0 is equal, 2 is as far as can be."""

    name: str
    first: float
    second: float
    unit: str

    @property
    def size(self) -> float:
        whole = abs(self.first) + abs(self.second)
        return 2.0 * abs(self.first - self.second) / whole if whole else 0.0


def differences(first: Report, second: Report) -> list[Difference]:
    """Every measure that both audits have, the most different first."""
    ours, theirs = dict(_measures(first)), dict(_measures(second))
    found = [
        Difference(name=name, first=value, second=theirs[name][0], unit=unit)
        for name, (value, unit) in ours.items()
        if name in theirs
    ]
    return sorted(found, key=lambda difference: (-difference.size, difference.name))


def render_comparison(first: Report, second: Report) -> str:
    """The page of two audits."""
    names = labels(first, second)
    body = [
        "<h1>Two audits side by side</h1>",
        key(names),
        _table(differences(first, second), names),
        "<h2>What the masks do</h2>" + plots([first, second], names),
    ]
    for name, report in zip(names, (first, second), strict=True):
        body.append(f"<h2>{escape(name)}</h2>{banner(report)}")
        body += [f"<p>{escape(sentence)}</p>" for sentence in sentences(report)]
        body.append(promises(report) if report["promises"] else "")
        body.append(samples(report).replace("<h2>", "<h3>").replace("</h2>", "</h3>"))
    return document("Two mask audits", body)


def labels(first: Report, second: Report) -> tuple[str, str]:
    """Names that tell two audits apart."""

    def name(report: Report, letter: str) -> str:
        policy = report["policy"]["name"] if report["policy"] else "no policy"
        return f"{letter}: {policy}, {report['data']['location']}"

    return name(first, "A"), name(second, "B")


def _measures(report: Report) -> Iterator[tuple[str, tuple[float, str]]]:
    totals, measures = report["totals"], report["measures"]
    yield "share of the text that is masked", (measures["masked_share"], "%")
    rows = totals.get("row_epochs", 0)
    if rows:
        yield "rows without a mask", (totals["empty_rows"] / rows, "%")
    for name, share in measures["split"].items():
        yield f"masked tokens that are {_SPLIT[name]}", (share, "%")
    for unit, table in measures["units"].items():
        if table["whole"] + table["part"]:
            cut = table["part"] / (table["whole"] + table["part"])
            yield f"hit {_UNITS[unit]} that are cut", (cut, "%")
            yield (
                f"{_UNITS[unit]} that are hit",
                (1.0 - table["none"] / sum(table.values()), "%"),
            )
    runs = measures["runs"]
    if sum(runs):
        mean = sum(length * count for length, count in enumerate(runs)) / sum(runs)
        yield "mean length of a masked run", (mean, "tokens")
    if sum(measures["coverage"]["tokens"]) and report["epochs"] > 1:
        yield "text that is never masked", (measures["coverage"]["never"], "%")
    bands = measures["by_frequency"]
    yield "masked share of the rarest tenth", (bands[0]["share"], "%")
    yield "masked share of the commonest tenth", (bands[-1]["share"], "%")
    for track, cells in measures["by_track"].items():
        for cell in cells:
            if cell["code"] and cell["tokens"] >= _LEAST_TOKENS and track in _TRACKS:
                yield f"masked share of {_TRACKS[track]} {cell['name']}", (cell["share"], "%")
    for name in ("mean_input", "mean_target", "mean_sentinels"):
        if measures["sequences"]:
            yield name.replace("_", " ") + " length", (measures["sequences"][name], "tokens")


_SPLIT = {
    "masked": "shown as a mask",
    "random": "replaced at random",
    "kept": "left as they are",
}
_UNITS = {"word": "words", "entity": "entities", "phrase": "phrases"}
_TRACKS = {"entity_labels": "entities labelled", "pos_tags": "part of speech"}


def _table(found: list[Difference], names: tuple[str, str]) -> str:
    def cell(value: float, unit: str) -> str:
        return f"{value:.2%}" if unit == "%" else f"{value:.2f} {escape(unit)}"

    rows = [
        f"<tr><td>{escape(one.name)}</td>"
        f'<td class="num">{cell(one.first, one.unit)}</td>'
        f'<td class="num">{cell(one.second, one.unit)}</td></tr>'
        for one in found
        if one.size > _SAME
    ]
    same = [one.name for one in found if one.size <= _SAME]
    head = "".join(f'<th class="num">{escape(name)}</th>' for name in names)
    body = (
        f'<div class="scroll"><table><thead><tr><th>What differs</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        if rows
        else "<p>No measure differs by more than two per cent.</p>"
    )
    alike = f'<p class="note">Alike within 2 %: {escape(", ".join(same))}.</p>' if same else ""
    return f"<h2>Differences first</h2>{body}{alike}"
