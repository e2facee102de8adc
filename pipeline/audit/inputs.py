"""What can be audited: a shard set under a policy, a static shard set, or a foreign data set.

An input names itself, splits itself into tasks of rows, and opens (once per process) into a
function from a task to `Statistics`. Rows pass through in blocks of about half a million
tokens, so memory does not grow with the set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from premask._errors import PolicyError
from premask._format import (
    BOUNDARIES,
    IGNORE_LABEL,
    INPUT_IDS,
    LABELS,
    TRACKS,
    Boundary,
)
from premask.masking._rows import Vocabulary
from premask.masking.masker import Masker
from premask.masking.policy import Policy, policy
from premask.pipeline.audit.measure import measure
from premask.pipeline.audit.observation import (
    Observation,
    SourceRows,
    observe_aligned,
    observe_sequences,
)
from premask.pipeline.audit.statistics import Statistics
from premask.pipeline.engine import Result, Tell
from premask.rows import Rows
from premask.shards import ShardSet, open_shards

BLOCK_TOKENS = 1 << 19
_TASK_BLOCKS = 16

# What these make of a row does not stand where the row's tokens stood, whatever it looks like.
_REARRANGING = (
    "denoising",
    "fill_in_middle",
    "gap_sentences",
    "mass",
    "permutation",
    "seq2seq",
    "span_corruption",
    "ul2",
)
# These give L x L values for a row of L tokens: so many times fewer rows at once.
_WIDE = {"permutation": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRange:
    """Rows ``start .. stop-1`` of an input, all of one file."""

    file: str
    start: int
    stop: int


class AuditInput(Protocol):
    """See the module. Implementations are small and picklable."""

    @property
    def max_length(self) -> int: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def num_epochs(self) -> int: ...
    def tasks(self) -> list[RowRange]: ...
    def blocks(self, rows: RowRange) -> Iterator[tuple[SourceRows, list[Observation]]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditWork:
    """The work that an engine opens: statistics of a range of rows."""

    input: AuditInput

    def open(self) -> Callable[[RowRange, Tell], Result]:
        return partial(_run, self.input)


def _run(source: AuditInput, rows: RowRange, tell: Tell) -> Result:
    del tell  # a range of rows takes a second
    statistics = empty_statistics(source)
    for block, observations in source.blocks(rows):
        measure(statistics, block, observations, source.vocabulary)
    return {"file": rows.file, "statistics": statistics}


def empty_statistics(source: AuditInput) -> Statistics:
    """Statistics of the right shape for an input, all zero."""
    return Statistics(
        max_length=source.max_length,
        vocabulary_size=source.vocabulary.size,
        num_epochs=source.num_epochs,
    )


class DynamicShards:
    """A shard set with seeds, under a policy, for epochs ``0 .. num_epochs-1``."""

    def __init__(self, location: str, value: Policy, num_epochs: int) -> None:
        self.location = location
        self.policy = value
        self._num_epochs = num_epochs
        self._opened: tuple[ShardSet, Masker] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen_dynamic, (self.location, self.policy.to_dict(), self._num_epochs)

    @property
    def shards(self) -> ShardSet:
        return self._open()[0]

    @property
    def max_length(self) -> int:
        return self.shards.manifest.max_length

    @property
    def vocabulary(self) -> Vocabulary:
        return self.shards.vocabulary

    @property
    def num_epochs(self) -> int:
        return self._num_epochs

    def tasks(self) -> list[RowRange]:
        return shard_tasks(self.shards)

    def blocks(self, rows: RowRange) -> Iterator[tuple[SourceRows, list[Observation]]]:
        shards, _ = self._open()
        for block in row_blocks(shards, rows, _WIDE.get(self.policy.operation, 1)):
            source = source_rows(block, sentence_borders=ends_at_sentences(self.policy))
            padded, masker = block.pad(), self._open()[1]
            epochs = range(self.num_epochs)
            yield source, [self.look_at(source, masker(padded, epoch)) for epoch in epochs]

    def look_at(self, source: SourceRows, outputs: Mapping[str, np.ndarray]) -> Observation:
        """What the policy's outputs say about the rows they were made of."""
        labels = outputs[LABELS]
        in_place = (
            self.policy.operation not in _REARRANGING
            and labels.shape == source.ids_BL.shape
            and _mostly_right(labels, source)
        )
        if in_place:
            return observe_aligned(source, outputs[INPUT_IDS], labels)
        return observe_sequences(source, outputs, self.vocabulary)

    def _open(self) -> tuple[ShardSet, Masker]:
        if self._opened is None:
            shards = open_shards(self.location)
            if shards.manifest.mode != "dynamic":
                raise PolicyError(
                    "the set is static: it is masked already; audit it without a policy",
                    location=self.location,
                )
            self._opened = shards, self.policy.bind(shards.binding)
        return self._opened


def _reopen_dynamic(location: str, value: dict[str, Any], num_epochs: int) -> DynamicShards:
    return DynamicShards(location, policy(value), num_epochs)


def ends_at_sentences(value: Policy | None) -> bool:
    """Whether a sentence's border ends a unit of the policy."""
    return value is not None and value.parameters.get("within") == "sentence"


def source_rows(block: Rows, *, sentence_borders: bool = False) -> SourceRows:
    """A block of a dynamic shard set as the audit sees it."""
    bits_BL = block.lists[BOUNDARIES]
    return SourceRows(
        ids_BL=block.lists[INPUT_IDS].astype(np.int32),
        lengths_B=block.lengths[INPUT_IDS].astype(np.int64),
        special_BL=(bits_BL & int(Boundary.SPECIAL)) != 0,
        boundaries_BL=bits_BL,
        tracks={name: block.lists[name] for name in TRACKS if name in block.lists},
        seeds_B=block.seed,
        sentence_borders=sentence_borders,
    )


def shard_tasks(shards: ShardSet) -> list[RowRange]:
    """Ranges of rows that lie in one shard each, of a few million tokens at most."""
    step = _TASK_BLOCKS * block_rows(shards.manifest.max_length)
    tasks, first = [], 0
    for shard in shards.manifest.shards:
        behind = first + shard.num_rows
        tasks += [
            RowRange(file=shard.file, start=start, stop=min(start + step, behind))
            for start in range(first, behind, step)
        ]
        first = behind
    return tasks


def block_rows(max_length: int) -> int:
    """How many rows are looked at together."""
    return max(1, BLOCK_TOKENS // max(1, max_length))


def row_blocks(shards: ShardSet, rows: RowRange, divide: int = 1) -> Iterator[Rows]:
    """A range of rows, block by block, with `divide` times fewer rows than usual in each."""
    step = max(1, block_rows(shards.manifest.max_length) // divide)
    for start in range(rows.start, rows.stop, step):
        yield shards.rows(np.arange(start, min(start + step, rows.stop)))


def _mostly_right(labels_BL: np.ndarray, source: SourceRows) -> bool:
    """Whether labels name the tokens at their own positions."""
    labelled = (labels_BL != IGNORE_LABEL) & source.inside_BL
    right = labelled & (labels_BL == source.ids_BL)
    return 2 * int(right.sum()) >= int(labelled.sum())
