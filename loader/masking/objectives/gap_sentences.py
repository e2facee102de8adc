"""PEGASUS: whole sentences are hidden, the decoder writes them.

Law: Zhang et al. (ICML 2020). Of n sentences ``k = min(max(int(n * ratio), 1), n)`` are taken:
those that rank first by ROUGE (stored when rows were written, see `rouge`), the first ones, or
a uniformly random subset. A taken sentence becomes one mask token with probability
`mask_share`, and stays visible otherwise; the targets are all taken sentences, in row order.
A row without text has EOS alone as its target. Cost: three sorts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from premask.masking._backend import (
    INT32_MAX,
    Array,
    constant,
    gather,
    lookup,
    namespace,
    positions,
    total,
)
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip
from premask.masking.objectives._chance import first_by_key, happens, race, threshold
from premask.masking.objectives._decoder import (
    DECODER_PARAMETERS,
    LENGTH_PARAMETERS,
    attention,
    closes_rows,
    compile_decoder,
    end_id,
    gather_side,
    pad_id,
    require_mask,
)
from premask.masking.objectives._layout import last_start, layout
from premask.masking.objectives._sentences import sentence_starts
from premask.masking.objectives.pairs import require_track
from premask.masking.threefry import ROW, SELECT, shift_right_logical, words

TRACK = "sentence_ranks"
_WORST_RANK = 256
_RATIO_BITS = 14  # times 65536 sentences, a ratio in units of 2**-14 stays below 2**31


def gap_counts(max_sentences: int, ratio: float) -> np.ndarray:
    """How many of ``0 .. max_sentences`` sentences are taken; int32."""
    counts = [min(max(int(n * ratio), 1), n) for n in range(max_sentences + 1)]
    return np.array(counts, np.int32)


def compile_gap_sentences(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids``, ``attention_mask`` and ``labels``; int32, L columns or as asked.

    Raises:
        PolicyError: the tokenizer has no mask token, or rows have no ranks (when met).
    """
    vocabulary, finish = binding.vocabulary, compile_decoder(parameters, binding)
    mask_id, closes = require_mask(vocabulary), closes_rows(vocabulary)
    limit = threshold(parameters["mask_share"])
    take = _compile_selection(parameters, binding)

    def side(name: str, ids: Array, keep: Array, ends: Array) -> tuple[Array, Array]:
        return gather_side(
            ids,
            keep,
            width=parameters[name] or ids.shape[1] + closes,
            pad=pad_id(vocabulary),
            end=end_id(vocabulary),
            ends=ends,
        )

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        where = layout(rows)
        starts = sentence_starts(rows, where)
        select, corrupt = words(key, rows.input_ids.shape[1], SELECT)
        opens, begin = take(rows, starts, select, key), last_start(starts)
        taken = where.text & gather(opens, begin)
        masked = taken & gather(happens(corrupt, limit), begin)
        shown = namespace(key).where(masked, mask_id, rows.input_ids)
        keep = where.inside & (~masked | starts)
        inputs, count = side("input_length", shown, keep, where.open_end & closes)
        # A template leaves room for the target's end: the row's own.
        ends = ~where.open_end | closes
        targets, num_targets = side("target_length", rows.input_ids, taken, ends)
        return {
            "input_ids": inputs,
            "attention_mask": attention(count, inputs.shape[1]),
            **finish(targets, num_targets),
        }

    return apply


def _compile_selection(parameters: Mapping[str, Any], binding: Binding) -> Any:
    """(rows, sentence starts, words, key) to the starts of the taken sentences."""
    selection, bits = parameters["selection"], binding.position_bits
    ratio, lowest = float(parameters["ratio"]), float(parameters["lowest_ratio"])
    counts = gap_counts(binding.max_length, ratio)

    def number(starts: Array, key: Array) -> Array:
        num_sentences = clip(total(starts), 0, len(counts) - 1)
        if lowest >= 1.0:
            return lookup(constant(key, counts), num_sentences)
        unit, low = round(ratio * 2**_RATIO_BITS), round(lowest * ratio * 2**_RATIO_BITS)
        drawn = low + shift_right_logical(words(key, 1, ROW)[0], 1) % max(1, unit - low)
        k = clip((num_sentences * drawn) >> _RATIO_BITS, 1, INT32_MAX)
        return namespace(key).where(k > num_sentences, num_sentences, k)

    def take(rows: PaddedRows, starts: Array, select: Array, key: Array) -> Array:
        xp = namespace(key)
        place = positions(key, starts.shape[1])
        keys = race(select, starts, bits)
        if selection == "lead":
            keys = xp.where(starts, place, INT32_MAX)
        elif selection == "rank":
            track = require_track(
                rows, TRACK, "build the shards with sentence ranks, or set selection: random"
            )
            ranked = xp.where(track > 0, track, _WORST_RANK)
            keys = xp.where(starts, (ranked << bits) | place, INT32_MAX)
        return first_by_key(keys, starts, number(starts, key))

    return take


OPERATION = Operation(
    name="gap_sentences",
    parameters={
        "ratio": Parameter(
            default=0.3, minimum=0.0, maximum=1.0, help="share of sentences that are taken"
        ),
        "lowest_ratio": Parameter(
            default=1.0,
            minimum=0.0,
            maximum=1.0,
            help="below 1: every row draws its ratio uniformly from this share of it upwards",
        ),
        "selection": Parameter(
            default="rank",
            kind=(str,),
            choices=("rank", "random", "lead"),
            help="which sentences: the best by stored rank, random ones, or the first",
        ),
        "mask_share": Parameter(
            default=0.9,
            minimum=0.0,
            maximum=1.0,
            help="share of taken sentences that are masked; the others stay visible",
        ),
        **LENGTH_PARAMETERS,
        **DECODER_PARAMETERS,
    },
    compile=compile_gap_sentences,
    needs=lambda parameters: (
        ("sentence_start", TRACK) if parameters["selection"] == "rank" else ("sentence_start",)
    ),
)
