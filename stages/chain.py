"""The chain of one unit: from files, or a part of one, to a shard.

::

    read ─► [strip] ─► clean ─► [annotate] ─► tokenize ─► count documents ─► arrange ─►
    [rank sentences] ─► count rows ─► write

Strip is for MediaWiki dumps alone, annotate and rank sentences for jobs that ask for them.
What is costly to load (the tokenizer, spaCy) stands in a `Workbench`, opened once per process.
The chain itself is made anew for every unit and checked before it reads a byte.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from premask._errors import UnitError
from premask.schemas.job import Job, Source
from premask.schemas.records import DOCUMENTS, TARGETED_DOCUMENTS
from premask.schemas.shard import shard_metadata
from premask.schemas.unit import Ledger, Unit
from premask.stages.arrange import arrange
from premask.stages.clean import IsRepeat, clean_documents, follow
from premask.stages.compose import Batches, Clock, Stage, compose
from premask.stages.count import Counter, Counts
from premask.stages.parts import divider
from premask.stages.rank_sentences import SENTENCE_RANKS, rank_sentences
from premask.stages.read import read_unit
from premask.stages.row_identity import RowIdentity
from premask.stages.strip import strip_wikitext
from premask.stages.tokenize import tokenize, tokens_schema, tracks_of
from premask.stages.workbench import Workbench as Workbench
from premask.stages.workbench import annotation_columns as annotation_columns
from premask.stages.write import WrittenShard, write_shard


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """What came of a unit.

    Attributes:
        shard: size and checksums of the file; None where the unit gave no row and no file.
        ledger: every document accounted for.
        counts: of tokens and documents.
        seconds: by stage, each without the stages before it.
    """

    shard: WrittenShard | None
    ledger: Ledger
    counts: Counts
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitProgress:
    """How far a unit has come; figures of what has left the chain, not of what is inside.

    Attributes:
        share: of the unit's input that has been read, see `Ledger.share_read`.
        tokens: in rows, special tokens included.
        seconds: by stage, each without the stages before it.
    """

    share: float
    documents: int
    rejected: int
    rows: int
    tokens: int
    seconds: Mapping[str, float]


Watch = Callable[[UnitProgress], None]


@contextmanager
def _uncollected_past() -> Iterator[None]:
    """Spares the garbage collector what was there before: tokenizers are large.

    To walk it takes 60 ms each time, 1.5 ns per byte of text.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@_uncollected_past()
def run_unit(
    workbench: Workbench,
    unit: Unit,
    shard_path: Path | str,
    watch: Watch | None = None,
    repeats: Container[int] | None = None,
) -> UnitResult:
    """Runs one unit and writes its shard to the local file `shard_path`.

    Args:
        watch: told, after every batch of documents, how far the unit has come.
        repeats: the documents, counted as they are cleaned, that stand in an earlier unit or
            earlier in this one; None finds those within the unit.

    Raises:
        UnitError: documents got lost on the way; a defect of a stage, never of the input.
    """
    started = time.perf_counter()
    ledger = Ledger.of(unit)
    counter = Counter(workbench.tokenizer.vocabulary.size)
    clock = Clock()
    chain = build_chain(workbench, unit, ledger, counter, repeats)
    if watch is not None:
        chain[0] = _watched(chain[0], watch, lambda: _progress(ledger, counter, clock))
    rows = compose(chain, clock)
    shard = write_shard(
        rows,
        Path(shard_path),
        metadata=shard_metadata(workbench.tokenizer.sha256, workbench.track_names),
        compression=workbench.job.shards.compression,
        batch_bytes=workbench.job.shards.batch_bytes,
    )
    writing = time.perf_counter() - started - sum(clock.seconds.values())
    counts = counter.counts()
    ledger.counters.update(counter.tallies(workbench.track_names.get("entity_labels", ())))
    ledger.sort()
    _check_balance(ledger, counts.num_documents)
    return UnitResult(
        shard=shard, ledger=ledger, counts=counts, seconds=clock.seconds | {"write": writing}
    )


def _watched(first: Stage, watch: Watch, progress: Callable[[], UnitProgress]) -> Stage:
    """The first stage; when the next batch is asked for, the one before has passed through."""

    def run(batches: Batches) -> Batches:
        for batch in first.run(batches):
            yield batch
            watch(progress())

    return replace(first, run=run)


