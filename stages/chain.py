"""The chain of one unit: from a slice of a source file to a shard.

::

    read ─► [strip] ─► clean ─► [annotate] ─► tokenize ─► count documents ─► arrange ─►
    [rank sentences] ─► count rows ─► write

Strip is for MediaWiki dumps alone, annotate and rank sentences for jobs that ask for them.
What is costly to load (the tokenizer, spaCy) stands in a `Workbench`, opened once per process.
The chain itself is made anew for every unit and checked before it reads a byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from premask._errors import UnitError
from premask.schemas.job import Annotate, Job
from premask.schemas.records import DOCUMENTS
from premask.schemas.shard import row_schema, shard_metadata
from premask.schemas.unit import Ledger, Unit
from premask.stages.arrange import Layout, arrange
from premask.stages.clean import clean_documents
from premask.stages.compose import Batches, Clock, Stage, compose
from premask.stages.count import Counter, Counts
from premask.stages.rank_sentences import SENTENCE_RANKS, rank_sentences
from premask.stages.read import read_unit
from premask.stages.row_identity import RowIdentity
from premask.stages.strip import strip_wikitext
from premask.stages.tokenize import tokenize, tokens_schema, tracks_of
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer
from premask.stages.write import WrittenShard, write_shard

if TYPE_CHECKING:
    from premask.stages.annotate import Annotator

_DOCUMENT = frozenset(DOCUMENTS.names)
_WORDS = ("annotated_word_starts", "annotated_word_ends")
_ANNOTATION_COLUMNS = {
    "sentences": ("sentence_starts",),
    "entities": ("entity_starts", "entity_ends", "entity_codes"),
    "phrases": ("phrase_starts", "phrase_ends"),
    "pos": (*_WORDS, "pos_tags"),
    "depth": (*_WORDS, "depth"),
    "salience": (*_WORDS, "salience"),
    SENTENCE_RANKS: (),  # made of rows, by a stage of its own
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What the units of a job share in one process.

    Attributes:
        job: the resolved job.
        tokenizer: the job's.
        annotator: the loaded pipeline; None where the job asks for none.
        track_names: dictionaries of the tracks, see `premask.manifest.Manifest.tracks`.
    """

    job: Job
    tokenizer: LoadedTokenizer
    annotator: Annotator | None
    track_names: Mapping[str, tuple[str, ...]]

    @classmethod
    def open(cls, job: Job, *, load_annotator: bool = True) -> Workbench:
        """Loads what the job needs; the driver of workers can do without the annotator.

        Raises:
            RequestError: the tokenizer or the annotation cannot be had, or rows do not fit
                the tokenizer.
        """
        tokenizer = load_tokenizer(job.tokenizer)
        Layout.of(job.rows, tokenizer.vocabulary)
        annotator, names = None, {}
        if job.annotate is not None:
            from premask.stages.annotate import Annotator, track_names

            names = track_names(job.annotate)
            annotator = Annotator(job.annotate) if load_annotator else None
        return cls(job=job, tokenizer=tokenizer, annotator=annotator, track_names=names)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of this job's shards and their types, as the manifest tells them."""
        tracks = row_tracks(self.job.annotate)
        return {
            field.name: str(field.type).replace("item: ", "")
            for field in row_schema(self.tokenizer.vocabulary.size, tracks)
        }


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


def annotation_columns(settings: Annotate | None) -> tuple[str, ...]:
    """The annotation columns of a job, see `premask.schemas.records.ANNOTATIONS`."""
    wanted = settings.tracks if settings is not None else ()
    return tuple(dict.fromkeys(name for t in wanted for name in _ANNOTATION_COLUMNS[t]))


def row_tracks(settings: Annotate | None) -> tuple[str, ...]:
    """The tracks of a job's rows, see `premask._format.TRACKS`."""
    tracks = tracks_of(annotation_columns(settings))
    ranked = settings is not None and SENTENCE_RANKS in settings.tracks
    return (*tracks, SENTENCE_RANKS) if ranked else tracks


