"""Fill in the middle: a document's middle is moved behind its end, between sentinels.

Law: Bavarian et al. (2022), at the level of tokens. With probability `rate` a document is cut
at two independent uniform places, from before its first token to behind its last; parts may be
empty. It becomes ``PRE prefix SUF suffix MID middle`` or, with probability `spm_rate`,
``PRE SUF suffix MID prefix middle``. Every token stays: the row grows by three. In a row of
several documents one is rearranged, that of a uniformly drawn text token. Cost: one gather.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from premask._errors import PolicyError
from premask._format import IGNORE_LABEL
from premask.masking._backend import Array, gather, int32, namespace, positions, total
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip, order_kept_first
from premask.masking.objectives._chance import happens, threshold, uniform
from premask.masking.objectives._decoder import attention, pad_id
from premask.masking.objectives._layout import Layout, last_start, layout
from premask.masking.threefry import ROW, words

_PREFIX, _SUFFIX, _MIDDLE = -1, -2, -3


def compile_fill_in_middle(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids``, ``attention_mask`` and unshifted ``labels``; int32 ``[B, L + 3]``.

    Raises:
        PolicyError: there are no three sentinels.
    """
    sentinels, pad = _sentinels(parameters, binding), pad_id(binding.vocabulary)
    rate, spm = threshold(parameters["rate"]), threshold(parameters["spm_rate"])

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        xp = namespace(key)
        width = rows.input_ids.shape[1] + 3
        where = layout(rows)
        cut = _draw(where, key, rate, spm)
        source = _source(cut, positions(key, width))
        ids = gather(rows.input_ids, clip(source, 0, width - 4))
        for marker, sentinel in zip((_PREFIX, _SUFFIX, _MIDDLE), sentinels, strict=True):
            ids = xp.where(source == marker, sentinel, ids)
        count = where.lengths + int32(cut.moved) * 3
        here = positions(key, width) < count
        return {
            "input_ids": xp.where(here, ids, pad),
            "attention_mask": attention(count, width),
            "labels": xp.where(here, ids, IGNORE_LABEL),
        }

    return apply


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """One document per row and its cut; all ``[B, 1]``, places counted in the document."""

    moved: Array  # bool: whether the document is rearranged at all
    suffix_first: Array  # bool
    start: Array  # the document's first position in the row
    size: Array
    low: Array
    high: Array


def _draw(where: Layout, key: Array, rate: int, spm: int) -> _Cut:
    xp = namespace(key)
    first, second = words(key, 3, ROW)
    pointed = uniform(first[:, :1], clip(where.num_text, 1, 2**30))
    place = gather(order_kept_first(where.text), clip(pointed, 0, where.text.shape[1] - 1))
    starts = last_start(where.segment_start)
    start = gather(starts, place)
    size = total(where.text & (starts == start))
    one, other = (uniform(first[:, k : k + 1], size + 1) for k in (1, 2))
    return _Cut(
        moved=happens(second[:, :1], rate) & (where.num_text > 0),
        suffix_first=happens(second[:, 1:2], spm),
        start=start,
        size=size,
        low=xp.where(one < other, one, other),
        high=xp.where(one < other, other, one),
    )


def _source(cut: _Cut, column: Array) -> Array:
    """For each output column the row's position, or one of the three markers."""
    where = namespace(column).where
    place = column - cut.start
    tail = cut.size - cut.high
    # PRE prefix SUF suffix MID middle
    plain = where(place <= cut.low, place - 1, place - (cut.low + 2) + cut.high)
    plain = where(place > cut.low + 2 + tail, place - (3 + tail), plain)
    plain = where(place == 0, _PREFIX, plain + cut.start)
    plain = where(place == cut.low + 1, _SUFFIX, plain)
    plain = where(place == cut.low + 2 + tail, _MIDDLE, plain)
    # PRE SUF suffix MID prefix middle
    swapped = where(place < 2 + tail, place - 2 + cut.high, place - (3 + tail)) + cut.start
    swapped = where(place == 0, _PREFIX, where(place == 1, _SUFFIX, swapped))
    swapped = where(place == 2 + tail, _MIDDLE, swapped)
    inner = where(cut.suffix_first, swapped, plain)
    moved = where(place < 0, column, where(place >= cut.size + 3, column - 3, inner))
    return where(cut.moved, moved, column)


def _sentinels(parameters: Mapping[str, Any], binding: Binding) -> tuple[int, ...]:
    given, vocabulary = parameters["sentinels"], binding.vocabulary
    ids = vocabulary.sentinel_ids[:3] if given is None else tuple(given)
    if len(ids) != 3 or not all(type(x) is int and 0 <= x < vocabulary.size for x in ids):
        raise PolicyError(
            "fill in the middle needs three sentinels (prefix, suffix, middle), got "
            f"{list(ids)}; give their ids, or use a tokenizer with sentinels",
            location="policy.sentinels",
        )
    return ids


OPERATION = Operation(
    name="fill_in_middle",
    parameters={
        "rate": Parameter(
            default=0.5, minimum=0.0, maximum=1.0, help="share of rows that are rearranged"
        ),
        "spm_rate": Parameter(
            default=0.5,
            minimum=0.0,
            maximum=1.0,
            help="share of these whose suffix comes first",
        ),
        "sentinels": Parameter(
            default=None,
            kind=(list, tuple, type(None)),
            help="ids of the prefix, suffix and middle tokens; default: the first sentinels",
        ),
    },
    compile=compile_fill_in_middle,
    needs=lambda _: (),
)
