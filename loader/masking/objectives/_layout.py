"""Where text stands in a row. Specials are told by their boundary bit, never by their id.

A row is leading specials, a body that begins and ends with text, and trailing specials. A
*segment* is a run of text without a special and without a document's start inside; no span,
window or sentence crosses a segment's border.
"""

from __future__ import annotations

from dataclasses import dataclass

from premask._format import Boundary
from premask.masking._backend import (
    Array,
    concat,
    cumsum,
    full,
    gather,
    int32,
    namespace,
    positions,
    shift_right,
    sort,
    total,
)
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip, running_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The geometry of a batch.

    Attributes:
        inside: bool ``[B, L]``, before the row's end.
        text: bool ``[B, L]``, inside and no special.
        segment_start: bool ``[B, L]``, the first token of a segment.
        rank: int32 ``[B, L]``, number of text tokens before this position.
        lengths: int32 ``[B, 1]``, tokens of the row.
        num_text: int32 ``[B, 1]``, text tokens of the row.
        leading: int32 ``[B, 1]``, specials before the first text token.
        end: int32 ``[B, 1]``, the position after the last text token; `leading` without text.
        open_end: bool ``[B, 1]``, True where the row does not end with a special.
    """

    inside: Array
    text: Array
    segment_start: Array
    rank: Array
    lengths: Array
    num_text: Array
    leading: Array
    end: Array
    open_end: Array


def has(rows: PaddedRows, bit: Boundary) -> Array:
    """Whether a token carries a boundary bit; bool ``[B, L]``, undefined beyond the end."""
    return (rows.boundaries & int(bit)) != 0


def layout(rows: PaddedRows) -> Layout:
    """The geometry of `rows`: a few sums, no sort."""
    xp = namespace(rows.input_ids)
    lengths = int32(rows.lengths)[:, None]
    inside = positions(rows.input_ids, rows.input_ids.shape[1]) < lengths
    text = inside & ~has(rows, Boundary.SPECIAL)
    begins = has(rows, Boundary.DOCUMENT_START) | ~shift_right(text, 1, False)
    so_far = cumsum(text)
    num_text = total(text)
    leading = total(inside & (so_far == 0))
    trailing = total(inside & ~text & (so_far == num_text))
    end = xp.where(num_text > 0, lengths - trailing, leading)
    return Layout(
        inside=inside,
        text=text,
        segment_start=text & begins,
        rank=so_far - int32(text),
        lengths=lengths,
        num_text=num_text,
        leading=leading,
        end=end,
        open_end=(lengths == 0) | ((num_text > 0) & (end == lengths)),
    )


def last_start(start: Array) -> Array:
    """For each position, where its unit began: the last start at or before it; 0 if none."""
    place = positions(start, start.shape[1])
    return running_max(namespace(start).where(start, place, 0))


def next_start(start: Array) -> Array:
    """For each position, where the next unit begins; L if none."""
    num_rows, length = start.shape
    place = positions(start, length)
    starts = sort(namespace(start).where(start, place, length))
    starts = concat([starts, full(starts, (num_rows, 1), length)])
    return gather(starts, clip(cumsum(start), 0, length))
