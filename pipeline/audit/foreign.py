"""Masked data that Premask did not make: a Hugging Face data set with ids and labels.

Read through `datasets`, which maps the file. What the ids mean comes from a tokenizer if there
is one; else the mask token is the id that most often stands where a label differs from it, and
special tokens are what the column ``special_tokens_mask`` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from premask._errors import FormatError, RequestError
from premask._format import IGNORE_LABEL, INPUT_IDS, LABELS
from premask.masking._rows import Vocabulary
from premask.pipeline.audit.inputs import BLOCK_TOKENS, RowRange
from premask.pipeline.audit.observation import Observation, SourceRows, observe_aligned
from premask.pipeline.audit.word_marks import word_marks
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

_SPECIAL = "special_tokens_mask"
_PROBE_ROWS = 2000
_MAX_ID = 1 << 28
# What `datasets` lets through from files that are none of its own, or are damaged.
_UNREADABLE = (
    *(pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError),
    *(IndexError, RecursionError),
)


@dataclass(frozen=True, kw_only=True)
class ForeignData:
    """A saved data set (`datasets.Dataset.save_to_disk`) of masked rows.

    Attributes:
        location: its directory.
        tokenizer: the tokenizer that made it, if it is known.
    """

    location: str
    tokenizer: str | None = None

    @cached_property
    def data(self) -> Any:
        """The data set, giving Arrow tables.

        Raises:
            RequestError: it is none, or lacks a column.
        """
        import datasets

        try:
            data = datasets.load_from_disk(self.location)
        except _UNREADABLE as error:
            raise RequestError(
                f"neither a shard set nor a saved data set that can be read: {error}",
                location=self.location,
            ) from error
        columns = getattr(data, "column_names", [])
        if not {INPUT_IDS, LABELS} <= set(columns):
            raise RequestError(
                f"a data set to audit has the columns input_ids and labels; this one has "
                f"{columns} (of a dictionary of splits name one: {self.location}/train)",
                location=self.location,
            )
        self._check(data.data.table)
        return data.with_format("arrow")

    def _check(self, table: pa.Table) -> None:
        """Refuses lists that are damaged, or hold something else than numbers."""
        try:
            for name in (INPUT_IDS, LABELS):
                _check_lists(table[name], name)
            if _SPECIAL in table.column_names:
                _check_lists(table[_SPECIAL], _SPECIAL)
        except (pa.ArrowException, ValueError) as error:
            raise FormatError(
                f"the data set is damaged: {error}", location=self.location
            ) from error

    @cached_property
    def loaded(self) -> LoadedTokenizer | None:
        return None if self.tokenizer is None else load_tokenizer(self.tokenizer)

    @cached_property
    def max_length(self) -> int:
        return self._extent[0]

    @cached_property
    def _extent(self) -> tuple[int, int]:
        """The length of the longest row, and the highest id. Reads every row."""
        longest, highest = 1, 0
        for start in range(0, len(self.data), _PROBE_ROWS):
            table = self.data[start : start + _PROBE_ROWS]
            ids, labels = _flat(table, INPUT_IDS), _flat(table, LABELS)
            labels = labels[labels != IGNORE_LABEL]
            lowest = min(int(ids.min(initial=0)), int(labels.min(initial=0)))
            longest = max(longest, int(_lengths(table, INPUT_IDS).max(initial=0)))
            highest = max(highest, int(ids.max(initial=0)), int(labels.max(initial=0)))
            if lowest < 0 or highest >= _MAX_ID:
                raise FormatError(
                    f"token ids from {lowest} to {highest} in rows {start} to "
                    f"{start + len(table) - 1}; they go from 0 to {_MAX_ID - 1}, and labels "
                    f"may be {IGNORE_LABEL}",
                    location=self.location,
                )
        return longest, highest

    @property
    def num_epochs(self) -> int:
        return 1

    @cached_property
    def vocabulary(self) -> Vocabulary:
        highest = self._extent[1]
        if self.loaded is not None:
            if highest >= self.loaded.vocabulary.size:
                raise RequestError(
                    f"token id {highest}; the tokenizer has {self.loaded.vocabulary.size}; "
                    "give the one that the data were made with",
                    location="--tokenizer",
                )
            return self.loaded.vocabulary
        table = self.data[:_PROBE_ROWS]
        ids, labels = _flat(table, INPUT_IDS), _flat(table, LABELS)
        mask_id = None
        if len(ids) == len(labels):  # else the rows are refused when they are looked at
            swapped = Counter(ids[(labels != IGNORE_LABEL) & (ids != labels)].tolist())
            mask_id = next((token for token, _ in swapped.most_common(1)), None)
        return Vocabulary(size=1 << (highest + 1).bit_length(), mask_id=mask_id)

    def tasks(self) -> list[RowRange]:
        step = 8 * max(1, BLOCK_TOKENS // self.max_length)
        return [
            RowRange(file=Path(self.location).name, start=s, stop=min(s + step, len(self.data)))
            for s in range(0, len(self.data), step)
        ]

    def blocks(self, rows: RowRange) -> Iterator[tuple[SourceRows, list[Observation]]]:
        step = max(1, BLOCK_TOKENS // self.max_length)
        for start in range(rows.start, rows.stop, step):
            yield self._block(self.data[start : min(start + step, rows.stop)])

    def _block(self, table: pa.Table) -> tuple[SourceRows, list[Observation]]:
        ids_BL, lengths_B = _padded(table, INPUT_IDS, 0)
        labels_BL, num_labels_B = _padded(table, LABELS, IGNORE_LABEL)
        if not np.array_equal(lengths_B, num_labels_B):
            raise RequestError(
                "rows whose labels have another length than their input_ids cannot be audited: "
                "the rows that they were made from are unknown",
                location=self.location,
            )
        original_BL = np.where(labels_BL == IGNORE_LABEL, ids_BL, labels_BL)
        if _SPECIAL in table.column_names:
            special_BL = _padded(table, _SPECIAL, 0)[0] != 0
        else:
            special_BL = np.isin(original_BL, self.vocabulary.special_ids)
        text_BL = ~special_BL & (np.arange(ids_BL.shape[1]) < lengths_B[:, None])
        source = SourceRows(
            ids_BL=original_BL,
            lengths_B=lengths_B,
            special_BL=special_BL,
            boundaries_BL=word_marks(original_BL, text_BL, self.loaded),
            tracks={},
            seeds_B=None,
        )
        return source, [observe_aligned(source, ids_BL, labels_BL)]


def _check_lists(column: pa.ChunkedArray, name: str) -> None:
    """Raises where a column's lists are damaged, have nulls or are not of integers."""
    if not (_is_list(column.type) and pa.types.is_integer(column.type.value_type)):
        raise ValueError(f"{name} is of type {column.type}, not of lists of integers")
    column.validate(full=True)  # before any value is touched: bad offsets end the process
    if column.null_count or any(chunk.flatten().null_count for chunk in column.chunks):
        raise ValueError(f"{name} has nulls")


def _is_list(type_: pa.DataType) -> bool:
    tests = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    return any(test(type_) for test in tests)


def _lengths(table: pa.Table, column: str) -> np.ndarray:
    chunks = [c.value_lengths().to_numpy(zero_copy_only=False) for c in table[column].chunks]
    return np.concatenate([np.zeros(0, np.int64), *chunks]).astype(np.int64)


def _flat(table: pa.Table, column: str) -> np.ndarray:
    chunks = [c.flatten().to_numpy(zero_copy_only=False) for c in table[column].chunks]
    return np.concatenate([np.zeros(0, np.int64), *chunks])


def _padded(table: pa.Table, column: str, fill: int) -> tuple[np.ndarray, np.ndarray]:
    lengths_B = _lengths(table, column)
    array = np.full((len(lengths_B), int(lengths_B.max(initial=0))), fill, np.int32)
    array[np.arange(array.shape[1]) < lengths_B[:, None]] = _flat(table, column)
    return array, lengths_B
