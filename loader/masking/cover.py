"""S3: races over overlapping candidates, where an accepted span rules out later ones.

Both rules go through the candidates of all rows at once, one place of the random order per
step, until every row has its budget. A step costs a few operations on bool ``[B, L]``; their
number is that of the candidates which the slowest row looks at (about 40 for 77 of 512
tokens). Under ``jax.jit`` the loop is a `lax.while_loop`.

Arrays: ``BL`` per position, ``BU`` per word, ``B1`` per row; ends are inclusive.
"""

from __future__ import annotations

from collections.abc import Sequence

from premask.masking._backend import (
    INT32_MAX,
    Array,
    clip,
    column,
    cumsum,
    gather,
    namespace,
    positions,
    shift_left,
    sort,
    total,
    while_loop,
)
from premask.masking.units import Units


def span_ends(units: Units, opens_segment_BU: Array, longest: int) -> list[Array]:
    """For 1 to `longest` words: the last position of the span that begins with each word.

    A span ends with its segment, however many words are asked for.

    Args:
        units: the words.
        opens_segment_BU: bool, the word is the first of its segment.
        longest: in words.

    Returns:
        int32 ``[B, U]`` each.
    """
    xp = namespace(units.first_BU)
    goes_on_BU = units.present_BU & ~opens_segment_BU
    ends, alive_BU = [units.last_BU], units.present_BU
    for distance in range(1, longest):
        alive_BU = alive_BU & shift_left(goes_on_BU, distance, False)
        ends.append(xp.where(alive_BU, shift_left(units.last_BU, distance, 0), ends[-1]))
    return ends


def cover_by_anchors(
    key_BL: Array,
    text_BL: Array,
    left_BL: Array,
    right_BL: Array,
    budget_B1: Array,
    bits: int,
) -> tuple[Array, Array, Array]:
    """SpanBERT's rule: anchors in random order; a covered one is passed over.

    Drawing anchors uniformly and rejecting covered ones is the same as going through a random
    permutation of the tokens, as any token drawn twice is covered the second time.

    Args:
        key_BL: int32 below ``2**(31 - bits)``, the order of the anchors.
        text_BL: bool, the anchors.
        left_BL, right_BL: int32, the span of each anchor, first and last position.
        budget_B1: int32, at most the number of anchors.

    Returns:
        The tokens of the spans that fit (bool ``[B, L]``), those of the first that does not
        (bool ``[B, L]``, disjoint from them), and what of the budget is left (``[B, 1]``).
    """
    xp = namespace(key_BL)
    length = key_BL.shape[1]
    place = positions(key_BL, length)
    order_BL = sort(xp.where(text_BL, (key_BL << bits) | place, INT32_MAX))
    # Places behind a row's last anchor decode to nothing; a row is done before it gets there.
    anchor_BL = clip(order_BL & ((1 << bits) - 1), None, length - 1)
    left_BL, right_BL = gather(left_BL, anchor_BL), gather(right_BL, anchor_BL)

    def unfinished(state: tuple[Array, ...]) -> Array:
        return xp.any(state[2]) & (state[3] < length)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        mask_BL, last_BL, open_B1, index, left_B1 = state
        within_BL = (place >= column(left_BL, index)) & (place <= column(right_BL, index))
        free_B1 = ~gather(mask_BL, column(anchor_BL, index))
        new_BL = within_BL & ~mask_BL & (free_B1 & open_B1)
        size_B1 = total(new_BL)
        over_B1 = size_B1 > left_B1
        last_BL = last_BL | (new_BL & over_B1)
        mask_BL = mask_BL | (new_BL & ~over_B1)
        left_B1 = left_B1 - xp.where(over_B1, 0, size_B1)
        open_B1 = open_B1 & ~over_B1 & (left_B1 > 0)
        return mask_BL, last_BL, open_B1, index + 1, left_B1

    none_BL = text_BL & False
    start = (none_BL, none_BL, budget_B1 > 0, 0, budget_B1)
    mask_BL, last_BL, _, _, left_B1 = while_loop(unfinished, step, start)
    return mask_BL, last_BL, left_B1


def cover_by_ngrams(
    key_BU: Array,
    size_BU: Array,
    units: Units,
    ends: Sequence[Array],
    budget_B1: Array,
    bits: int,
    *,
    fallback: str,
) -> Array:
    """ALBERT's rule: words in random order; each opens an n-gram, shrunk until it fits.

    An n-gram that no budget is left for, or that touches a selected token, is passed over.

    Args:
        key_BU: int32 below ``2**(31 - bits)``, the order of the words.
        size_BU: int32, how many words the n-gram of each should have.
        units: the words.
        ends: from `span_ends`, for 1, 2, ... words.
        budget_B1: int32.
        fallback: what becomes of a row in which no word fits, see `select.FALLBACKS`.

    Returns:
        bool ``[B, L]``.
    """
    xp = namespace(key_BU)
    width, length = key_BU.shape[1], units.member_BL.shape[1]
    place = positions(key_BU, length)
    packed = (key_BU << bits) | positions(key_BU, width)
    order_BU = sort(xp.where(units.present_BU, packed, INT32_MAX))
    order_BU = clip(order_BU & ((1 << bits) - 1), None, width - 1)
    count_B1 = total(units.present_BU)
    first_BU, size_BU = gather(units.first_BU, order_BU), gather(size_BU, order_BU)
    ends = [gather(end_BU, order_BU) for end_BU in ends]

    def unfinished(state: tuple[Array, ...]) -> Array:
        _, left_B1, index = state
        return xp.any((left_B1 > 0) & (index < count_B1)) & (index < width)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        mask_BL, left_B1, index = state
        first_B1, words_B1 = column(first_BU, index), column(size_BU, index)
        size_B1 = left_B1 * 0
        for words, end_BU in enumerate(ends, 1):
            tokens_B1 = column(end_BU, index) - first_B1 + 1
            fits_B1 = (words <= words_B1) & (tokens_B1 <= left_B1)
            size_B1 = xp.where(fits_B1, tokens_B1, size_B1)
        gram_BL = (place >= first_B1) & (place < first_B1 + size_B1)
        free_B1 = (total(gram_BL & mask_BL) == 0) & (index < count_B1)
        return (
            mask_BL | (gram_BL & free_B1),
            left_B1 - xp.where(free_B1, size_B1, 0),
            index + 1,
        )

    start = (units.member_BL & False, budget_B1, 0)
    mask_BL = while_loop(unfinished, step, start)[0]
    if fallback == "none":
        return mask_BL
    empty_B1 = (total(mask_BL) == 0) & (budget_B1 > 0) & (count_B1 > 0)
    last_B1 = ends[0][:, :1]
    if fallback == "cut":
        last_B1 = clip(last_B1, None, first_BU[:, :1] + budget_B1 - 1)
    return mask_BL | ((place >= first_BU[:, :1]) & (place <= last_B1) & empty_B1)


def cut_to(tokens_BL: Array, budget_B1: Array) -> Array:
    """bool ``[B, L]``: the first `budget_B1` of the flagged tokens."""
    return tokens_BL & (cumsum(tokens_BL) <= budget_B1)
