"""``premask policies``: every preset with its law."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from premask.pipeline.commands.guard import guarded

if TYPE_CHECKING:
    from premask.masking.policy import Policy


@guarded
def policies(
    name: Annotated[
        str | None, typer.Argument(help="One preset, in full.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the presets, or show one of them: its law, parameters and deviations."""
    from premask.masking.policy import policy
    from premask.masking.presets import PRESETS

    if as_json:
        names = [name] if name is not None else list(PRESETS)
        print(json.dumps([_plain(policy(each)) for each in names], indent=2))
    elif name is not None:
        _print_one(policy(name))
    else:
        _print_all()


def _plain(policy: Policy) -> dict[str, Any]:
    from premask.masking.presets import PRESETS

    preset = PRESETS[policy.name]
    return {
        **policy.to_dict(),
        "summary": preset.summary,
        "law": policy.law,
        "source": preset.source,
        "deviations": list(policy.deviations),
        "needs": list(policy.needs),
        "outputs": list(policy.outputs),
    }


def _print_all() -> None:
    from premask.masking.policy import policy
    from premask.masking.presets import PRESETS
    from premask.pipeline.describe import short_needs
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("preset", "what it does", "needs"):
        table.add_column(title)
    for name, preset in PRESETS.items():
        table.add_row(name, preset.summary, short_needs(policy(name)))
    console = Console()
    console.print(table)
    console.print("premask policies NAME shows one in full", style="dim")


def _print_one(policy: Policy) -> None:
    from premask.masking.presets import PRESETS
    from premask.pipeline.describe import allowed, as_yaml, parameters_of, short_needs
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    preset, console = PRESETS[policy.name], Console()
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_row("preset", policy.name, style="bold")
    facts.add_row("law", Text(policy.law))
    facts.add_row("source", Text(preset.source))
    for number, deviation in enumerate(policy.deviations):
        facts.add_row("" if number else "deviates", Text(deviation))
    facts.add_row("needs", short_needs(policy) or "nothing beyond tokens")
    facts.add_row("gives", ", ".join(policy.outputs))
    console.print(facts)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for title, share in (("parameter", None), ("value", 2), ("meaning", 5), ("allowed", 3)):
        table.add_column(title, ratio=share, no_wrap=share is None)
    for key, parameter in parameters_of(policy).items():
        value = preset.parameters.get(key, policy.parameters[key])
        words = Text(", ".join(allowed(parameter)), style="dim")
        table.add_row(key, Text(as_yaml(value)), parameter.help, words)
    console.print(table)
