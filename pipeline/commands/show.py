"""``premask show``: one row, masked, in colour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from premask._errors import RequestError
from premask.pipeline.commands.choose import choose_policy
from premask.pipeline.commands.guard import guarded

if TYPE_CHECKING:
    from premask.pipeline.show import Segment, View
    from rich.console import Console
    from rich.text import Text

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
_MEANINGS = {
    "mask": "masked",
    "random": "replaced at random",
    "kept": "predicted, left as it is",
    "target": "to be predicted",
    "sentinel": "sentinel",
    "entity": "entity",
}
# Without colour these stand around a stretch of text.
_BRACKETS = {"random": "~", "kept": "=", "target": "«»"}


@guarded
def show(
    shards: Annotated[str, typer.Argument(help="Directory or URL of a shard set.")],
    row: Annotated[int, typer.Option(help="Number of the row.")] = 0,
    epoch: Annotated[int, typer.Option(min=0, help="Epoch to mask it for.")] = 0,
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
        Path | None, typer.Option(metavar="FILE", help="Also write a page.")
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
    view = make_view(open_shards(shards), row, epoch=epoch, policy=chosen, step=step)
    draw(view, Console())
    if html is not None:
        import io

        page = Console(record=True, file=io.StringIO(), width=120, force_terminal=True)
        draw(view, page)
        html.write_text(page.export_html(inline_styles=True), encoding="utf-8")


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
    present = {segment.role for segment in (*view.inputs, *view.targets)}
    legend = Text("  ").join(
        _text([_sample(role, meaning)], colour=colour)
        for role, meaning in _MEANINGS.items()
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
