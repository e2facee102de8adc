"""Pairs of sequences: translation, summarisation, any source with its target.

A row holds both, source first; the track ``segment`` is 0 on the source's tokens and 1 on the
target's, the specials of each included. Nothing is random. Cost: two compactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask._errors import PolicyError
from premask.masking._backend import Array
from premask.masking._operation import Apply, Binding, Operation
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import compact
from premask.masking.objectives._decoder import (
    DECODER_PARAMETERS,
    LENGTH_PARAMETERS,
    attention,
    compile_decoder,
    pad_id,
)
from premask.masking.objectives._layout import layout

TRACK = "segment"


def compile_seq2seq(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids`` and ``attention_mask`` (the source) and ``labels`` (the target).

    Both are int32 ``[B, L]``, or as wide as asked; what does not fit is cut. A row without a
    target has no label, a row without a source no attention.

    Raises:
        PolicyError: rows have no track ``segment`` (when they are met).
    """
    pad, finish = pad_id(binding.vocabulary), compile_decoder(parameters, binding)
    input_length, target_length = parameters["input_length"], parameters["target_length"]

    def apply(rows: PaddedRows, _key: Array) -> dict[str, Array]:
        track = require_track(rows, TRACK, "write rows of source and target pairs")
        length, inside = rows.input_ids.shape[1], layout(rows).inside
        source, target = inside & (track == 0), inside & (track != 0)
        width = input_length or length
        inputs, count = compact(rows.input_ids, source, width=width, fill=pad)
        width = target_length or length
        targets, num_targets = compact(rows.input_ids, target, width=width, fill=pad)
        return {
            "input_ids": inputs,
            "attention_mask": attention(count, inputs.shape[1]),
            **finish(targets, num_targets),
        }

    return apply


def require_track(rows: PaddedRows, name: str, remedy: str) -> Array:
    """The track `name` of `rows`, int32 ``[B, L]``.

    Raises:
        PolicyError: the rows lack it.
    """
    if name not in rows.tracks:
        raise PolicyError(
            f"the rows have no track {name}, only {sorted(rows.tracks) or 'none'}; {remedy}",
            location="policy",
        )
    return rows.tracks[name]


OPERATION = Operation(
    name="seq2seq",
    parameters={**LENGTH_PARAMETERS, **DECODER_PARAMETERS},
    compile=compile_seq2seq,
    needs=lambda _: (TRACK,),
)
