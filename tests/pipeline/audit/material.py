"""Rows to audit: made up, with every boundary bit and track, and Zipf's law for the tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from premask.masking.policy import Policy
from premask.pipeline.audit.expectation import expectation_of
from premask.pipeline.audit.inputs import (
    DynamicShards,
    RowRange,
    ends_at_sentences,
    source_rows,
)
from premask.pipeline.audit.measure import measure
from premask.pipeline.audit.observation import Observation, SourceRows
from premask.pipeline.audit.promises import Finding, check_promises
from premask.pipeline.audit.span_reference import OPERATIONS as SPAN_OPERATIONS
from premask.pipeline.audit.span_reference import reference_word_runs
from premask.pipeline.audit.statistics import Statistics
from premask.rows import Rows, make_rows

MAX_LENGTH = 128
SIZE = 2000
FIRST_SENTINEL = 1900
VOCABULARY = Vocabulary(
    size=SIZE,
    pad_id=0,
    mask_id=4,
    cls_id=2,
    bos_id=2,
    sep_id=3,
    eos_id=3,
    unk_id=1,
    special_ids=(0, 1, 2, 3, 4, *range(FIRST_SENTINEL, SIZE)),
    sentinel_ids=tuple(range(SIZE - 1, FIRST_SENTINEL - 1, -1)),
    prefix_ids=(2,),
    suffix_ids=(3,),
    replacement_ranges=((5, FIRST_SENTINEL),),
)
COMMON_PAIRS = np.array([[a, b] for a in range(5, 9) for b in range(5, 9)], np.int32)
TRACKS = {
    "entity_labels": ("", "PERSON", "PLACE"),
    "pos_tags": ("", "NOUN", "VERB", "ADJ", "DET"),
}


def _units(rng: np.random.Generator, length: int, start: float, longest: int) -> np.ndarray:
    """Where non-overlapping units lie: 0 outside, 1 inside, 2 at a start."""
    marks = np.zeros(length, np.uint8)
    place = 0
    while place < length:
        if rng.random() < start:
            size = int(rng.integers(1, longest + 1))
            marks[place : place + size] = 1
            marks[place] = 2
            place += size
        place += 1
    return marks


def _sentences(bits: np.ndarray) -> np.ndarray:
    """A rank per sentence: 1, 2, ... in the order of the row."""
    starts = (bits & int(Boundary.SENTENCE_START)) != 0
    ranks: np.ndarray = np.minimum(np.cumsum(starts), 255)
    return ranks


def _row(rng: np.random.Generator, length: int) -> dict[str, np.ndarray]:
    words = np.where(rng.random(length) < 0.7, int(Boundary.WORD_START), 0)
    bits = words | np.where(rng.random(length) < 0.05, int(Boundary.SENTENCE_START), 0)
    entity, phrase = _units(rng, length, 0.08, 4), _units(rng, length, 0.1, 5)
    bits |= np.where(entity == 2, int(Boundary.ENTITY_START), 0)
    bits |= np.where(entity > 0, int(Boundary.IN_ENTITY), 0)
    bits |= np.where(phrase == 2, int(Boundary.PHRASE_START), 0)
    bits |= np.where(phrase > 0, int(Boundary.IN_PHRASE), 0)
    starts = Boundary.WORD_START | Boundary.SENTENCE_START | Boundary.DOCUMENT_START
    bits[:1] = bits[:1] | int(starts)
    ids = np.minimum(rng.zipf(1.3, size=length) + 4, FIRST_SENTINEL - 1)
    return {
        "input_ids": np.r_[2, ids, 3],
        "boundaries": np.r_[1, bits, 1],
        "entity_labels": np.r_[0, np.where(entity > 0, rng.integers(1, 3, length), 0), 0],
        "pos_tags": np.r_[0, rng.integers(1, 5, length), 0],
        "depth": np.r_[0, rng.integers(1, 9, length), 0],
        "salience": np.r_[0, rng.integers(1, 256, length), 0],
        "sentence_ranks": np.r_[0, _sentences(bits), 0],
        "segment": np.r_[0, np.arange(length) >= length // 2, 1],
    }


def made_up_rows(num_rows: int, *, seed: int = 0) -> Rows:
    """Rows of 1 to 126 text tokens, most of them full."""
    rng = np.random.default_rng(seed)
    full = rng.random(num_rows) < 0.8
    lengths = np.where(full, MAX_LENGTH - 2, rng.integers(1, MAX_LENGTH - 2, num_rows))
    rows = [_row(rng, int(length)) for length in lengths]
    counts = np.zeros(SIZE, np.int64)
    for row in rows:
        counts += np.bincount(row["input_ids"], minlength=SIZE)
    return make_rows(
        Binding(
            vocabulary=VOCABULARY,
            max_length=MAX_LENGTH,
            tables={"counts": counts, "collocations": COMMON_PAIRS},
            tracks=TRACKS,
        ),
        {name: [row[name] for row in rows] for name in rows[0]},
        seed=rng.integers(0, 2**63, size=num_rows, dtype=np.uint64),
    )


class InMemory(DynamicShards):
    """Rows in memory as an input of the audit, in `num_files` files of equal size.

    `policies` may name another policy for some of the files: they are the faulty ones.
    """

    def __init__(
        self,
        rows: Rows,
        policy: Policy,
        epochs: Sequence[int],
        *,
        num_files: int = 1,
        policies: Mapping[int, Policy] | None = None,
    ) -> None:
        super().__init__("in memory", policy, len(epochs))
        self._rows = rows
        self._epochs = epochs
        self._size = -(-len(rows) // num_files)
        self._policies = policies or {}

    @property
    def max_length(self) -> int:
        return MAX_LENGTH

    @property
    def vocabulary(self) -> Vocabulary:
        return VOCABULARY

    def tasks(self) -> list[RowRange]:
        starts = range(0, len(self._rows), self._size)
        return [
            RowRange(file=f"{n:05d}.arrow", start=s, stop=min(s + self._size, len(self._rows)))
            for n, s in enumerate(starts)
        ]

    def blocks(self, rows: RowRange) -> Iterator[tuple[SourceRows, list[Observation]]]:
        block = self._rows.take(np.arange(rows.start, rows.stop))
        source = source_rows(block, sentence_borders=ends_at_sentences(self.policy))
        used = self._policies.get(rows.start // self._size, self.policy)
        masker = used.bind(block.binding)
        outputs = [masker(block.pad(), epoch) for epoch in self._epochs]
        yield source, [self.look_at(source, one) for one in outputs]


@dataclass(frozen=True, kw_only=True)
class Audited:
    """Statistics, and findings by name."""

    statistics: Statistics
    findings: Mapping[str, Finding]

    @property
    def broken(self) -> set[str]:
        return {name for name, finding in self.findings.items() if not finding.passed}


# Changes what a policy gave: (outputs, epoch) -> outputs
Fault = Callable[[dict[str, np.ndarray], int], dict[str, Any]]


def audit_rows(
    rows: Rows,
    promised: Policy,
    *,
    done: Policy | None = None,
    epochs: Sequence[int] = (0, 1, 2),
    fault: Fault | None = None,
) -> Audited:
    """Audits what the policy `done` makes of rows, held against what `promised` promises."""
    source = source_rows(rows, sentence_borders=ends_at_sentences(promised))
    view = InMemory(rows, promised, epochs)
    masker = (done or promised).bind(rows.binding)
    observations = []
    for epoch in epochs:
        outputs = masker(rows.pad(), epoch)
        outputs = fault(outputs, epoch) if fault else outputs
        observations.append(view.look_at(source, outputs))
    statistics = Statistics(max_length=MAX_LENGTH, vocabulary_size=SIZE, num_epochs=len(epochs))
    measure(statistics, source, observations, VOCABULARY)
    expectation = expectation_of(promised, max_length=MAX_LENGTH)
    if promised.operation in SPAN_OPERATIONS and expectation.budget is not None:
        runs = reference_word_runs(
            [source], promised.operation, promised.parameters, expectation.budget
        )
        expectation = replace(expectation, word_runs=runs)
    findings = check_promises(statistics, expectation, VOCABULARY)
    return Audited(
        statistics=statistics, findings={finding.name: finding for finding in findings}
    )
