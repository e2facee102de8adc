"""Annotation in other processes than the rest of the chain: the same batches, the same columns.

The stage hands its batches to an ordered map and takes them back annotated. What a batch
becomes depends on nothing but the batch, so the result is that of annotating here. Batches
wait in memory, as many as the map has under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
from premask.schemas.job import Annotate
from premask.schemas.unit import Ledger
from premask.stages.annotate import Annotator, make_annotator
from premask.stages.sentence_rules import RuleAnnotator

# From batches to what `Annotating` makes of each, in their order.
OrderedMap = Callable[[Iterable[pa.RecordBatch]], Iterator["Annotated"]]


class Annotated(NamedTuple):
    """A batch with its annotation, and what the ledger is told of it."""

    batch: pa.RecordBatch
    rejected: list[dict[str, Any]]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotating:
    """Opens, in the process that annotates, into a function of a batch."""

    settings: Annotate

    def open(self) -> Callable[[pa.RecordBatch], Annotated]:
        return partial(_annotate, make_annotator(self.settings))


def _annotate(annotator: Annotator | RuleAnnotator, batch: pa.RecordBatch) -> Annotated:
    ledger = Ledger(unit="")
    (annotated,) = annotator([batch], ledger)
    return Annotated(annotated, ledger.rejected, dict(ledger.counters))


class AnnotatorApart:
    """The annotate stage of a job, done by an ordered map of `Annotating`."""

    def __init__(self, apply: OrderedMap) -> None:
        self._apply = apply

    def __call__(
        self, batches: Iterable[pa.RecordBatch], ledger: Ledger
    ) -> Iterator[pa.RecordBatch]:
        """Adds the annotation columns to batches of `premask.schemas.records.DOCUMENTS`."""
        for batch, rejected, counters in self._apply(batches):
            for record in rejected:
                ledger.reject(**{k: v for k, v in record.items() if k != "unit"})
            ledger.counters.update(counters)
            yield batch
