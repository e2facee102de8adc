"""One run on one output directory: open or refuse it, do what is missing, report failures.

Shared by `build` and `freeze`, which differ in their work and in how they finish. A directory
that was not made by Premask is never written to, and never emptied.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from premask._errors import RequestError, UnitError
from premask._format import (
    COLLOCATIONS_FILE,
    COUNTS_FILE,
    DOCUMENTS_FILE,
    IDF_FILE,
    JOB_FILE,
    MANIFEST_FILE,
    REJECTED_FILE,
    SHARDS_DIRECTORY,
    TOKENIZER_FILE,
)
from premask.manifest import Manifest
from premask.pipeline.engine import Engine, Outcome, Result, Task, Watch, Work
from premask.pipeline.fingerprint import describe_differences
from premask.pipeline.journal import PLAN, Header, UnitRecord, begin, read_record
from premask.pipeline.lock import LOCK
from premask.pipeline.output import JOURNAL, TEMPORARY, Output
from premask.pipeline.progress import Reporter
from premask.pipeline.tally import Tally, plural
from premask.pipeline.unit_entry import entry_inputs

_WATCH_SECONDS = 0.2
FAILURES = f"{JOURNAL}/failures.log"
STATIC_DIRECTORY = "static"
# In the order in which a restart removes them: a set without a manifest is no set.
_OWN_NAMES = (
    MANIFEST_FILE,
    JOURNAL,
    "state.json",
    "dataset_info.json",
    JOB_FILE,
    TOKENIZER_FILE,
    COUNTS_FILE,
    IDF_FILE,
    COLLOCATIONS_FILE,
    REJECTED_FILE,
    DOCUMENTS_FILE,
    SHARDS_DIRECTORY,
    STATIC_DIRECTORY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A unit that was given up."""

    name: str
    error: str
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished shard set; `fresh` unless it had been complete before."""

    output: Output
    manifest: Manifest
    fresh: bool


def read_manifest(output: Output) -> Manifest:
    """The manifest of a finished set.

    Raises:
        RequestError: there is none.
        FormatError: it is damaged.
    """
    if output.size(MANIFEST_FILE) < 0:
        begun = output.size(PLAN) >= 0
        what = (
            "a build was begun here; run it again to finish it" if begun else "check the path"
        )
        raise RequestError(
            f"there is no shard set: no {MANIFEST_FILE}; {what}", location=output.root
        )
    data = output.read(MANIFEST_FILE)
    return Manifest.from_bytes(data, location=output.path(MANIFEST_FILE))


def finished(output: Output, header: Header) -> Manifest | None:
    """The manifest of `output` if it is already what `header` would make.

    Raises:
        RequestError: it is a finished set of another job or of other input.
    """
    if output.size(MANIFEST_FILE) < 0:
        return None
    manifest = read_manifest(output)
    if manifest.job_fingerprint != header.fingerprint:
        fields = describe_differences(manifest.job, header.job)
        what = f"of another job: {fields}" if fields else _changed_input(manifest, header)
        raise RequestError(
            f"there is a finished shard set {what}; choose another output, or start over "
            "with --restart",
            location=output.root,
        )
    output.remove(JOURNAL)
    return manifest


def _changed_input(manifest: Manifest, header: Header) -> str:
    """Which input differs, as far as the manifest tells."""
    old = {k: v for shard in manifest.shards for k, v in entry_inputs(shard.unit).items()}
    if "tokenizer" in header.inputs:
        old["tokenizer"] = str(manifest.tokenizer.get("sha256"))
    changed = sorted(k for k, v in header.inputs.items() if k in old and old[k] != v)
    added = sorted(header.inputs.keys() - old.keys())
    gone = sorted(old.keys() - header.inputs.keys())
    told = [*(f"{n} is not what it was" for n in changed), *(f"{n} is gone" for n in gone)]
    told = told or [f"{name} is new" for name in added] or ["a file was added or removed"]
    return f"of other input: {', '.join(told[:5])}"


def prepare(output: Output, *, restart: bool) -> None:
    """Empties the directory for a restart; refuses one with files that are not ours.

    Raises:
        RequestError: there is something in it that is no shard set.
    """
    names = set(output.names()) - {LOCK}
    known = MANIFEST_FILE in names or output.size(PLAN) >= 0
    foreign = sorted(names if not (known or restart) else names - set(_OWN_NAMES))
    if foreign and not known:
        raise RequestError(
            f"the output directory holds what is no shard set: {', '.join(foreign[:5])}; "
            "choose an empty or a new directory",
            location=output.root,
        )
    for name in _OWN_NAMES if restart else ():
        output.remove(name)


def run_units(
    output: Output,
    header: Header,
    work: Work,
    tasks: Sequence[Task],
    engine: Engine,
    reporter: Reporter,
    *,
    names: Callable[[int], str],
    num_bytes: Callable[[int], int],
    note: str = "",
) -> list[UnitRecord]:
    """Does the units that are not complete yet, and gives all records in their order.

    `note` is told with the number of units when the work begins.

    Raises `RequestError` where the journal is another job's, `UnitError` where units failed.
    """
    complete = begin(output, header)
    tally = Tally(
        num_units=len(tasks),
        num_bytes=sum(num_bytes(task.index) for task in tasks),
        skipped=len(complete),
        skipped_bytes=sum(map(num_bytes, complete)),
    )
    resumed = f"; {len(complete)} are complete already" if complete else ""
    reporter.tell("start", tally, f"{plural(len(tasks), 'unit')}{resumed}{note}")
    todo = [task for task in tasks if task.index not in complete]
    run_tasks(output, work, todo, engine, reporter, tally, names=names, num_bytes=num_bytes)
    reporter.tell("finish", tally)
    return _all_records(output, header)


def run_tasks(
    output: Output,
    work: Work,
    tasks: Sequence[Task],
    engine: Engine,
    reporter: Reporter,
    tally: Tally,
    *,
    names: Callable[[int], str],
    num_bytes: Callable[[int], int],
) -> None:
    """Does all tasks; raises `UnitError` where some fail, once the others are done."""
    failures: list[Failure] = []
    try:
        watch = _watch(reporter, tally, num_bytes)
        with closing(engine.run(work, tasks, watch)) as outcomes:
            for outcome in outcomes:
                name = names(outcome.index)
                _tell(reporter, tally, outcome, name, num_bytes(outcome.index))
                failures += _failure(output, outcome, name, tally)
    finally:
        # Workers that were killed in the middle of a file leave it here.
        with suppress(OSError):
            output.remove(TEMPORARY)
    if failures:
        raise _failed(output, failures, tally)


def _watch(reporter: Reporter, tally: Tally, num_bytes: Callable[[int], int]) -> Watch:
    last = time.monotonic()

    def watch(index: int, so_far: Result) -> None:
        nonlocal last
        tally.watch(index, so_far, num_bytes(index))
        if time.monotonic() - last > _WATCH_SECONDS:
            last = time.monotonic()
            reporter.tell("progress", tally)

    return watch


def _tell(
    reporter: Reporter, tally: Tally, outcome: Outcome, name: str, num_bytes: int
) -> None:
    tally.drop(outcome.index)
    if outcome.status == "done":
        tally.add(outcome.result, num_bytes)
        reporter.tell("unit", tally)
    elif outcome.status == "retry":
        tally.retries += 1
        text = f"unit {name} failed, trying again: {outcome.error}"
        reporter.tell("retry", tally, text, outcome.trace)
    else:
        tally.failed += 1
        text = f"unit {name} failed: {outcome.error}"
        reporter.tell("failed", tally, text, outcome.trace)


def _failure(output: Output, outcome: Outcome, name: str, tally: Tally) -> list[Failure]:
    """The failure that an outcome is, if it is one; a full disk ends the run at once."""
    if outcome.status == "fatal":
        raise UnitError(
            f"stopped: the output cannot be written ({outcome.error}); "
            f"{tally.skipped + tally.done} of {tally.num_units} units are complete; make room "
            "and run the same command again to go on",
            location=output.root,
        )
    if outcome.status != "failed":
        return []
    return [Failure(name=name, error=outcome.error, trace=outcome.trace)]


def _failed(output: Output, failures: Sequence[Failure], tally: Tally) -> UnitError:
    log = "\n".join(f"unit {f.name}: {f.error}\n{f.trace}" for f in failures)
    output.write(FAILURES, log.encode())
    listed = ", ".join(failure.name for failure in failures[:5])
    rest = f" and {len(failures) - 5} more" if len(failures) > 5 else ""
    return UnitError(
        f"{len(failures)} of {tally.num_units} units failed: {listed}{rest}; the others are "
        "complete; read the tracebacks, mend the cause and run the same command again",
        location=output.path(FAILURES),
    )


def _all_records(output: Output, header: Header) -> list[UnitRecord]:
    records = []
    for index in range(header.num_units):
        record = read_record(output, index, header.fingerprint)
        if record is None:
            raise UnitError(
                f"the record or the shard of unit {index} is gone although it was complete; "
                "run the same command again",
                location=output.root,
            )
        records.append(record)
    return records
