"""`premask build`: plan a job, run its units on an engine, publish the shard set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask._errors import UnitError
from premask._format import TOKENIZER_FILE
from premask.manifest import Manifest
from premask.pipeline import finish, session
from premask.pipeline.collocations import write_collocations
from premask.pipeline.duplicates import find_repeats
from premask.pipeline.engine import UNIT_TIMEOUT, Engine, Task
from premask.pipeline.fit import refuse_unfit
from premask.pipeline.journal import UnitRecord, changed_files
from premask.pipeline.local import LocalEngine
from premask.pipeline.lock import locked
from premask.pipeline.output import Output
from premask.pipeline.plan import Plan, input_fingerprints, make_plan
from premask.pipeline.progress import Reporter
from premask.pipeline.ray_engine import RayEngine
from premask.pipeline.unit_entry import input_name
from premask.pipeline.work import BuildWork, UnitTask
from premask.schemas.job import Job
from premask.stages.collocations import COLLOCATIONS


def make_engine(job: Job) -> Engine:
    """The engine that the job names."""
    if job.engine == "local":
        return LocalEngine(retries=job.retries, unit_timeout=job.unit_timeout)
    return RayEngine(
        workers=job.workers,
        address=job.ray_address,
        unit_timeout=job.unit_timeout or UNIT_TIMEOUT,
        retries=job.retries,
        gpus=job.annotate.gpus if job.annotate else 0.0,
        helpers=(job.annotate.workers or 0) if job.annotate else 0,
    )


def without_effect(job: Job) -> str:
    """What the job says of its run that its engine does not heed; empty if there is nothing."""
    if job.engine != "local":
        return ""
    said = [name for name in ("workers", "ray_address") if getattr(job, name) is not None]
    if job.annotate is not None and job.annotate.workers is not None:
        said.append("annotate.workers")
    if not said:
        return ""
    return f"{', '.join(said)}: without effect on the local engine; --engine ray heeds it"


def build(job: Job, reporter: Reporter, *, restart: bool = False) -> session.Built:
    """Builds a job's dynamic shard set, or goes on with one that was begun.

    Raises:
        RequestError: the job cannot be run, or the output is another job's.
        UnitError: units failed; what is complete stays, and a rerun goes on from there.
    """
    return build_plan(make_plan(job), reporter, make_engine(job), restart=restart)


def build_plan(
    plan: Plan, reporter: Reporter, engine: Engine, *, restart: bool = False
) -> session.Built:
    """`build` of a job that is planned already."""
    output = Output.at(plan.job.output)
    with locked(output):
        session.prepare(output, restart=restart)
        manifest = session.finished(output, plan.header)
        if manifest is not None:
            return session.Built(output=output, manifest=manifest, fresh=False)
        refuse_unfit(plan)
        follows_repeats = find_repeats(plan, output, engine, reporter)
        records = session.run_units(
            output,
            plan.header,
            BuildWork(job=plan.job, output=output, fingerprint=plan.header.fingerprint),
            _tasks(plan, follows_repeats=follows_repeats),
            engine,
            reporter,
            names=lambda index: plan.units[index].label,
            num_bytes=lambda index: plan.units[index].num_bytes,
            note=f"; encoded by {plan.workbench.tokenizer.fast}",
        )
        _refuse_changed_input(plan)
        tables = finish.write_tables(
            output, records, plan.workbench.tokenizer.vocabulary, plan.workbench.tokenizer.json
        )
        if plan.job.collocations is not None:
            tables[COLLOCATIONS] = write_collocations(
                output, plan.job.collocations, records, engine, reporter
            )
        manifest = _finish(output, plan, records, tables)
        return session.Built(output=output, manifest=manifest, fresh=True)


def _tasks(plan: Plan, *, follows_repeats: bool) -> list[Task]:
    inputs = plan.header.inputs
    return [
        Task(
            index=index,
            value=UnitTask(
                index=index,
                unit=unit,
                fingerprints=tuple(inputs[input_name(piece)] for piece in unit.slices),
                follows_repeats=follows_repeats,
            ),
        )
        for index, unit in enumerate(plan.units)
    ]


def _refuse_changed_input(plan: Plan) -> None:
    """A file that changed while it was read would make a set of neither version."""
    names = {input_name(piece) for unit in plan.units for piece in unit.slices}
    before = {name: plan.header.inputs[name] for name in names}
    if changed := changed_files(before, input_fingerprints(plan.units)):
        raise UnitError(
            f"the input changed during the build: {changed}; start over with --restart",
            location=plan.job.output,
        )


def _finish(
    output: Output,
    plan: Plan,
    records: list[UnitRecord],
    tables: Mapping[str, Mapping[str, Any]],
) -> Manifest:
    tokenizer = plan.workbench.tokenizer
    finish.write_job(output, plan.header.job)
    manifest = Manifest(
        mode="dynamic",
        job_fingerprint=plan.header.fingerprint,
        job=plan.header.job,
        columns=plan.workbench.columns,
        max_length=plan.job.rows.max_length,
        vocabulary=tokenizer.vocabulary,
        tokenizer={
            "file": TOKENIZER_FILE,
            "sha256": tokenizer.sha256,
            "model": tokenizer.model,
        },
        totals=finish.totals(records),
        shards=finish.shard_entries(records),
        tracks=plan.workbench.track_names,
        annotator=plan.annotator,
        tables=tables,
    )
    return finish.publish(output, manifest)
