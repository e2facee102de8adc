"""Permutation language modelling: targets are predicted in a random order of factorisation.

Law: Yang et al. (NeurIPS 2019) as Hugging Face's collator has it. Left to right over a row's
text, a span of 1 to `max_span` tokens, uniformly, lies at a uniform place in a context of
``int(length / rate)`` tokens; the next context follows. Targets are ordered by a uniformly
random permutation of the row. A target is seen by the targets after it in this order alone,
and by no token that is given, special tokens included, so that nothing leaks through them.
Cost: two arrays of L x L per row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask._format import IGNORE_LABEL
from premask.masking._backend import (
    Array,
    constant,
    cumsum,
    gather,
    int32,
    lookup,
    namespace,
    positions,
    total,
)
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip
from premask.masking.objectives._chance import race, uniform
from premask.masking.objectives._decoder import pad_id, require_mask
from premask.masking.objectives._layout import Layout, layout
from premask.masking.threefry import LENGTHS, SELECT, words


def compile_permutation(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids``, ``attention_mask``, ``labels``, ``perm_mask``, ``target_mapping``.

    The last two are int32 ``[B, L, L]``: ``perm_mask[b, i, j]`` is 1 where position i may not
    look at position j; ``target_mapping`` is the identity: a prediction for every position.

    Raises:
        PolicyError: the tokenizer has no mask token.
    """
    contexts = context_lengths(float(parameters["rate"]), int(parameters["max_span"]))
    mask_id, pad = require_mask(binding.vocabulary), pad_id(binding.vocabulary)
    bits = binding.position_bits

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        xp = namespace(key)
        num_rows, length = rows.input_ids.shape
        where = layout(rows)
        target = span_targets(where, key, contexts)
        order = xp.where(target, race(words(key, length, SELECT)[0], target, bits), -1)
        hidden = target[:, None, :] & (order[:, :, None] <= order[:, None, :])
        place = positions(key, length)
        identity = int32(place[:, :, None] == place[:, None, :])
        return {
            "input_ids": xp.where(where.inside, xp.where(target, mask_id, rows.input_ids), pad),
            "attention_mask": int32(where.inside),
            "labels": xp.where(target, rows.input_ids, IGNORE_LABEL),
            "perm_mask": int32(hidden),
            "target_mapping": xp.broadcast_to(identity, (num_rows, length, length)) + 0,
        }

    return apply


def context_lengths(rate: float, max_span: int) -> tuple[int, ...]:
    """The context of a span, by its length minus 1; never shorter than the span."""
    # Hugging Face divides by the float 1/6; the quotient of 6 and its multiples is exact.
    return tuple(max(span, int(span / rate)) for span in range(1, max_span + 1))


def span_targets(where: Layout, key: Array, contexts: tuple[int, ...]) -> Array:
    """The tokens to be predicted; bool ``[B, L]``. Spans are laid over text alone."""
    length = where.text.shape[1]
    num_cycles = -(-length // contexts[0]) + 1
    first, second = words(key, num_cycles, LENGTHS)
    index = uniform(first, len(contexts))
    context = lookup(constant(key, contexts), index)
    begin = cumsum(context) - context
    start = begin + uniform(second, context - index)
    # Every text token counts the contexts that began at or before it.
    begun = total(begin[:, None, :] <= where.rank[:, :, None])[:, :, 0]
    cycle = clip(begun - 1, 0, num_cycles - 1)
    offset = where.rank - gather(start, cycle)
    return where.text & (offset >= 0) & (offset <= gather(index, cycle))


OPERATION = Operation(
    name="permutation",
    parameters={
        "rate": Parameter(
            default=1 / 6, minimum=0.001, maximum=1.0, help="share of text that is predicted"
        ),
        "max_span": Parameter(
            default=5, kind=(int,), minimum=1, maximum=64, help="longest span, in tokens"
        ),
    },
    compile=compile_permutation,
    needs=lambda _: (),
    outputs=("input_ids", "attention_mask", "labels", "perm_mask", "target_mapping"),
)
