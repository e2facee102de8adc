"""What a worker does with one unit of a build: its shard, then its record.

The order makes the record the commit: shard, rejects and counts are in place when it appears.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from premask._errors import RequestError, UnitError
from premask._format import SHARDS_DIRECTORY
from premask.manifest import ShardEntry
from premask.pipeline.duplicates import repeats_of
from premask.pipeline.engine import Help, OrderedMap, Result, Tell
from premask.pipeline.journal import (
    PLAN,
    UnitRecord,
    counts_name,
    documents_name,
    record_name,
    rejected_name,
)
from premask.pipeline.output import Output
from premask.pipeline.unit_entry import unit_entry
from premask.schemas.job import Job
from premask.schemas.unit import Unit
from premask.stages.annotate_apart import Annotating, AnnotatorApart
from premask.stages.chain import UnitProgress, UnitResult, Workbench, run_unit
from premask.stages.places import places_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTask:
    """A unit of a build, and the fingerprints of its files, one for each slice."""

    index: int
    unit: Unit
    fingerprints: tuple[str, ...]
    follows_repeats: bool = False  # those that were found before the build


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildWork:
    """Builds units of `job` into `output`.

    Attributes:
        fingerprint: of the header.
        annotate: annotates batches elsewhere; None to do that in the chain.
    """

    job: Job
    output: Output
    fingerprint: str
    annotate: OrderedMap | None = None

    def help(self) -> Help:
        """Annotation, for helpers."""
        if self.job.annotate is None:
            raise RequestError("nothing is annotated", location="annotate")
        return Annotating(settings=self.job.annotate)

    def assisted(self, apply: OrderedMap) -> BuildWork:
        return replace(self, annotate=apply)

    def open(self) -> Callable[[UnitTask, Tell], Result]:
        if self.output.size(PLAN) < 0:
            raise UnitError(
                "this worker does not see the output directory; workers on several machines "
                "need a directory or URL that all of them share",
                location=self.output.root,
            )
        annotator = None if self.annotate is None else AnnotatorApart(self.annotate)
        return partial(_build_unit, self, Workbench.open(self.job, annotator))


def _build_unit(work: BuildWork, workbench: Workbench, task: UnitTask, tell: Tell) -> Result:
    file = f"{SHARDS_DIRECTORY}/{task.index:05d}.arrow"
    with work.output.writing(file) as path:
        repeats = repeats_of(work.output, task.index) if task.follows_repeats else None
        result = run_unit(workbench, task.unit, path, lambda now: tell(_so_far(now)), repeats)
    write_record(work.output, _record(work, task, result, file), result)
    return {
        "documents": result.ledger.documents_read,
        "rejected": len(result.ledger.rejected),
        "rows": result.shard.num_rows if result.shard else 0,
        "tokens": result.shard.num_tokens if result.shard else 0,
        "stage_seconds": dict(result.seconds),
    }


def _so_far(now: UnitProgress) -> Result:
    return {
        "share": now.share,
        "documents": now.documents,
        "rejected": now.rejected,
        "rows": now.rows,
        "tokens": now.tokens,
        "stage_seconds": now.seconds,
    }


def write_record(output: Output, record: UnitRecord, result: UnitResult) -> None:
    """Adds a unit to the journal, the record last."""
    lines = (
        json.dumps(rejected, sort_keys=True, ensure_ascii=False) + "\n"
        for rejected in result.ledger.rejected
    )
    data = "".join(lines).encode(errors="backslashreplace")
    if data:
        output.write(rejected_name(record.index), data)
    output.write(counts_name(record.index), result.counts.to_bytes())
    if result.ledger.places.num_rows:
        output.write(documents_name(record.index), places_bytes(result.ledger))
    output.write(record_name(record.index), record.to_bytes())


def _record(work: BuildWork, task: UnitTask, result: UnitResult, file: str) -> UnitRecord:
    ledger, shard = result.ledger, result.shard
    reasons = Counter(f"{r['stage']}: {r['reason']}" for r in ledger.rejected)
    entry = None
    if shard is not None:
        entry = ShardEntry(
            file=file,
            num_rows=shard.num_rows,
            num_tokens=shard.num_tokens,
            num_bytes=shard.num_bytes,
            xxh3_64=shard.xxh3_64,
            sha256=shard.sha256,
            unit=unit_entry(task.unit, task.fingerprints),
        )
    return UnitRecord(
        index=task.index,
        fingerprint=work.fingerprint,
        shard=entry,
        documents_read=ledger.documents_read,
        documents_rejected=len(ledger.rejected),
        reasons=dict(reasons),  # `asdict` copies a Counter wrongly
        counters=dict(ledger.counters),
    )
