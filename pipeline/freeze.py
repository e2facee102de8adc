"""`premask freeze`: a dynamic shard set and a policy become a static shard set.

A unit is one shard in one epoch; the units of epoch 0 come first. The same journal, engines and
refusals as in `build`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from premask._errors import PolicyError, RequestError, UnitError
from premask._format import FORMAT_NAME, FORMAT_VERSION, SHARDS_DIRECTORY, TOKENIZER_FILE
from premask.manifest import Manifest, ShardEntry
from premask.masking.masker import ANNOTATIONS, Masker
from premask.masking.policy import Policy
from premask.masking.policy import policy as premask_policy
from premask.pipeline import finish, session
from premask.pipeline.describe import needs_collocations
from premask.pipeline.engine import Engine, Result, Task, Tell
from premask.pipeline.journal import PLAN, Header, UnitRecord, record_name
from premask.pipeline.lock import locked
from premask.pipeline.output import Output, absolute
from premask.pipeline.progress import Reporter
from premask.schemas.job import Job
from premask.shards import ShardSet, open_shards
from premask.stages.freeze import check_freezable, freeze_rows, static_schema

_SOURCE = "shards"


def static_policy(job: Job) -> Policy | None:
    """The policy that a job freezes, checked as far as it can be before there are shards.

    Raises:
        PolicyError: it is no policy, cannot be frozen, or needs what is not annotated.
    """
    if job.policy is None:
        return None
    found = premask_policy(job.policy)
    check_freezable(found)
    if job.collocations is None and needs_collocations(found):
        raise PolicyError(
            f"policy {found.name!r} needs collocations, which this job does not count; add "
            "collocations: {} to it",
            location="policy",
        )
    annotated = job.annotate.tracks if job.annotate else ()
    for need in found.needs:
        if need in ANNOTATIONS and ANNOTATIONS[need] not in annotated:
            raise PolicyError(
                f"policy {found.name!r} needs {need}, which this job does not annotate; add "
                f"{ANNOTATIONS[need]} to annotate.tracks",
                location="policy",
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeTask:
    """One shard in one epoch."""

    index: int
    source: ShardEntry
    first: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWork:
    """Freezes shards of the set at `shards` into `output`."""

    shards: str
    manifest_sha256: str
    policy: Policy
    compression: Any
    output: Output
    fingerprint: str

    def open(self) -> Callable[[FreezeTask, Tell], Result]:
        if self.output.size(PLAN) < 0:
            raise UnitError(
                "this worker does not see the output directory; workers on several machines "
                "need a directory or URL that all of them share",
                location=self.output.root,
            )
        shards = open_shards(self.shards)
        return partial(_freeze_shard, self, shards, self.policy.bind(shards.binding))


def freeze(
    shards: str,
    out: str,
    policy: Policy,
    *,
    epochs: int,
    engine: Engine,
    reporter: Reporter,
    restart: bool = False,
) -> session.Built:
    """Writes epochs ``0 .. epochs - 1`` of `policy` over the set at `shards` to `out`.

    Raises:
        RequestError: the set is static already, the policy does not fit it, or `out` holds
            something else.
        UnitError: units failed; a rerun goes on.
    """
    source = _open_source(shards, policy)
    header = _header(source, policy, epochs)
    output = Output.at(out)
    tasks = _tasks(source, epochs)
    with locked(output):
        session.prepare(output, restart=restart)
        if (manifest := session.finished(output, header)) is not None:
            return session.Built(output=output, manifest=manifest, fresh=False)
        records = session.run_units(
            output,
            header,
            _work(source, policy, output, header),
            [Task(index=task.index, value=task) for task in tasks],
            engine,
            reporter,
            names=lambda index: f"{tasks[index].source.file} in epoch {tasks[index].epoch}",
            num_bytes=lambda index: tasks[index].source.num_bytes,
        )
        manifest = _finish(output, source, policy, header, records)
        return session.Built(output=output, manifest=manifest, fresh=True)


def _open_source(shards: str, policy: Policy) -> ShardSet:
    source = open_shards(absolute(shards))
    if source.manifest.mode != "dynamic":
        raise RequestError(
            "the set is static, its rows are masked already; freeze the set that it was made "
            "from",
            location=shards,
        )
    check_freezable(policy)
    policy.bind(source.binding)
    return source


def _work(source: ShardSet, policy: Policy, output: Output, header: Header) -> FreezeWork:
    return FreezeWork(
        shards=source.location,
        manifest_sha256=source.manifest.sha256,
        policy=policy,
        compression=source.manifest.job.get("shards", {}).get("compression", "none"),
        output=output,
        fingerprint=header.fingerprint,
    )


def _header(source: ShardSet, policy: Policy, epochs: int) -> Header:
    job = {**source.manifest.job, "mode": "static", "policy": policy.to_dict()}
    return Header(
        kind="freeze",
        job={**job, "epochs": epochs},
        inputs={_SOURCE: source.manifest.sha256},
        num_units=len(source.manifest.shards) * epochs,
    )


def _tasks(source: ShardSet, epochs: int) -> list[FreezeTask]:
    entries = source.manifest.shards
    firsts = [0, *accumulate(entry.num_rows for entry in entries)]
    return [
        FreezeTask(index=epoch * len(entries) + k, source=entry, first=firsts[k], epoch=epoch)
        for epoch in range(epochs)
        for k, entry in enumerate(entries)
    ]


def _freeze_shard(
    work: FreezeWork, shards: ShardSet, masker: Masker, task: FreezeTask, tell: Tell
) -> Result:
    num_rows = task.source.num_rows

    def watch(rows: int, tokens: int) -> None:
        tell({"share": rows / num_rows, "rows": rows, "tokens": tokens})

    file = f"{SHARDS_DIRECTORY}/{task.index:05d}.arrow"
    with work.output.writing(file) as path:
        written = freeze_rows(
            shards,
            masker,
            first=task.first,
            num_rows=num_rows,
            epoch=task.epoch,
            path=path,
            metadata=_metadata(shards.manifest, work.policy),
            compression=work.compression,
            watch=watch,
        )
    entry = ShardEntry(
        file=file,
        num_rows=written.num_rows,
        num_tokens=written.num_tokens,
        num_bytes=written.num_bytes,
        xxh3_64=written.xxh3_64,
        sha256=written.sha256,
        unit={
            "input": _SOURCE,
            "fingerprint": work.manifest_sha256,
            "shard": task.source.file,
            "epoch": task.epoch,
        },
    )
    record = UnitRecord(index=task.index, fingerprint=work.fingerprint, shard=entry)
    work.output.write(record_name(task.index), record.to_bytes())
    return {"rows": written.num_rows, "tokens": written.num_tokens}


def _metadata(source: Manifest, policy: Policy) -> dict[str, str]:
    return {
        "format": FORMAT_NAME,
        "format_version": str(FORMAT_VERSION),
        "tokenizer_sha256": str(source.tokenizer["sha256"]),
        "policy": policy.canonical,
        "policy_fingerprint": policy.fingerprint,
    }


def _finish(
    output: Output,
    source: ShardSet,
    policy: Policy,
    header: Header,
    records: list[UnitRecord],
) -> Manifest:
    made_from = Output.at(source.location)
    names = [TOKENIZER_FILE, *(entry["file"] for entry in source.manifest.tables.values())]
    for name in names:
        output.write(name, made_from.mapped(name))
    finish.write_job(output, header.job)
    schema = static_schema(policy, source.manifest)
    totals = finish.totals(records)
    manifest = Manifest(
        mode="static",
        job_fingerprint=header.fingerprint,
        job=header.job,
        columns={field.name: finish.plain_type(field.type) for field in schema},
        max_length=max(source.manifest.max_length, _longest(source.manifest, policy)),
        vocabulary=source.manifest.vocabulary,
        tokenizer=source.manifest.tokenizer,
        totals={name: totals[name] for name in ("rows", "tokens")},
        shards=finish.shard_entries(records),
        tables=source.manifest.tables,
        policy={
            "name": policy.name,
            "definition": policy.to_dict(),
            "fingerprint": policy.fingerprint,
            "epochs": header.job["epochs"],
            "manifest_sha256": source.manifest.sha256,
        },
    )
    return finish.publish(output, manifest)


def _longest(source: Manifest, policy: Policy) -> int:
    """Fill-in-the-middle adds its three sentinels to a row; nothing else makes one longer."""
    chosen = (policy, *policy.members)
    return source.max_length + 3 * any(p.operation == "fill_in_middle" for p in chosen)
