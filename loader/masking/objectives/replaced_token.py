"""Replaced-token detection: the data side of ELECTRA.

Law: Clark et al. (ICLR 2020). ``max(1, round(n * rate))`` of a row's n text tokens, all subsets
equally likely; each becomes [MASK] with probability `mask_share` and stays otherwise. The
generator's samples make the discriminator's inputs, so `discriminator_inputs` belongs into the
training step. Cost: one sort.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from premask._format import IGNORE_LABEL
from premask.masking._backend import Array, constant, int32, lookup, namespace
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip
from premask.masking.objectives._chance import choose, happens, threshold
from premask.masking.objectives._decoder import pad_id, require_mask
from premask.masking.objectives._layout import layout
from premask.masking.threefry import SELECT, words


def compile_replaced_token(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to the generator's task and the discriminator's ingredients, int32 ``[B, L]``.

    ``input_ids`` and ``labels`` are the generator's; ``original_ids`` is the row itself;
    ``masked_positions`` is 1 where the generator fills in; ``discriminator_mask`` is 1 where
    the discriminator decides: on text.

    Raises:
        PolicyError: the tokenizer has no mask token.
    """
    budgets = _budgets(binding.max_length, float(parameters["rate"]))
    limit, bits = threshold(parameters["mask_share"]), binding.position_bits
    mask_id, pad = require_mask(binding.vocabulary), pad_id(binding.vocabulary)

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        xp = namespace(key)
        where = layout(rows)
        select, corrupt = words(key, rows.input_ids.shape[1], SELECT)
        count = clip(where.num_text, 0, len(budgets) - 1)
        chosen = choose(select, where.text, lookup(constant(key, budgets), count), bits)
        original = xp.where(where.inside, rows.input_ids, pad)
        return {
            "input_ids": xp.where(chosen & happens(corrupt, limit), mask_id, original),
            "attention_mask": int32(where.inside),
            "labels": xp.where(chosen, original, IGNORE_LABEL),
            "original_ids": original,
            "masked_positions": int32(chosen),
            "discriminator_mask": int32(where.text),
        }

    return apply


def discriminator_inputs(batch: Mapping[str, Array], samples: Array) -> dict[str, Array]:
    """What the discriminator sees and must say, given the generator's samples.

    Args:
        batch: what this operation returned.
        samples: int32 ``[B, L]``, a token id per position; read at masked positions only.

    Returns:
        ``input_ids`` and ``labels`` int32 ``[B, L]``: 1 replaced, 0 original (also where the
        sample happens to be the original), -100 off text.
    """
    xp = namespace(samples)
    original = batch["original_ids"]
    filled = xp.where(batch["masked_positions"] == 1, samples, original)
    labels = xp.where(batch["discriminator_mask"] == 1, int32(filled != original), IGNORE_LABEL)
    return {
        "input_ids": filled,
        "attention_mask": batch["attention_mask"],
        "labels": labels,
    }


def _budgets(max_length: int, rate: float) -> np.ndarray:
    budgets = [min(n, max(1, round(n * rate))) for n in range(max_length + 1)]
    return np.array(budgets, np.int32)


OPERATION = Operation(
    name="replaced_token",
    parameters={
        "rate": Parameter(
            default=0.15, minimum=0.0, maximum=1.0, help="share of text that is masked"
        ),
        "mask_share": Parameter(
            default=0.85,
            minimum=0.0,
            maximum=1.0,
            help="share of masked tokens that become [MASK]; the others stay visible",
        ),
    },
    compile=compile_replaced_token,
    needs=lambda _: (),
    outputs=(
        "input_ids",
        "attention_mask",
        "labels",
        "original_ids",
        "masked_positions",
        "discriminator_mask",
    ),
)
