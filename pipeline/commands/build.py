"""``premask build``: from text to shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from premask._errors import RequestError
from premask.pipeline.commands.guard import exit_on_terminate, guarded
from premask.pipeline.commands.summary import summary

if TYPE_CHECKING:
    from premask.pipeline.plan import Plan

_LISTED_UNITS = 40
_INPUT, _ROWS, _RUN = "Without a job file", "Rows", "How it runs"


@guarded
def build(
    job: Annotated[
        Path | None, typer.Argument(help="Job file (YAML).", show_default=False)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a key, as rows.max_length=128."
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="PATH",
            help="File, directory, glob or URL; again for more.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="File, directory or hub name.", rich_help_panel=_INPUT),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Directory of the shard set, or URL.", rich_help_panel=_INPUT),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="Of the inputs; default: auto.", rich_help_panel=_INPUT),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Tokens per row; default: 512.", rich_help_panel=_ROWS)
    ] = None,
    arrangement: Annotated[
        str | None,
        typer.Option(help="full or documents; default: full.", rich_help_panel=_ROWS),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of all masks; default: 12345.", rich_help_panel=_ROWS),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="local or ray; default: local.", rich_help_panel=_RUN)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Ray workers; default: all cores.", rich_help_panel=_RUN)
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(help="A running cluster; default: RAY_ADDRESS.", rich_help_panel=_RUN),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan only.", rich_help_panel=_RUN)
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Drop what is there first.", rich_help_panel=_RUN),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)
    ] = False,
    log: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Log with tracebacks.", rich_help_panel=_RUN),
    ] = None,
    log_json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSON lines; - for stdout.", rich_help_panel=_RUN),
    ] = None,
) -> None:
    """Build a shard set from a job file, or from --input, --tokenizer and --out.

    An interrupted build goes on where it was when the same command runs again.
    """
    from premask.pipeline.build import build_plan, make_engine
    from premask.pipeline.freeze import freeze, static_policy
    from premask.pipeline.load import load_job
    from premask.pipeline.plan import make_plan
    from premask.pipeline.progress import reporting
    from premask.pipeline.session import STATIC_DIRECTORY

    exit_on_terminate()
    given = {
        "tokenizer": tokenizer,
        "output": out,
        "rows.max_length": max_length,
        "rows.arrangement": arrangement,
        "seed": seed,
        "workers": workers,
        "ray_address": ray_address,
        "engine": engine or ("ray" if workers or ray_address else None),
        "sources": _sources(inputs, format_, has_job=job is not None),
    }
    values = {key: value for key, value in given.items() if value is not None}
    loaded = load_job(job, assignments or (), values=values)
    policy = static_policy(loaded)
    plan = make_plan(loaded)
    if dry_run:
        _print_plan(plan)
        return
    with reporting(quiet=quiet, log=log, log_json=log_json) as reporter:
        runner = make_engine(plan.job)
        sets = [build_plan(plan, reporter, runner, restart=restart)]
        if policy is not None:
            target = f"{plan.job.output}/{STATIC_DIRECTORY}"
            epochs = plan.job.epochs
            frozen = freeze(
                plan.job.output, target, policy, epochs=epochs, engine=runner, reporter=reporter
            )
            sets.append(frozen)
    for done in sets if log_json != "-" else ():
        print(summary(done))


def _sources(
    inputs: list[str] | None, format_: str | None, *, has_job: bool
) -> list[dict[str, Any]] | None:
    if inputs and has_job:
        raise RequestError(
            "a job file has its own sources; drop --input, or change one with "
            "--set sources.0.path=PATH",
            location="--input",
        )
    if not inputs and format_ is not None:
        raise RequestError(
            f"--format belongs to --input; for a job file use --set sources.0.format={format_}",
            location="--format",
        )
    if not inputs:
        return None
    return [{"path": path, "format": format_ or "auto"} for path in inputs]


def _print_plan(plan: Plan) -> None:
    from premask.pipeline.tally import short

    for index, source in enumerate(plan.job.sources):
        units = [unit for unit in plan.units if unit.source == index]
        files = {unit.name for unit in units}
        formats = ", ".join(sorted({unit.format for unit in units}))
        size = sum(unit.num_bytes for unit in units)
        print(
            f"source {index}: {source.path} ({formats}): {len(files)} files, "
            f"{len(units)} units, {size:,} bytes"
        )
    for number, unit in enumerate(plan.units[:_LISTED_UNITS]):
        print(f"  unit {number:05d}  {unit.num_bytes:>14,} bytes  {unit.name}:{unit.start}")
    if len(plan.units) > _LISTED_UNITS:
        print(f"  and {len(plan.units) - _LISTED_UNITS} units more")
    print(f"chain: {' > '.join(plan.stage_names())}")
    print(
        f"total: {len(plan.units)} units, {plan.num_bytes:,} bytes, about "
        f"{short(plan.estimated_tokens)} tokens, into {plan.job.output}"
    )
