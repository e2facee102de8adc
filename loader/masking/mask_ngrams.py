"""The operation ``mask_ngrams``: the n-grams of ALBERT and MacBERT, then C1.

Cost (NumPy, one core): about 5 million tokens per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask.masking._backend import Array, gather, total
from premask.masking._layout import segment_starts, text_positions
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.budget import BUDGET, compile_budget
from premask.masking.cover import cover_by_ngrams, span_ends
from premask.masking.select import FALLBACKS, uniform_key
from premask.masking.span_lengths import PARAMETERS as LENGTHS_PARAMETERS
from premask.masking.span_lengths import draw_lengths, length_shares, length_thresholds
from premask.masking.substitute import PARAMETERS as SUBSTITUTE
from premask.masking.substitute import compile_corruption
from premask.masking.threefry import LENGTHS, SELECT, words
from premask.masking.units import WITHIN, find_units, unit_starts

PARAMETERS: Mapping[str, Parameter] = {
    **BUDGET,
    **LENGTHS_PARAMETERS,
    "within": WITHIN,
    "fallback": Parameter(
        default="whole",
        kind=(str,),
        choices=FALLBACKS,
        help="rows in which no word fits: take the first one whole, cut it, or mask none",
    ),
    **SUBSTITUTE,
}


def needs(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Boundary bits that rows must have for these parameters."""
    return ("sentence_start",) if parameters["within"] == "sentence" else ()


def compile_mask_ngrams(parameters: Mapping[str, Any], binding: Binding) -> Apply:
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
        width = units.first_BU.shape[1]
        opens_BU = gather(segment_starts(rows, text_BL, parameters["within"]), units.first_BU)
        ends = span_ends(units, opens_BU, len(shares))
        size_BU = draw_lengths(words(key, width, LENGTHS)[0], thresholds)
        first_BL, second_BL = words(key, text_BL.shape[1], SELECT)
        key_BU = uniform_key(first_BL[:, :width], bits)
        counted = rows.lengths[:, None] if parameters["count_special"] else total(text_BL)
        budget_B1 = budget_of(counted, key)
        mask_BL = cover_by_ngrams(
            key_BU, size_BU, units, ends, budget_B1, bits, fallback=parameters["fallback"]
        )
        return corrupt(rows, mask_BL, word_BL, key, second_BL)

    return apply


MASK_NGRAMS = Operation(
    name="mask_ngrams", parameters=PARAMETERS, compile=compile_mask_ngrams, needs=needs
)
