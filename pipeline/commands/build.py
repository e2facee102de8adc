"""``premask build``: from text to shards."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from premask._errors import RequestError
from premask.pipeline.commands import options
from premask.pipeline.commands.guard import exit_on_terminate, guarded
from premask.pipeline.commands.summary import summary

if TYPE_CHECKING:
    from premask.pipeline.plan import Plan
    from premask.pipeline.progress import Reporter
    from premask.pipeline.session import Built
    from premask.schemas.job import Job

_LISTED_UNITS = 40


@guarded
def build(
    job: options.JobFile = None,
    assignments: options.Assignments = None,
    inputs: options.Inputs = None,
    tokenizer: options.Tokenizer = None,
    out: options.Out = None,
    format_: options.Format = None,
    max_length: options.MaxLength = None,
    arrangement: options.Arrangement = None,
    seed: options.Seed = None,
    engine: options.EngineName = None,
    workers: options.Workers = None,
    ray_address: options.RayAddress = None,
    dry_run: options.DryRun = False,
    restart: options.Restart = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
    log_json: options.LogJson = None,
) -> None:
    """Build a shard set from a job file, or from --input, --tokenizer and --out.

    An interrupted build goes on where it was when the command runs again.
    """
    from premask.pipeline.build import without_effect
    from premask.pipeline.load import load_job
    from premask.pipeline.progress import reporting

    exit_on_terminate()
    values = {
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
    loaded = load_job(job, assignments or (), values=values)
    if not quiet and (note := without_effect(loaded)):
        print(f"premask: {note}", file=sys.stderr)
    with reporting(quiet=quiet, log=log, log_json=log_json) as reporter:
        sets = _run(loaded, reporter, dry_run=dry_run, restart=restart)
    if log_json != "-":
        print("\n".join(map(summary, sets)), end="\n" if sets else "")


def _run(job: Job, reporter: Reporter, *, dry_run: bool, restart: bool) -> list[Built]:
    from premask.pipeline.build import build_plan, make_engine
    from premask.pipeline.freeze import freeze, static_policy
    from premask.pipeline.plan import make_plan
    from premask.pipeline.session import STATIC_DIRECTORY

    policy = static_policy(job)
    plan = make_plan(job)
    if dry_run:
        _print_plan(plan)
        return []
    runner = make_engine(plan.job)
    sets = [build_plan(plan, reporter, runner, restart=restart)]
    if policy is not None:
        made, epochs = plan.job.output, plan.job.epochs
        static = f"{made}/{STATIC_DIRECTORY}"
        sets.append(
            freeze(made, static, policy, epochs=epochs, engine=runner, reporter=reporter)
        )
    return sets


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
    from premask.pipeline.tally import plural, short

    for index, source in enumerate(plan.job.sources):
        units = [unit for unit in plan.units if unit.source == index]
        files = {piece.name for unit in units for piece in unit.slices}
        formats = ", ".join(sorted({unit.format for unit in units}))
        size = sum(unit.num_bytes for unit in units)
        print(
            f"source {index}: {source.path} ({formats}): {plural(len(files), 'file')}, "
            f"{plural(len(units), 'unit')}, {size:,} bytes"
        )
    for number, unit in enumerate(plan.units[:_LISTED_UNITS]):
        print(f"  unit {number:05d}  {unit.num_bytes:>14,} bytes  {unit.label}")
    if len(plan.units) > _LISTED_UNITS:
        print(f"  and {len(plan.units) - _LISTED_UNITS} units more")
    print(f"chain: {' > '.join(plan.stage_names())}")
    print(f"encoded by: {plan.workbench.tokenizer.fast}")
    print(
        f"total: {plural(len(plan.units), 'unit')}, {plan.num_bytes:,} bytes, about "
        f"{short(plan.estimated_tokens)} tokens, into {plan.job.output}"
    )
