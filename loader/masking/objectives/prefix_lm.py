"""Prefix language modelling: a row is cut in two, its end is predicted from its beginning.

Law: T5's ``random_prefix_noise_mask`` (Raffel et al., JMLR 2020): the prefix of a row of n text
tokens has ``min .. n-1`` of them, uniformly, with ``min = max(1, round((1 - 2 rate)(n - 1)))``,
so that a share `rate` is predicted on average. The first text token is always given, the last
one always predicted. A row with a single text token has only its specials to predict. Cost: two
compactions, or none for a decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from premask._format import IGNORE_LABEL
from premask.masking._backend import (
    Array,
    constant,
    int32,
    lookup,
    namespace,
    positions,
    total,
)
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip
from premask.masking.objectives._chance import uniform
from premask.masking.objectives._decoder import (
    DECODER_PARAMETERS,
    LENGTH_PARAMETERS,
    attention,
    closes_rows,
    compile_decoder,
    end_id,
    gather_side,
    pad_id,
)
from premask.masking.objectives._layout import Layout, layout
from premask.masking.threefry import ROW, words


def compile_prefix_lm(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to a prefix and its continuation, for an encoder-decoder or for a decoder alone.

    ``encoder_decoder``: ``input_ids`` and ``attention_mask`` hold the prefix, ``labels`` the
    rest. ``decoder``: ``input_ids`` hold the row, ``labels`` the rest in its place, and
    ``prefix_mask`` is 1 where attention may look both ways; all int32.
    """
    shortest = shortest_prefixes(binding.max_length, float(parameters["rate"]))
    if parameters["form"] == "decoder":
        return _decoder_only(shortest, pad_id(binding.vocabulary))
    return _encoder_decoder(parameters, binding, shortest)


def shortest_prefixes(max_length: int, rate: float) -> np.ndarray:
    """The shortest prefix of rows with ``0 .. max_length`` text tokens; int32."""
    lengths = range(max_length + 1)
    return np.array([max(1, round((1 - 2 * rate) * (n - 1))) for n in lengths], np.int32)


def _in_prefix(where: Layout, key: Array, shortest: np.ndarray) -> Array:
    """Every token before the first predicted text token; bool ``[B, L]``."""
    count = clip(where.num_text, 0, len(shortest) - 1)
    least = lookup(constant(key, shortest), count)
    choices = clip(where.num_text - least, 1, len(shortest))
    prefix = least + uniform(words(key, 1, ROW)[0], choices)
    # Trailing specials are predicted too, even where there is no text to predict.
    place = positions(key, where.text.shape[1])
    return where.inside & (where.rank < prefix) & (place < where.end)


def _decoder_only(shortest: np.ndarray, pad: int) -> Apply:
    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        xp = namespace(key)
        where = layout(rows)
        prefix = _in_prefix(where, key, shortest)
        return {
            "input_ids": xp.where(where.inside, rows.input_ids, pad),
            "attention_mask": int32(where.inside),
            "labels": xp.where(where.inside & ~prefix, rows.input_ids, IGNORE_LABEL),
            "prefix_mask": int32(prefix),
        }

    return apply


def _encoder_decoder(
    parameters: Mapping[str, Any], binding: Binding, shortest: np.ndarray
) -> Apply:
    vocabulary, finish = binding.vocabulary, compile_decoder(parameters, binding)
    pad, end = pad_id(vocabulary), end_id(vocabulary)

    closes = closes_rows(vocabulary)
    input_length, target_length = parameters["input_length"], parameters["target_length"]

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        where = layout(rows)
        prefix = _in_prefix(where, key, shortest)
        width = rows.input_ids.shape[1] + closes
        inputs, count = gather_side(
            rows.input_ids,
            prefix,
            width=input_length or width,
            pad=pad,
            end=end,
            ends=(total(prefix) < where.lengths) | closes,
        )
        targets, num_targets = gather_side(
            rows.input_ids,
            where.inside & ~prefix,
            width=target_length or width,
            pad=pad,
            end=end,
            ends=where.open_end & closes,
        )
        return {
            "input_ids": inputs,
            "attention_mask": attention(count, inputs.shape[1]),
            **finish(targets, num_targets),
        }

    return apply


OPERATION = Operation(
    name="prefix_lm",
    parameters={
        "rate": Parameter(
            default=0.5, minimum=0.0, maximum=0.5, help="share of text predicted on average"
        ),
        "form": Parameter(
            default="encoder_decoder",
            kind=(str,),
            choices=("encoder_decoder", "decoder"),
            help="prefix to the encoder, rest to the decoder; or one row for a decoder with a "
            "prefix_mask",
        ),
        **LENGTH_PARAMETERS,
        **DECODER_PARAMETERS,
    },
    compile=compile_prefix_lm,
    needs=lambda _: (),
)
