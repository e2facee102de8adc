"""The annotate stage: spaCy over whole documents, results as columns of character offsets.

Adds only the columns that the job asks for (see `premask.schemas.records.ANNOTATIONS`):

- sentences: where each begins, at its first word. An unspaced run of 200 characters and more
  is not shown to spaCy's own tokenizer; it is a sentence without further annotation.
- entities: the model's, merged with those of gazetteers: **the longest wins, then the model's,
  then the leftmost**. Code 0 is an entity with a label that the pipeline does not declare.
- phrases: `Doc.noun_chunks` where there is a parser, else runs of parts of speech.
- pos, depth, salience: one value per word; see `premask.stages.annotate_columns`.

spaCy is nearly all of the cost (about 30 µs per word with ``premask/en``); memory stays flat
over any number of documents. A process uses one core; start more processes for more, each with
``OMP_NUM_THREADS=1``. spaCy is imported when an `Annotator` is made, and never by a job without
``annotate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from premask._errors import RequestError
from premask.schemas.job import Annotate
from premask.schemas.records import ANNOTATIONS
from premask.schemas.unit import Ledger
from premask.stages.annotate_columns import POS_TAGS
from premask.stages.annotate_model import (
    check_tracks,
    find_pipeline,
    has_rule_tokenizer,
    load_pipeline,
    makes_noun_chunks,
    spacy_pos_tags,
)
from premask.stages.annotate_run import Piece, Runner
from premask.stages.annotate_table import Codes, annotation_columns
from premask.stages.annotate_text import pieces, unspaced_runs
from premask.stages.gazetteer import gazetteer_info, phrase_matcher, read_gazetteer
from premask.stages.sentence_rules import NAME as RULES
from premask.stages.sentence_rules import RuleAnnotator, check_rules, rules_info

_MAX_LABELS = 255


def annotator_info(settings: Annotate) -> dict[str, Any]:
    """Name, version and SHA-256 of the pipeline and of every gazetteer, for the manifest.

    Does not import spaCy.

    Raises:
        RequestError: a file is absent.
    """
    if settings.pipeline == RULES:
        return rules_info()
    info = find_pipeline(settings.pipeline).info()
    if settings.gazetteers:
        info["gazetteers"] = [gazetteer_info(path) for path in settings.gazetteers]
    return info


def track_names(settings: Annotate) -> dict[str, tuple[str, ...]]:
    """What the codes of each track mean, for `premask.manifest.Manifest.tracks`.

    Name 0 is empty: it means none. Does not import spaCy.

    Raises:
        RequestError: a file is absent, or there are more than 255 entity labels.
    """
    names: dict[str, tuple[str, ...]] = {}
    if settings.pipeline == RULES:
        check_rules(settings)
        return names
    if "entities" in settings.tracks:
        listed = {name.label for path in settings.gazetteers for name in read_gazetteer(path)}
        labels = sorted(listed.union(find_pipeline(settings.pipeline).entity_labels))
        if len(labels) > _MAX_LABELS:
            raise RequestError(
                f"{len(labels)} entity labels; at most {_MAX_LABELS} fit into a track; "
                "give the gazetteers fewer labels",
                location="annotate.gazetteers",
            )
        names["entity_labels"] = ("", *labels)
    if "pos" in settings.tracks:
        names["pos_tags"] = POS_TAGS
    return names


def make_annotator(settings: Annotate) -> Annotator | RuleAnnotator:
    """The annotate stage of a job.

    Raises:
        RequestError: the pipeline, a gazetteer or a track cannot be had.
    """
    return RuleAnnotator(settings) if settings.pipeline == RULES else Annotator(settings)


class Annotator:
    """The annotate stage of a job, with its loaded pipeline.

    Raises:
        RequestError: the pipeline, a gazetteer or a track cannot be had.
    """

    def __init__(self, settings: Annotate) -> None:
        if settings.gazetteers and "entities" not in settings.tracks:
            raise RequestError(
                "gazetteers need the track 'entities'; add it or drop the gazetteers",
                location="annotate.tracks",
            )
        files = find_pipeline(settings.pipeline)
        check_tracks(files, settings.tracks, listed_names=bool(settings.gazetteers))
        labels = track_names(settings).get("entity_labels", ())
        nlp = load_pipeline(files, settings.tracks, gpu=settings.gpus > 0)
        label_codes = {nlp.vocab.strings.add(x): code for code, x in enumerate(labels) if code}
        names = [name for path in settings.gazetteers for name in read_gazetteer(path)]
        tags = [POS_TAGS.index(tag) if tag in POS_TAGS else 0 for tag in spacy_pos_tags()]
        self._components = tuple(nlp.pipe_names)
        self._tracks = settings.tracks
        self._codes = Codes(pos=np.array(tags, np.uint8), labels=label_codes)
        self._from_parser = "phrases" in settings.tracks and makes_noun_chunks(nlp)
        self._skips_runs = has_rule_tokenizer(nlp)
        self._runner = Runner(
            nlp,
            matcher=phrase_matcher(nlp, names) if names else None,
            label_codes=label_codes,
            phrases=self._from_parser,
            batch_words=settings.batch_words,
        )

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components that run, in order."""
        return self._components

    def __call__(
        self, batches: Iterable[pa.RecordBatch], ledger: Ledger
    ) -> Iterator[pa.RecordBatch]:
        """Adds the annotation columns to batches of `premask.schemas.records.DOCUMENTS`.

        A document on which spaCy fails is rejected with what spaCy said, and left out.
        """
        for batch in batches:
            yield self._annotate(batch, ledger)

    def _annotate(self, batch: pa.RecordBatch, ledger: Ledger) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        runs = [unspaced_runs(text) if self._skips_runs else [] for text in texts]
        done, failed = self._runner.run(
            [
                Piece(number, part.start, text[part.start : part.end])
                for number, text in enumerate(texts)
                for part in pieces(text, runs[number])
            ]
        )
        added = annotation_columns(
            done,
            tracks=self._tracks,
            codes=self._codes,
            num_documents=len(texts),
            extra_sentences=[(n, run.start) for n, found in enumerate(runs) for run in found],
            phrases_from_parser=self._from_parser,
        )
        for name, type_ in ANNOTATIONS.items():
            if name in added:
                batch = batch.append_column(pa.field(name, type_), added[name])
        return _reject(batch, failed, ledger) if failed else batch


def _reject(batch: pa.RecordBatch, failed: dict[int, str], ledger: Ledger) -> pa.RecordBatch:
    """The batch without its failed documents, which go to the ledger."""
    for number in sorted(failed):
        ledger.reject(
            document_id=batch.column("document_id")[number].as_py(),
            position=batch.column("position")[number].as_py(),
            stage="annotate",
            reason="spacy_error",
            detail=failed[number],
        )
    keep = [number for number in range(batch.num_rows) if number not in failed]
    return batch.take(pa.array(keep, pa.int64()))
