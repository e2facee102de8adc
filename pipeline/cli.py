"""The command line: ``premask COMMAND``, or ``python -m premask.pipeline COMMAND``.

Imports typer and nothing heavier; a command imports what it needs when it runs.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer
from premask.pipeline.commands.audit import audit
from premask.pipeline.commands.build import build
from premask.pipeline.commands.freeze import freeze
from premask.pipeline.commands.guard import TRACEBACK_VARIABLE
from premask.pipeline.commands.info import info
from premask.pipeline.commands.policies import policies
from premask.pipeline.commands.show import show
from premask.pipeline.commands.train_tokenizer import train_tokenizer
from premask.pipeline.commands.verify import verify

app = typer.Typer(
    name="premask",
    help="Prepare a corpus once, train any objective, replay any mask.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Prepare a corpus once, train any objective, replay any mask."""
    if traceback:
        os.environ[TRACEBACK_VARIABLE] = "1"


for command in (build, freeze, audit, show, verify, info, policies, train_tokenizer):
    app.command()(command)


def main() -> None:
    """Runs the command line and exits with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal cannot show
    app()
