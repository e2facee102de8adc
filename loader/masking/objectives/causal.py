"""Next-token prediction: labels are the row itself.

Labels are unshifted, as Hugging Face models take them (these shift inside). Every token of a
row is a label, its closing EOS too: padding is told by the row's length, so EOS is learned even
where the tokenizer pads with it. Cost: nothing but copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask._format import IGNORE_LABEL, Boundary
from premask.masking._backend import Array, cumsum, int32, namespace, positions
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._decoder import pad_id
from premask.masking.objectives._layout import Layout, has, last_start, layout


def compile_clm(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids``, ``attention_mask`` and ``labels``, all int32 ``[B, L]``.

    With `reset_positions` also ``position_ids``, which start at 0 in every document, and
    ``document_ids``, which count a row's documents from 1; both are 0 on padding.
    """
    pad = pad_id(binding.vocabulary)
    mask_first, reset = parameters["mask_first"], parameters["reset_positions"]

    def apply(rows: PaddedRows, _key: Array) -> dict[str, Array]:
        where = namespace(rows.input_ids).where
        geometry = layout(rows)
        inside, starts = geometry.inside, document_starts(rows, geometry)
        labelled = inside & ~starts if mask_first else inside
        result = {
            "input_ids": where(inside, rows.input_ids, pad),
            "attention_mask": int32(inside),
            "labels": where(labelled, rows.input_ids, IGNORE_LABEL),
        }
        if reset:
            place = positions(rows.input_ids, rows.input_ids.shape[1])
            result["position_ids"] = where(inside, place - last_start(starts), 0)
            result["document_ids"] = where(inside, cumsum(starts), 0)
        return result

    return apply


def document_starts(rows: PaddedRows, geometry: Layout) -> Array:
    """The first token of every document of a row; bool ``[B, L]``.

    Specials at the head of a row belong to its first document.
    """
    first = positions(rows.input_ids, rows.input_ids.shape[1]) == 0
    later = has(rows, Boundary.DOCUMENT_START) & (geometry.rank > 0)
    return (first | later) & geometry.inside


OPERATION = Operation(
    name="clm",
    parameters={
        "mask_first": Parameter(
            default=False,
            kind=(bool,),
            help="no label at a document's first token: nothing before it can tell it",
        ),
        "reset_positions": Parameter(
            default=False,
            kind=(bool,),
            help="also return position_ids that restart in every document, and document_ids",
        ),
    },
    compile=compile_clm,
    needs=lambda _: (),  # every row has its documents marked
)
