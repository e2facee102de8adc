"""Units: what is masked as a whole. A partition of a row's text into runs of tokens.

===============  =================================================================
``token``        every token
``word``         from one word start to the next
``entity``       every named entity; the remaining text by words
``phrase``       every phrase (noun chunk); the remaining text by words
``sentence``     from one sentence start to the next
``collocation``  every n-gram of the table ``collocations``; the rest by words
===============  =================================================================

Whatever the unit, it ends at special tokens and at document borders (at sentence borders too
where a policy says ``within: sentence``), so none holds tokens of two segments. A row that
begins or ends inside a word or an entity holds a fragment of it, which is a unit of its own.

Cost: two sorts and a cumulative sum; NumPy goes on with as many units as the fullest row has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking._backend import (
    Array,
    clip,
    cumsum,
    gather,
    int32,
    namespace,
    positions,
    shift_right,
    sort,
    total,
)
from premask.masking._layout import closes_unit, has_bits, segment_starts
from premask.masking._operation import Binding, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.collocations import compile_collocations

UNITS = ("token", "word", "entity", "phrase", "sentence", "collocation")

WITHIN = Parameter(
    default="document",
    kind=(str,),
    choices=("document", "sentence"),
    help="what no unit and no span crosses, besides special tokens",
)

_SPANS = {
    "entity": (Boundary.ENTITY_START, Boundary.IN_ENTITY),
    "phrase": (Boundary.PHRASE_START, Boundary.IN_PHRASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The units of a batch, in the order of each row.

    Attributes:
        first_BU, last_BU: int32, positions of a unit's first and last token; 0 where absent.
        present_BU: bool, the row has that many units.
        ordinal_BL: int32, the unit of each token; 0 before a row's first unit.
        member_BL: bool, the token belongs to a unit.
    """

    first_BU: Array
    last_BU: Array
    present_BU: Array
    ordinal_BL: Array
    member_BL: Array

    @property
    def length_BU(self) -> Array:
        """int32 ``[B, U]``: tokens of each unit, 0 where absent."""
        xp = namespace(self.first_BU)
        return xp.where(self.present_BU, self.last_BU - self.first_BU + 1, 0)

    def holds(self, flags_BL: Array) -> Array:
        """bool ``[B, U]``: any token of the unit is flagged; `flags_BL` lies within members."""
        counted_BL = cumsum(flags_BL)
        before_BU = gather(counted_BL - int32(flags_BL), self.first_BU)
        return self.present_BU & (gather(counted_BL, self.last_BU) > before_BU)

    def spread(self, values_BU: Array) -> Array:
        """``[B, L]``: for each token the value of its unit (junk where it has none)."""
        return gather(values_BU, self.ordinal_BL)


def span_positions(rows: PaddedRows, unit: str) -> Array:
    """bool ``[B, L]``: the position lies in an annotated ``entity`` or ``phrase``."""
    return has_bits(rows, *_SPANS[unit])


def unit_starts(rows: PaddedRows, member_BL: Array, unit: str, within: str) -> Array:
    """bool ``[B, L]``: the position opens a unit. `unit` is one of `UNITS`, but collocation."""
    if unit == "token":
        return member_BL
    border_BL = segment_starts(rows, member_BL, within)
    if unit == "sentence":
        return border_BL | (member_BL & has_bits(rows, Boundary.SENTENCE_START))
    if unit == "word":
        return border_BL | (member_BL & has_bits(rows, Boundary.WORD_START))
    opens, _ = _SPANS[unit]
    inside_BL = span_positions(rows, unit)
    # Inside a span a word start opens nothing; where a span ends, a new unit begins.
    flips_BL = inside_BL ^ shift_right(inside_BL, 1, False)
    word_BL = ~inside_BL & has_bits(rows, Boundary.WORD_START)
    return border_BL | (member_BL & (has_bits(rows, opens) | flips_BL | word_BL))


def compile_starts(
    parameters: Mapping[str, Any], binding: Binding
) -> Callable[[PaddedRows, Array, Array], Array]:
    """(rows, text BL, key) -> bool BL: the position opens a unit."""
    unit, within = parameters["units"], parameters["within"]
    if unit == "collocation":
        collocations = compile_collocations(binding)

        def find_collocations(rows: PaddedRows, text_BL: Array, key: Array) -> Array:
            word_BL = unit_starts(rows, text_BL, "word", within)
            segment_BL = segment_starts(rows, text_BL, within)
            return collocations.unit_starts(rows.input_ids, text_BL, word_BL, segment_BL, key)

        return find_collocations

    def find_starts(rows: PaddedRows, text_BL: Array, key: Array) -> Array:
        del key
        return unit_starts(rows, text_BL, unit, within)

    return find_starts


def find_units(member_BL: Array, start_BL: Array, max_length: int) -> Units:
    """The table of the units that open at `start_BL`.

    Args:
        member_BL: bool, tokens that belong to units.
        start_BL: bool, a subset of `member_BL` that holds the first of each of its runs.
        max_length: the longest row that the policy is bound to; no row has more units.
    """
    xp = namespace(start_BL)
    length = start_BL.shape[1]
    place = positions(start_BL, length)
    count_B1 = total(start_BL)
    width = min(length, max_length)
    if xp is np:
        width = max(1, int(count_B1.max(initial=0)))
    present_BU = positions(start_BL, width) < count_B1
    first_BU = sort(xp.where(start_BL, place, length))[:, :width]
    last_BU = sort(xp.where(closes_unit(member_BL, start_BL), place, length))[:, :width]
    return Units(
        first_BU=xp.where(present_BU, first_BU, 0),
        last_BU=xp.where(present_BU, last_BU, 0),
        present_BU=present_BU,
        ordinal_BL=clip(cumsum(start_BL) - 1, 0, width - 1),
        member_BL=member_BL,
    )
