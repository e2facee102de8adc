"""The plan of a job: its units, its inputs' fingerprints and the header of its journal.

Made before anything starts, from the job and the inputs alone: never from workers, cores or
time. Reads the tokenizer, and at most 1 MiB of every input file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask.pipeline.fingerprint import fingerprint, sample_hash
from premask.pipeline.journal import Header
from premask.pipeline.output import absolute, is_url
from premask.pipeline.unit_entry import input_name
from premask.schemas.job import Job
from premask.schemas.unit import Slice, Unit
from premask.stages.chain import Workbench
from premask.stages.read import group, plan_source, tells_size
from premask.stages.read.opening import open_binary

# Bytes of English per token of a vocabulary of 30,000 to 50,000, and how much text is in a
# byte of input; for the estimate of a dry run and nothing else.
_BYTES_PER_TOKEN = 4.3
_TEXT_SHARE = {"mediawiki": 0.5, "jsonl": 0.95, "parquet": 2.0}
_COMPRESSED = (".gz", ".bz2", ".zst")
_COMPRESSION = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a build will do.

    Attributes:
        job: the job, its paths absolute so that workers elsewhere find them.
        units: in the order of (source, file names, start); unit ``i`` makes shard ``i``.
        header: what the shard set will be made from.
        workbench: the job's tokenizer, loaded and found good; no annotator.
        annotator: what the manifest says of the annotator; None without one.
    """

    job: Job
    units: tuple[Unit, ...]
    header: Header
    workbench: Workbench
    annotator: Mapping[str, Any] | None

    @property
    def num_bytes(self) -> int:
        return sum(unit.num_bytes for unit in self.units)

    @property
    def estimated_tokens(self) -> int:
        return round(sum(map(_estimate_tokens, self.units)))

    def stage_names(self) -> tuple[str, ...]:
        """The chain that every unit goes through."""
        strip = ("strip",) if any(unit.format == "mediawiki" for unit in self.units) else ()
        annotate = ("annotate",) if self.job.annotate else ()
        ranked = self.job.annotate and "sentence_ranks" in self.job.annotate.tracks
        rank = ("rank sentences",) if ranked else ()
        chain = ("read", *strip, "clean", *annotate, "tokenize", "count", "arrange", *rank)
        return (*chain, "write")


def make_plan(job: Job) -> Plan:
    """Plans a job.

    Raises:
        RequestError: an input is missing, empty or unreadable, or the tokenizer cannot be used.
    """
    workbench = Workbench.open(job, load_annotator=False)
    annotator = _annotator(job)
    units = tuple(_all_units(job))
    if all(map(_is_empty, units)):
        raise RequestError(
            "the input is empty: no file holds a single byte; give other sources",
            location="sources",
        )
    inputs = {"tokenizer": workbench.tokenizer.sha256} | input_fingerprints(units)
    if annotator is not None:
        inputs["annotator"] = fingerprint(annotator)
    return Plan(
        job=_with_absolute_paths(job),
        units=units,
        header=Header(kind="build", job=job.shaping(), inputs=inputs, num_units=len(units)),
        workbench=workbench,
        annotator=annotator,
    )


def _is_empty(unit: Unit) -> bool:
    """Whether nothing can be in it."""
    return all(
        tells_size(piece) and piece.num_bytes == 0 and piece.end == piece.start
        for piece in unit.slices
    )


def _all_units(job: Job) -> Iterator[Unit]:
    sources = [
        sorted(plan_source(source, index, job.unit_bytes), key=lambda x: (x.name, x.start))
        for index, source in enumerate(job.sources)
    ]
    # Seeds and document ids are made from names: a name that two sources share gets a prefix.
    owners = Counter(name for slices in sources for name in {piece.name for piece in slices})
    for slices in sources:
        named = [_named(piece, is_shared=owners[piece.name] > 1) for piece in slices]
        yield from group(named, job.unit_bytes)


def _named(piece: Slice, *, is_shared: bool) -> Slice:
    name = f"{piece.source}:{piece.name}" if is_shared else piece.name
    return replace(piece, name=name, path=_absolute(piece.path))


def _with_absolute_paths(job: Job) -> Job:
    sources = tuple(s.model_copy(update={"path": _absolute(s.path)}) for s in job.sources)
    changes: dict[str, object] = {"tokenizer": _absolute(job.tokenizer), "sources": sources}
    if job.annotate is not None:
        gazetteers = tuple(_absolute(path) for path in job.annotate.gazetteers)
        update = {"pipeline": _absolute(job.annotate.pipeline), "gazetteers": gazetteers}
        changes["annotate"] = job.annotate.model_copy(update=update)
    return job.model_copy(update={**changes, "output": absolute(job.output)})


def _absolute(path: str) -> str:
    """`path` for use from any directory; URLs, globs, packages and hub names as they are."""
    local = not is_url(path) and Path(path.removeprefix("file://")).exists()
    return absolute(path) if local else path


def input_fingerprints(units: Iterable[Unit]) -> dict[str, str]:
    """Fingerprint of every file that the units read, by `unit_entry.input_name`.

    Raises:
        RequestError: a file cannot be read.
    """
    files = {input_name(piece): piece for unit in units for piece in unit.slices}
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(files, pool.map(_fingerprint_file, files.values()), strict=True))


def _fingerprint_file(piece: Slice) -> str:
    """Size and sample of a slice's file; only what is known of a data set on the hub."""
    if not piece.size:
        return f"{piece.format}:{piece.end}"
    try:
        with open_binary(piece.path) as file:
            size = file.seek(0, 2)
            # Over a network a seek costs a request and megabytes of read-ahead.
            num_blocks = 2 if is_url(piece.path) else 16
            return f"{size}:{sample_hash(file, size, num_blocks)}"
    except OSError as error:
        raise RequestError(
            f"cannot be read: {error.strerror or error}; check the file and its permissions",
            location=piece.path,
        ) from error


def _annotator(job: Job) -> dict[str, Any] | None:
    """Name, version and checksums of the pipeline and the gazetteers; spaCy stays out."""
    if job.annotate is None:
        return None
    from premask.stages.annotate import annotator_info

    return annotator_info(job.annotate)


def _estimate_tokens(unit: Unit) -> float:
    share = _TEXT_SHARE.get(unit.format, 1.0)
    num_bytes = sum(
        piece.num_bytes * (_COMPRESSION if piece.name.endswith(_COMPRESSED) else 1.0)
        for piece in unit.slices
    )
    return num_bytes * share / _BYTES_PER_TOKEN
