"""Frozen shard sets as an input of the audit: every row is one masked version of its row.

The row is taken back from inputs and labels. Static rows carry no boundaries; where words begin
is told by the set's tokenizer, entities and phrases by nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from premask._format import IGNORE_LABEL, INPUT_IDS, LABELS, TOKENIZER_FILE
from premask.masking._rows import Vocabulary
from premask.masking.objectives.restore import restore_spans
from premask.masking.policy import Policy
from premask.pipeline.audit.inputs import (
    RowRange,
    ends_at_sentences,
    row_blocks,
    shard_tasks,
)
from premask.pipeline.audit.observation import (
    Observation,
    SourceRows,
    observe_aligned,
    observe_sequences,
)
from premask.pipeline.audit.word_marks import word_marks
from premask.pipeline.output import Output
from premask.rows import Rows
from premask.shards import ShardSet, open_shards
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

WITH_SENTINELS = ("span_corruption", "ul2")


@dataclass(frozen=True, kw_only=True)
class StaticShards:
    """A static shard set, held to `policy` if there is one."""

    location: str
    policy: Policy | None

    @cached_property
    def shards(self) -> ShardSet:
        return open_shards(self.location)

    @cached_property
    def tokenizer(self) -> LoadedTokenizer | None:
        """The set's tokenizer; None for a remote set."""
        output = Output.at(self.location)
        return load_tokenizer(output.path(TOKENIZER_FILE)) if output.is_local else None

    @property
    def max_length(self) -> int:
        return self.shards.manifest.max_length

    @property
    def vocabulary(self) -> Vocabulary:
        return self.shards.vocabulary

    @property
    def num_epochs(self) -> int:
        return 1

    def tasks(self) -> list[RowRange]:
        return shard_tasks(self.shards)

    def blocks(self, rows: RowRange) -> Iterator[tuple[SourceRows, list[Observation]]]:
        for block in row_blocks(self.shards, rows):
            ids_BL = block.lists[INPUT_IDS].astype(np.int32)
            labels_BT = block.lists[LABELS].astype(np.int32)
            beyond_BT = np.arange(labels_BT.shape[1]) >= block.lengths[LABELS][:, None]
            labels_BT[beyond_BT] = IGNORE_LABEL
            if np.array_equal(block.lengths[LABELS], block.lengths[INPUT_IDS]):
                yield self._aligned(block, ids_BL, labels_BT)
            else:
                yield self._sequences(block, ids_BL, labels_BT)

    def _aligned(
        self, block: Rows, ids_BL: np.ndarray, labels_BL: np.ndarray
    ) -> tuple[SourceRows, list[Observation]]:
        original_BL = np.where(labels_BL == IGNORE_LABEL, ids_BL, labels_BL)
        source = self._source(original_BL, block.lengths[INPUT_IDS])
        return source, [observe_aligned(source, ids_BL, labels_BL)]

    def _sequences(
        self, block: Rows, ids_BL: np.ndarray, labels_BT: np.ndarray
    ) -> tuple[SourceRows, list[Observation]]:
        lengths_B = block.lengths[INPUT_IDS]
        inside_BL = np.arange(ids_BL.shape[1]) < lengths_B[:, None]
        outputs = {INPUT_IDS: ids_BL, "attention_mask": inside_BL, LABELS: labels_BT}
        if self.policy is None or self.policy.operation not in WITH_SENTINELS:
            source = self._source(ids_BL, lengths_B)
            return source, [observe_sequences(source, outputs, Vocabulary(size=0))]
        restored = [
            restore_spans(
                ids[:length].tolist(), labels[labels != IGNORE_LABEL].tolist(), self.vocabulary
            )
            for ids, length, labels in zip(ids_BL, lengths_B, labels_BT, strict=True)
        ]
        restored_B = np.array([len(row) for row in restored], np.int64)
        source = self._source(_rectangle(restored, restored_B), restored_B)
        return source, [observe_sequences(source, outputs, self.vocabulary)]

    def _source(self, ids_BL: np.ndarray, lengths_B: np.ndarray) -> SourceRows:
        special_BL = np.isin(ids_BL, self.vocabulary.special_ids)
        text_BL = ~special_BL & (np.arange(ids_BL.shape[1]) < lengths_B[:, None])
        return SourceRows(
            ids_BL=ids_BL,
            lengths_B=lengths_B.astype(np.int64),
            special_BL=special_BL,
            boundaries_BL=word_marks(ids_BL, text_BL, self.tokenizer),
            tracks={},
            seeds_B=None,
            sentence_borders=ends_at_sentences(self.policy),
        )


def _rectangle(rows: list[list[int]], lengths_B: np.ndarray) -> np.ndarray:
    array = np.zeros((len(rows), int(lengths_B.max(initial=0))), np.int32)
    inside = np.arange(array.shape[1]) < lengths_B[:, None]
    array[inside] = [token for row in rows for token in row]
    return array
