"""One contiguous window per block of text, for MASS and ProphetNet.

A segment is cut into blocks of `block` tokens; a block of n tokens hides ``table[n]`` of them,
from a uniformly random start. A window never leaves its block. Cost: two sorts and a few
gathers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from premask.masking._backend import (
    Array,
    constant,
    gather,
    lookup,
    namespace,
    positions,
    shift_right,
)
from premask.masking._operation import Binding, Parameter
from premask.masking._rows import PaddedRows, Vocabulary
from premask.masking.objectives._arrays import clip, compact
from premask.masking.objectives._chance import (
    ordinary_id,
    replacement_ranges,
    threshold,
    uniform,
)
from premask.masking.objectives._decoder import attention, pad_id, require_mask, to_labels
from premask.masking.objectives._layout import Layout, last_start, layout, next_start
from premask.masking.threefry import REPLACE, SELECT, shift_right_logical, words

FRAGMENT_PARAMETERS: Mapping[str, Parameter] = {
    "rate": Parameter(
        default=0.5, minimum=0.0, maximum=1.0, help="share of a block that is hidden"
    ),
    "block": Parameter(
        default=0,
        kind=(int,),
        minimum=0,
        help="tokens per block, one window each; 0: a whole document is one block",
    ),
    "mask_share": Parameter(
        default=0.8, minimum=0.0, maximum=1.0, help="share of hidden tokens that become [MASK]"
    ),
    "random_share": Parameter(
        default=0.1, minimum=0.0, maximum=1.0, help="share that become random tokens"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """A batch whose windows are hidden.

    Attributes:
        arrays: what the model gets.
        targets: int32 ``[B, T]``, the hidden tokens in order.
        count: int32 ``[B, 1]``, their number.
        index: int32 ``[B, T]``, each target's place in its window.
    """

    arrays: dict[str, Array]
    targets: Array
    count: Array
    index: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentLaw:
    """Windows and what stands in their place, compiled from `FRAGMENT_PARAMETERS`."""

    windows: np.ndarray  # hidden tokens by block length, int32 [max_length + 1]
    block: int
    limits: tuple[int, int]
    ranges: tuple[tuple[int, int], ...]
    mask_id: int
    pad: int
    start: int

    def window(self, where: Layout, key: Array) -> tuple[Array, Array]:
        """The hidden tokens, bool ``[B, L]``, and each one's place in its window."""
        begin = last_start(where.segment_start)
        inner = where.rank - gather(where.rank, begin)
        opens = where.text & (inner % self.block == 0)
        begin, length = last_start(opens), where.text.shape[1]
        # A block ends with its segment, which the next special or document ends.
        borders = opens | (where.inside & ~where.text) | (~where.inside)
        size = clip(next_start(borders) - begin, 0, len(self.windows) - 1)
        window = lookup(constant(key, self.windows), size)
        draw = gather(words(key, length, SELECT)[0], begin)
        offset = uniform(draw, clip(size - window + 1, 1, length))
        place = positions(key, length) - begin - offset
        return where.text & (place >= 0) & (place < window), place

    def width(self, length: int) -> int:
        """Most hidden tokens of a row of `length` tokens, however it is cut into blocks."""
        return max(1, int(self.windows[min(length, len(self.windows) - 1)]))

    def __call__(self, rows: PaddedRows, key: Array) -> Fragments:
        """Hides one window per block of `rows`."""
        xp = namespace(key)
        ids, length = rows.input_ids, rows.input_ids.shape[1]
        where = layout(rows)
        hidden, place = self.window(where, key)
        choice, spare = words(key, length, REPLACE)
        choice = shift_right_logical(choice, 1)
        masked, changed = self.limits
        shown = xp.where(hidden & (choice <= masked), self.mask_id, ids)
        if self.ranges:
            change = hidden & (choice > masked) & (choice <= changed)
            shown = xp.where(change, ordinary_id(spare, self.ranges), shown)
        width = self.width(length)

        def out(x: Array, fill: int) -> Array:
            return compact(x, hidden, width=width, fill=fill)[0]

        targets, count = compact(ids, hidden, width=width, fill=self.pad)
        arrays = {
            "input_ids": xp.where(where.inside, shown, self.pad),
            "attention_mask": attention(where.lengths, length),
            "labels": to_labels(targets, count),
            "decoder_input_ids": out(shift_right(ids, 1, self.start), self.pad),
            "decoder_attention_mask": attention(count, width),
            "decoder_position_ids": out(positions(ids, length) + ids * 0, 0),
        }
        return Fragments(arrays=arrays, targets=targets, count=count, index=out(place, 0))


def compile_fragments(parameters: Mapping[str, Any], binding: Binding) -> FragmentLaw:
    """The law that `parameters` describe.

    Raises:
        PolicyError: the tokenizer has no mask token, or no ordinary ids to draw from.
    """
    vocabulary, longest = binding.vocabulary, binding.max_length
    block = parameters["block"] or longest + 1
    # Decimal, so that windows of several blocks never sum to more than one block's window.
    rate = Fraction(str(parameters["rate"]))
    masked, changed = float(parameters["mask_share"]), float(parameters["random_share"])
    return FragmentLaw(
        windows=np.array([int(n * rate) for n in range(longest + 1)], np.int32),
        block=block,
        limits=(threshold(masked), threshold(masked + changed)),
        ranges=replacement_ranges(vocabulary, "policy.random_share") if changed > 0 else (),
        mask_id=require_mask(vocabulary),
        pad=pad_id(vocabulary),
        start=_start_id(vocabulary),
    )


def _start_id(vocabulary: Vocabulary) -> int:
    for candidate in (vocabulary.bos_id, vocabulary.cls_id, vocabulary.pad_id):
        if candidate is not None:
            return candidate
    return 0
