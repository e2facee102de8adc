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
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("preset", "what it does", "needs"):
        table.add_column(title)
    for name, preset in PRESETS.items():
        table.add_row(name, preset.summary, ", ".join(policy(name).needs))
    console = Console()
    console.print(table)
    console.print("premask policies NAME shows one in full", style="dim")


def _print_one(policy: Policy) -> None:
    from premask.masking.operations import OPERATIONS
    from premask.masking.presets import PRESETS
    from rich.console import Console
    from rich.table import Table

    preset, console = PRESETS[policy.name], Console()
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_row("preset", policy.name, style="bold")
    facts.add_row("law", policy.law)
    facts.add_row("source", preset.source)
    for deviation in policy.deviations:
        facts.add_row("deviates", deviation)
    facts.add_row("needs", ", ".join(policy.needs) or "nothing beyond tokens")
    facts.add_row("gives", ", ".join(policy.outputs))
    console.print(facts)
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for title in ("parameter", "value", "meaning"):
        table.add_column(title)
    for key, parameter in OPERATIONS[policy.operation].parameters.items():
        table.add_row(key, str(policy.parameters[key]), parameter.help)
    console.print(table)