def run_unit(
    workbench: Workbench, unit: Unit, shard_path: Path | str, watch: Watch | None = None
) -> UnitResult:
    """Runs one unit and writes its shard to the local file `shard_path`.

    `watch` is told, after every batch of documents, how far the unit has come.

    Raises:
        UnitError: documents got lost on the way; a defect of a stage, never of the input.
    """
    started = time.perf_counter()
    ledger = Ledger(unit=f"{unit.name}:{unit.start}")
    counter = Counter(workbench.tokenizer.vocabulary.size)
    clock = Clock()
    chain = build_chain(workbench, unit, ledger, counter)
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
    workbench: Workbench, unit: Unit, ledger: Ledger, counter: Counter
) -> list[Stage]:
    """The stages of a unit, from reading to counted rows."""
    return [
        *_document_stages(workbench, unit, ledger),
        *_token_stages(workbench, unit, ledger, counter),
        *_row_stages(workbench, counter),
    ]


def _document_stages(workbench: Workbench, unit: Unit, ledger: Ledger) -> list[Stage]:
    job, annotator = workbench.job, workbench.annotator
    strip_batches, clean_batches = strip_wikitext(), clean_documents(job.clean)
    source = job.sources[unit.source]

    def stage(name: str, run: Callable[[Batches], Batches]) -> Stage:
        takes = frozenset() if name == "read" else _DOCUMENT
        return Stage(name=name, takes=takes, gives=_DOCUMENT, run=run)

    chain = [stage("read", lambda _: read_unit(unit, source, ledger))]
    if unit.format == "mediawiki":
        chain.append(stage("strip", lambda x: strip_batches(x, ledger)))
    chain.append(stage("clean", lambda x: clean_batches(x, ledger)))
    if annotator is not None:
        annotate = stage("annotate", lambda x: annotator(x, ledger))
        columns = annotate.gives.union(annotation_columns(job.annotate))
        chain.append(replace(annotate, gives=columns))
    return chain


def _token_stages(
    workbench: Workbench, unit: Unit, ledger: Ledger, counter: Counter
) -> list[Stage]:
    job, tokenizer = workbench.job, workbench.tokenizer
    annotations = annotation_columns(job.annotate)
    tracks = tracks_of(annotations)
    tokens = frozenset(tokens_schema(tracks).names)
    rows = frozenset(row_schema(tokenizer.vocabulary.size, tracks).names)
    cut = partial(
        arrange,
        rows=job.rows,
        vocabulary=tokenizer.vocabulary,
        identity=RowIdentity(job_seed=job.seed, unit_name=unit.name, unit_start=unit.start),
        ledger=ledger,
    )
    return [
        Stage(
            name="tokenize",
            takes=_DOCUMENT.union(annotations),
            gives=tokens,
            run=lambda x: tokenize(x, tokenizer, ledger),
        ),
        Stage(name="count documents", takes=tokens, gives=tokens, run=counter.tap_tokens),
        Stage(name="arrange", takes=tokens, gives=rows, run=cut),
    ]


def _row_stages(workbench: Workbench, counter: Counter) -> list[Stage]:
    """What is done to whole rows."""
    tracks = row_tracks(workbench.job.annotate)
    schema = row_schema(workbench.tokenizer.vocabulary.size, tracks)
    rows = frozenset(schema.names)
    rank = Stage(
        name="rank sentences",
        takes=rows - {SENTENCE_RANKS},
        gives=rows,
        run=lambda x: rank_sentences(x, schema),
    )
    count = Stage(name="count rows", takes=rows, gives=rows, run=counter.tap_rows)
    return [rank, count] if SENTENCE_RANKS in tracks else [count]


def _check_balance(ledger: Ledger, num_tokenized: int) -> None:
    """Every document read was tokenized or rejected before that."""
    before = sum(record["stage"] != "arrange" for record in ledger.rejected)
    if ledger.documents_read != num_tokenized + before:
        raise UnitError(
            f"{ledger.documents_read} documents were read, {num_tokenized} tokenized and "
            f"{before} rejected; a stage loses or repeats documents, please report it",
            location=ledger.unit,
        )