def _progress(ledger: Ledger, counter: Counter, clock: Clock) -> UnitProgress:
    return UnitProgress(
        share=ledger.share_read,
        documents=ledger.documents_read,
        rejected=len(ledger.rejected),
        rows=counter.num_rows,
        tokens=counter.num_tokens,
        seconds=dict(clock.seconds),
    )


def build_chain(
    workbench: Workbench,
    unit: Unit,
    ledger: Ledger,
    counter: Counter,
    repeats: Container[int] | None = None,
) -> list[Stage]:
    """The stages of a unit, from reading to counted rows; `repeats` as in `run_unit`."""
    is_repeat = None if repeats is None else follow(repeats)
    return [
        *text_stages(workbench.job, unit, ledger, is_repeat),
        *_annotate_stages(workbench, unit, ledger),
        *_token_stages(workbench, unit, ledger, counter),
        *_row_stages(workbench, counter),
    ]


def text_stages(
    job: Job, unit: Unit, ledger: Ledger, is_repeat: IsRepeat | None = None
) -> list[Stage]:
    """The stages of a unit up to clean text; `is_repeat` as in `clean_documents`."""
    strip_batches = strip_wikitext()
    clean_batches = clean_documents(job.clean, is_repeat, job.split)
    source = job.sources[unit.source]
    columns = _document_columns(source)

    def stage(name: str, run: Callable[[Batches], Batches]) -> Stage:
        takes = frozenset() if name == "read" else columns
        return Stage(name=name, takes=takes, gives=columns, run=run)

    chain = [stage("read", lambda _: read_unit(unit, source, ledger))]
    if unit.format == "mediawiki":
        chain.append(stage("strip", lambda x: strip_batches(x, ledger)))
    return [*chain, stage("clean", lambda x: clean_batches(x, ledger))]


def _document_columns(source: Source) -> frozenset[str]:
    schema = DOCUMENTS if source.target_field is None else TARGETED_DOCUMENTS
    return frozenset(schema.names)


def _annotate_stages(workbench: Workbench, unit: Unit, ledger: Ledger) -> list[Stage]:
    job, annotator = workbench.job, workbench.annotator
    if annotator is None:
        return []
    columns = _document_columns(job.sources[unit.source])
    return [
        Stage(
            name="annotate",
            takes=columns,
            gives=columns.union(annotation_columns(job.annotate)),
            run=lambda x: annotator(x, ledger),
        )
    ]


def _token_stages(
    workbench: Workbench, unit: Unit, ledger: Ledger, counter: Counter
) -> list[Stage]:
    job, tokenizer = workbench.job, workbench.tokenizer
    annotations = annotation_columns(job.annotate)
    tracks = tracks_of(annotations)
    first = unit.first
    identity = RowIdentity(job_seed=job.seed, unit_name=first.name, unit_start=first.start)
    divide = divider(job.rows, tokenizer, identity)
    tokens = frozenset(tokens_schema(tracks).names)
    rows = frozenset(workbench.row_schema.names) - {SENTENCE_RANKS}
    cut = partial(
        arrange,
        rows=job.rows,
        vocabulary=tokenizer.vocabulary,
        identity=identity,
        ledger=ledger,
        tokenizer=tokenizer.tokenizer,
    )
    return [
        Stage(
            name="tokenize",
            takes=_document_columns(job.sources[unit.source]).union(annotations),
            gives=tokens,
            run=lambda x: tokenize(x, tokenizer, ledger, divide),
        ),
        Stage(name="count documents", takes=tokens, gives=tokens, run=counter.tap_tokens),
        Stage(name="arrange", takes=tokens, gives=rows, run=cut),
    ]


def _row_stages(workbench: Workbench, counter: Counter) -> list[Stage]:
    """What is done to whole rows."""
    schema = workbench.row_schema
    rows = frozenset(schema.names)
    rank = Stage(
        name="rank sentences",
        takes=rows - {SENTENCE_RANKS},
        gives=rows,
        run=lambda x: rank_sentences(x, schema),
    )
    count = Stage(name="count rows", takes=rows, gives=rows, run=counter.tap_rows)
    return [rank, count] if SENTENCE_RANKS in rows else [count]


def _check_balance(ledger: Ledger, num_tokenized: int) -> None:
    """Every document read was tokenized or rejected before that."""
    before = sum(record["stage"] != "arrange" for record in ledger.rejected)
    if ledger.documents_read != num_tokenized + before:
        raise UnitError(
            f"{ledger.documents_read} documents were read, {num_tokenized} tokenized and "
            f"{before} rejected; a stage loses or repeats documents, please report it",
            location=ledger.unit,
        )
