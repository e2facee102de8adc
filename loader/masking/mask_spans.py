"""The operation ``mask_spans``: SpanBERT's spans, then C1.

Cost (NumPy, one core): about 8 million tokens per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask.masking._backend import Array, clip, gather, namespace, total
from premask.masking._layout import segment_starts, text_positions
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.budget import BUDGET, compile_budget
from premask.masking.cover import cover_by_anchors, cut_to, span_ends
from premask.masking.select import uniform_key
from premask.masking.span_lengths import PARAMETERS as LENGTHS_PARAMETERS
from premask.masking.span_lengths import draw_lengths, length_shares, length_thresholds
from premask.masking.substitute import PARAMETERS as SUBSTITUTE
from premask.masking.substitute import compile_corruption
from premask.masking.threefry import LENGTHS, SELECT, words
from premask.masking.units import WITHIN, Units, find_units, unit_starts

PARAMETERS: Mapping[str, Parameter] = {
    **BUDGET,
    **LENGTHS_PARAMETERS,
    "within": WITHIN,
    "overflow": Parameter(
        default="cut",
        kind=(str,),
        choices=("cut", "word"),
        help="the last span: cut to the exact budget, or to whole words",
    ),
    **SUBSTITUTE,
}


def needs(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Boundary bits that rows must have for these parameters."""
    return ("sentence_start",) if parameters["within"] == "sentence" else ()


def compile_mask_spans(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Compiles the operation; see `PARAMETERS`.

    Raises:
        PolicyError: the vocabulary or a table lacks what is asked for.
    """
    corrupt = compile_corruption(parameters, binding)
    budget_of = compile_budget(parameters, binding.max_length)
    shares = length_shares(parameters)
    thresholds, bits = length_thresholds(shares), binding.position_bits

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        text_BL = text_positions(rows)
        word_BL = unit_starts(rows, text_BL, "word", parameters["within"])
        units = find_units(text_BL, word_BL, binding.max_length)
        opens_BU = gather(segment_starts(rows, text_BL, parameters["within"]), units.first_BU)
        ends = span_ends(units, opens_BU, len(shares))
        length_BU = draw_lengths(words(key, opens_BU.shape[1], LENGTHS)[0], thresholds)
        right_BU = _by_length(ends, length_BU)
        first_BL, second_BL = words(key, text_BL.shape[1], SELECT)
        count_B1 = total(text_BL)
        counted = rows.lengths[:, None] if parameters["count_special"] else count_B1
        mask_BL, last_BL, left_B1 = cover_by_anchors(
            uniform_key(first_BL, bits),
            text_BL,
            units.spread(units.first_BU),
            units.spread(right_BU),
            clip(budget_of(counted, key), None, count_B1),
            bits,
        )
        if parameters["overflow"] == "cut":
            last_BL = cut_to(last_BL, left_B1)
        else:
            last_BL = _whole_words(last_BL, mask_BL, left_B1, units)
        return corrupt(rows, mask_BL | last_BL, word_BL, key, second_BL)

    return apply


def _by_length(ends: list[Array], length_BU: Array) -> Array:
    xp = namespace(length_BU)
    chosen_BU = ends[0]
    for words_, end_BU in enumerate(ends[1:], 2):
        chosen_BU = xp.where(length_BU >= words_, end_BU, chosen_BU)
    return chosen_BU


def _whole_words(last_BL: Array, mask_BL: Array, left_B1: Array, units: Units) -> Array:
    """The words of `last_BL` that fit; its first tokens where a row would else have none."""
    fits_BL = cut_to(last_BL, left_B1)
    whole_BL = last_BL & gather(fits_BL, units.spread(units.last_BU))
    return whole_BL | (fits_BL & (total(mask_BL | whole_BL) == 0))


MASK_SPANS = Operation(
    name="mask_spans", parameters=PARAMETERS, compile=compile_mask_spans, needs=needs
)
