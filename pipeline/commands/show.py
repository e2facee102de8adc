"""``premask show``: one row, masked, in colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from premask._errors import RequestError
from premask.pipeline.commands.choose import choose_policy
from premask.pipeline.commands.guard import guarded

if TYPE_CHECKING:
    from premask.pipeline.show import Segment, View
    from premask.shards import ShardSet
    from rich.console import Console
    from rich.text import Text

_MOST_LISTED = 20
_MOST_EPOCHS = 64
_STYLES = {
    "text": "",
    "special": "dim",
    "sentinel": "bold magenta",
    "entity": "underline blue",
    "mask": "bold white on red",
    "random": "black on yellow",
    "kept": "underline green",
    "target": "bold green",
}
# Without colour these stand around a stretch of text.
_BRACKETS = {"random": "~", "kept": "=", "target": "«»"}


@guarded
def show(
    shards: Annotated[str, typer.Argument(help="Directory or URL of a shard set.")],
    row: Annotated[int | None, typer.Option(help="Number of the row; default: 0.")] = None,
    document: Annotated[
        str | None,
        typer.Option(metavar="ID", help="List the rows of a document; show the first."),
    ] = None,
    epochs: Annotated[
        list[str] | None,
        typer.Option(
            "--epoch",
            "--epochs",
            metavar="E|FIRST-LAST",
            help="Epochs to mask it for, as 3 or 0-4; can be given again; default: 0.",
        ),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Preset, or a YAML or JSON file; default: unmasked.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter, as rate=0.3."),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(min=0, help="Step of the run, for policies that depend on it."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page, in colour.")
    ] = None,
) -> None:
    """Show one row: what the model gets, beside what it is to predict."""
    from premask.pipeline.show import make_view
    from premask.shards import open_shards
    from rich.console import Console

    if changes and policy is None:
        raise RequestError(
            "--set changes a parameter of a policy; give one with --policy", location="--set"
        )
    chosen = None if policy is None else choose_policy(policy, changes or ())
    opened, console = open_shards(shards), Console()
    lines, number = _lineage(opened, row, document)
    wanted = parse_epochs(epochs or ())
    views = [make_view(opened, number, epoch=e, policy=chosen, step=step) for e in wanted]
    # Without a policy, and in a static set, a row is the same in all epochs.
    views = [view for k, view in enumerate(views) if view not in views[:k]]
    for line in lines:
        console.print(line, style="dim", markup=False, highlight=False)
    for view in views:
        draw(view, console)
    if html is not None:
        from premask.pipeline.show_page import render

        html.write_text(render(views, lines), encoding="utf-8")


def _lineage(shards: ShardSet, row: int | None, document: str | None) -> tuple[list[str], int]:
    """What to say of a row's documents or a document's rows, and the row to show."""
    from premask.pipeline.lineage import documents_of, rows_of
    from premask.stages.places import PLACES

    lines: list[str] = []
    if document is not None:
        if row is not None:
            raise RequestError("give a row or a document, not both", location="--document")
        rows = rows_of(shards, document)
        listed = ", ".join(map(str, rows[:_MOST_LISTED]))
        more = f" and {len(rows) - _MOST_LISTED} more" if len(rows) > _MOST_LISTED else ""
        lines.append(f"document {document} begins in row {rows[0]}; its rows: {listed}{more}")
        row = rows[0]
    row = row or 0
    if 0 <= row < len(shards) and PLACES in shards.manifest.tables:
        manifest = shards.manifest
        sizes = accumulate(shard.num_rows for shard in manifest.shards)
        file = next(s.file for s, end in zip(manifest.shards, sizes, strict=True) if row < end)
        lines.append(f"row {row} in {file}, from:")
        lines += (
            f"  document {p.document_id}, unit {p.unit}, position {p.position}"
            for p in documents_of(shards, row)
        )
    return lines, row


def parse_epochs(given: Sequence[str]) -> list[int]:
    """The epochs of ``3`` and ``0-4``, in the order given, each once; epoch 0 for none.

    Raises:
        RequestError: something else was given, or more than 64 epochs.
    """
    found: dict[int, None] = {}
    for text in given or ("0",):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < first + _MOST_EPOCHS:
            raise RequestError(
                f"epochs {text!r}; give one as 3, or up to {_MOST_EPOCHS} as 0-4",
                location="--epochs",
            )
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def draw(view: View, console: Console) -> None:
    """Prints a view: facts, the two columns, notes, and what the colours mean."""
    from rich.table import Table
    from rich.text import Text

    facts = (f"{name} {value}" for name, value in view.facts.items() if value)
    console.print(Text(", ".join(facts), style="dim"))
    colour = console.color_system is not None
    table = Table(expand=True, show_header=bool(view.targets))
    table.add_column("inputs" if view.targets else "", ratio=1, overflow="fold")
    cells = [_text(view.inputs, colour=colour)]
    if view.targets:
        table.add_column("targets", ratio=1, overflow="fold")
        cells.append(_text(view.targets, colour=colour))
    table.add_row(*cells)
    console.print(table)
    for title, segments in view.notes.items():
        console.print(Text(f"{title}: ", style="dim") + _text(segments, colour=colour))
    from premask.pipeline.show_page import MEANINGS

    present = {segment.role for segment in (*view.inputs, *view.targets)}
    legend = Text("  ").join(
        _text([_sample(role, meaning)], colour=colour)
        for role, meaning in MEANINGS.items()
        if role in present
    )
    console.print(legend)


def _sample(role: str, meaning: str) -> Segment:
    from premask.pipeline.show import Segment

    return Segment(meaning, role)  # type: ignore[arg-type]


def _text(segments: tuple[Segment, ...] | list[Segment], *, colour: bool) -> Text:
    from rich.text import Text

    text = Text()
    for segment in segments:
        gap = " " if segment.text.startswith(" ") else ""
        body = segment.text.removeprefix(" ")
        marks = "" if colour else _BRACKETS.get(segment.role, "")
        if marks:
            body = f"{marks[0]}{body}{marks[-1]}"
        text.append(gap)
        text.append(body, style=_STYLES[segment.role])
    return text
