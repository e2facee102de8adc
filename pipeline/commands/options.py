"""Options that commands share or that would make a signature unreadable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_INPUT, _ROWS, _RUN = "Without a job file", "Rows", "How it runs"

JobFile = Annotated[Path | None, typer.Argument(help="Job file (YAML).", show_default=False)]
Dynamic = Annotated[str, typer.Argument(help="Directory or URL of a dynamic set.")]
Static = Annotated[str, typer.Argument(help="Directory or URL of the static set.")]

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key, as rows.max_length=128."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter, as rate=0.3."),
]
PolicyName = Annotated[str, typer.Option(help="Preset, or a YAML or JSON file.")]
Epochs = Annotated[int, typer.Option(min=1, max=65536, help="Masked copies of every row.")]

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="PATH",
        help="File, directory, glob or URL; again for more.",
        rich_help_panel=_INPUT,
    ),
]
Tokenizer = Annotated[
    str | None, typer.Option(help="File, directory or hub name.", rich_help_panel=_INPUT)
]
Out = Annotated[
    str | None, typer.Option(help="Directory of the shard set, or URL.", rich_help_panel=_INPUT)
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Of the inputs; default: auto.", rich_help_panel=_INPUT),
]

MaxLength = Annotated[
    int | None, typer.Option(help="Tokens per row; default: 512.", rich_help_panel=_ROWS)
]
Arrangement = Annotated[
    str | None,
    typer.Option(
        help="What a row is: full, documents, sentences, pairs, ...; default: full.",
        rich_help_panel=_ROWS,
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Seed of all masks; default: 12345.", rich_help_panel=_ROWS)
]

EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine", help="local or ray; default: local, ray with workers.", rich_help_panel=_RUN
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Ray workers; default: all cores.", rich_help_panel=_RUN),
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="A running cluster; default: RAY_ADDRESS.", rich_help_panel=_RUN),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan only.", rich_help_panel=_RUN)
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Drop what is there first.", rich_help_panel=_RUN)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)
]
Log = Annotated[
    str | None, typer.Option(metavar="FILE", help="Log with tracebacks.", rich_help_panel=_RUN)
]
LogJson = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="JSON lines; - for stdout.", rich_help_panel=_RUN),
]
