"""What the units of a job share in one process: the job, its tokenizer, its annotator.

Opened once per process, since loading takes seconds; also says what columns the rows will have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from premask.schemas.job import Annotate, Job
from premask.schemas.shard import row_schema
from premask.stages.clean import normal_form
from premask.stages.layout import Layout, row_columns
from premask.stages.parts import sentinel_ids
from premask.stages.rank_sentences import SENTENCE_RANKS
from premask.stages.tokenize import tracks_of
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

if TYPE_CHECKING:
    from premask.stages.annotate import Annotator
    from premask.stages.annotate_apart import AnnotatorApart
    from premask.stages.sentence_rules import RuleAnnotator

    AnyAnnotator = Annotator | AnnotatorApart | RuleAnnotator

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
    annotator: AnyAnnotator | None
    track_names: Mapping[str, tuple[str, ...]]

    @classmethod
    def open(
        cls, job: Job, annotator: AnyAnnotator | None = None, *, load_annotator: bool = True
    ) -> Workbench:
        """Loads what the job needs.

        Args:
            annotator: one that is there already.
            load_annotator: whether to load one else; the driver of workers can do without.

        Raises:
            RequestError: the tokenizer or the annotation cannot be had, or rows do not fit
                the tokenizer.
        """
        tokenizer = load_tokenizer(job.tokenizer)
        Layout.of(job.rows, tokenizer.vocabulary, tokenizer.tokenizer)
        normal_form(job.clean.unicode)
        if job.rows.fill_in_middle is not None:
            sentinel_ids(job.rows.fill_in_middle, tokenizer)
        names = {}
        if job.annotate is not None:
            from premask.stages.annotate import make_annotator, track_names

            names = track_names(job.annotate)
            if annotator is None and load_annotator:
                annotator = make_annotator(job.annotate)
        return cls(job=job, tokenizer=tokenizer, annotator=annotator, track_names=names)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of this job's shards and their types, as the manifest tells them."""
        return {field.name: str(field.type).replace("item: ", "") for field in self.row_schema}

    @property
    def row_schema(self) -> pa.Schema:
        """The Arrow schema of this job's rows, without metadata."""
        added, labels = row_columns(self.job.rows)
        tracks = (*row_tracks(self.job.annotate), *added)
        return row_schema(self.tokenizer.vocabulary.size, tracks, labels)


def annotation_columns(settings: Annotate | None) -> tuple[str, ...]:
    """The annotation columns of a job, see `premask.schemas.records.ANNOTATIONS`."""
    wanted = settings.tracks if settings is not None else ()
    return tuple(dict.fromkeys(name for t in wanted for name in _ANNOTATION_COLUMNS[t]))


def row_tracks(settings: Annotate | None) -> tuple[str, ...]:
    """The tracks of a job's rows, see `premask._format.TRACKS`."""
    tracks = tracks_of(annotation_columns(settings))
    ranked = settings is not None and SENTENCE_RANKS in settings.tracks
    return (*tracks, SENTENCE_RANKS) if ranked else tracks
