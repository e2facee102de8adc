"""How the rows of a job are cut, and the numbers of the rows of a unit.

A `Layout` is made of the job and the tokenizer alone, and refuses what cannot be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._errors import RequestError
from premask._format import (
    BOUNDARIES,
    NEXT_SENTENCE_LABEL,
    SENTENCE_ORDER_LABEL,
    Boundary,
)
from premask.masking._rows import Vocabulary
from premask.schemas.rows import Rows
from premask.stages.cut_rows import Row
from premask.stages.row_frame import (
    Frame,
    segments_frame,
    separator_of,
    sequences_frame,
    text_frame,
)
from premask.stages.row_identity import RowIdentity
from premask.stages.token_stream import TokenStream

_WORD = 1 << 64
_COPY_BITS = 48  # of an ordinal; a unit has fewer rows
LABELS = {"segment_pairs": NEXT_SENTENCE_LABEL, "sentence_order": SENTENCE_ORDER_LABEL}
_SHARED = ("full", "sentences")  # a row holds several documents, one behind the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows are cut, in tokens of text (special tokens not counted).

    Attributes:
        capacity: tokens of text in a full row.
        target_capacity: of a pair's target; `capacity` is then the source's.
        shortest: of the lengths that a short row may have.
        short_threshold: share of short rows, of ``2**64``.
        separator: id behind each document of a stream; None for none.
        trims: whether separators at a row's borders are left out.
        frame: the special tokens of a row.
        label: the column with one number per row, if there is one.
    """

    rows: Rows
    capacity: int
    target_capacity: int
    shortest: int
    short_threshold: int
    separator: int | None
    trims: bool
    frame: Frame
    label: str | None

    @classmethod
    def of(cls, rows: Rows, vocabulary: Vocabulary, tokenizer: Any = None) -> Layout:
        """The layout that a job asks for, with this tokenizer's special tokens.

        Args:
            tokenizer: a `tokenizers.Tokenizer`, asked for its template of two texts.

        Raises:
            RequestError: the template leaves too little room for `stride` or `min_length`, or
                nothing separates two parts.
        """
        frame = _frame(rows, vocabulary, tokenizer)
        capacity, target_capacity = _capacities(rows, frame)
        if rows.arrangement == "pairs" and min(capacity, target_capacity) < 1:
            raise RequestError(
                f"max_length {rows.max_length} leaves {capacity} tokens of text to a source "
                f"and {target_capacity} to a target; raise it, or change rows.target_length",
                location="rows.max_length",
            )
        if capacity <= rows.stride or capacity + target_capacity < rows.min_length:
            raise RequestError(
                f"max_length {rows.max_length} leaves {capacity} tokens beside the tokenizer's "
                f"{rows.max_length - capacity} special ones; stride ({rows.stride}) must be "
                f"below that and min_length ({rows.min_length}) not above it",
                location="rows.max_length",
            )
        low = max(rows.min_length, rows.stride + 1, 2 if rows.arrangement in LABELS else 1)
        return cls(
            rows=rows,
            capacity=capacity,
            target_capacity=target_capacity,
            shortest=min(low, capacity),
            short_threshold=int(rows.short_row_probability * _WORD),
            separator=separator_of(vocabulary) if rows.arrangement in _SHARED else None,
            trims=bool(vocabulary.prefix_ids or vocabulary.suffix_ids),
            frame=frame,
            label=LABELS.get(rows.arrangement),
        )


def row_columns(rows: Rows) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tracks and the labels that an arrangement adds to those of the tokens."""
    bare = Vocabulary(size=1, sep_id=0)
    track, label = _frame(rows, bare, None).track, LABELS.get(rows.arrangement)
    return (track,) if track else (), (label,) if label else ()


def _frame(rows: Rows, vocabulary: Vocabulary, tokenizer: Any) -> Frame:
    if rows.arrangement in LABELS:
        return segments_frame(vocabulary, tokenizer)
    if rows.arrangement == "pairs":
        return sequences_frame(vocabulary)
    packed = rows.packing != "none"
    return text_frame(vocabulary, separator_of(vocabulary) if packed else None)


def _capacities(rows: Rows, frame: Frame) -> tuple[int, int]:
    """Tokens of text in a row, or in a source and in a target."""
    if rows.arrangement == "pairs":
        wrapped = len(frame.before) + len(frame.behind)
        target = rows.target_length or rows.max_length // 2
        return rows.max_length - target - wrapped, target - wrapped
    if rows.arrangement in LABELS:
        return rows.max_length - frame.size, 0
    return rows.max_length - len(frame.before) - len(frame.behind), 0


@dataclass(slots=True, kw_only=True)
class Numbering:
    """Numbers the rows of one copy of a unit from 0, and draws their words."""

    layout: Layout
    identity: RowIdentity
    counters: Counter[str]
    copy: int
    row: int = 0

    @property
    def ordinal(self) -> int:
        """Names the next row in its unit."""
        return self.copy << _COPY_BITS | self.row

    def length(self) -> int:
        """How many tokens of text the next row takes."""
        layout = self.layout
        if not layout.short_threshold:
            return layout.capacity
        return self.identity.length(
            self.ordinal,
            low=layout.shortest,
            high=layout.capacity,
            short_threshold=layout.short_threshold,
        )

    def count(self, name: str, number: int) -> None:
        """Adds to a counter, which there is only where something was counted."""
        if number:
            self.counters[name] += number

    def make(self, *pieces: tuple[int, int], label: int = 0, borrows: bool = False) -> Row:
        """The next row; it may borrow all but the first of its pieces."""
        num_own = 1 if borrows else len(pieces)
        ordinal = self.ordinal
        row = Row(pieces, self.identity.seed(ordinal), ordinal, label, num_own)
        self.row += 1
        return row

    def drop(self, stream: TokenStream, start: int, stop: int) -> None:
        """Leaves out the next row, which would be the last to hold these tokens."""
        self.row += 1
        self.count("dropped_rows", 1)
        bits = stream.columns[BOUNDARIES][start:stop]
        self.count("dropped_tokens", int(np.count_nonzero((bits & Boundary.SPECIAL) == 0)))
