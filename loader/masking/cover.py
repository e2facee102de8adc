"""S3: races over overlapping candidates, where an accepted span rules out later ones.

Both rules go through the candidates of all rows at once, one place of the random order per
step, until every row has its budget. A step costs a few operations on bool ``[B, L]``; their
number is that of the candidates which the slowest row looks at (about 40 for 77 of 512
tokens). Under ``jax.jit`` the loop is a `lax.while_loop`.

Arrays: ``BL`` per position, ``BU`` per word, ``B1`` per row; ends are inclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

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
    key_BL: Array, text_BL: Array, left_BL: Array, right_BL: Array, budget_B1: Array, bits: int
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
    anchor_BL = _race_order(key_BL, text_BL, bits)
    spans = anchor_BL, gather(left_BL, anchor_BL), gather(right_BL, anchor_BL)
    none_BL = text_BL & False
    mask_BL, last_BL, left_B1, _, _ = while_loop(
        lambda state: xp.any(state[3]) & (state[4] < length),
        partial(_try_anchor, spans),
        (none_BL, none_BL, budget_B1, budget_B1 > 0, 0),
    )
    return mask_BL, last_BL, left_B1


def _race_order(key: Array, runs: Array, bits: int) -> Array:
    """Places of those that run, in the order of their keys; what follows is not to be read."""
    place = positions(key, key.shape[1])
    order = sort(namespace(key).where(runs, (key << bits) | place, INT32_MAX))
    return clip(order & ((1 << bits) - 1), None, key.shape[1] - 1)


def _try_anchor(spans: tuple[Array, ...], state: tuple[Array, ...]) -> tuple[Array, ...]:
    """One step for every row that is open: its next anchor's span, unless that is covered."""
    mask_BL, last_BL, left_B1, open_B1, index = state
    anchor_B1, first_B1, end_B1 = (column(array, index) for array in spans)
    place = positions(mask_BL, mask_BL.shape[1])
    tried_B1 = open_B1 & ~gather(mask_BL, anchor_B1)
    new_BL = (place >= first_B1) & (place <= end_B1) & ~mask_BL & tried_B1
    size_B1 = total(new_BL)
    over_B1 = size_B1 > left_B1
    left_B1 = left_B1 - namespace(left_B1).where(over_B1, 0, size_B1)
    return (
        mask_BL | (new_BL & ~over_B1),
        last_BL | (new_BL & over_B1),
        left_B1,
        open_B1 & ~over_B1 & (left_B1 > 0),
        index + 1,
    )


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

    One that nothing is left for, or that touches a selected token, is passed over.

    Args:
        key_BU: int32 below ``2**(31 - bits)``, the order of the words.
        size_BU: int32, how many words the n-gram of each should have.
        units, ends: the words, and `span_ends` of 1, 2, ... of them.
        budget_B1: int32.
        fallback: what becomes of a row in which no word fits, see `select.FALLBACKS`.

    Returns bool ``[B, L]``.
    """
    xp, width = namespace(key_BU), key_BU.shape[1]
    order_BU = _race_order(key_BU, units.present_BU, bits)
    grams = [gather(array, order_BU) for array in (size_BU, units.first_BU, *ends)]
    count_B1 = total(units.present_BU)
    mask_BL, _, _ = while_loop(
        lambda state: xp.any((state[1] > 0) & (state[2] < count_B1)) & (state[2] < width),
        partial(_try_ngram, grams, count_B1),
        (units.member_BL & False, budget_B1, 0),
    )
    if fallback == "none":
        return mask_BL
    empty_B1 = (total(mask_BL) == 0) & (budget_B1 > 0) & (count_B1 > 0)
    first_B1, last_B1 = grams[1][:, :1], grams[2][:, :1]
    if fallback == "cut":
        last_B1 = clip(last_B1, None, first_B1 + budget_B1 - 1)
    place = positions(mask_BL, mask_BL.shape[1])
    return mask_BL | ((place >= first_B1) & (place <= last_B1) & empty_B1)


def _try_ngram(
    grams: Sequence[Array], count_B1: Array, state: tuple[Array, ...]
) -> tuple[Array, ...]:
    """One step: the n-gram of every row's next word, as long as fits what is left."""
    mask_BL, left_B1, index = state
    xp, place = namespace(left_B1), positions(mask_BL, mask_BL.shape[1])
    words_B1, first_B1, *ends = (column(array, index) for array in grams)
    size_B1 = left_B1 * 0
    for words, end_B1 in enumerate(ends, 1):
        tokens_B1 = end_B1 - first_B1 + 1
        fits_B1 = (words <= words_B1) & (tokens_B1 <= left_B1)
        size_B1 = xp.where(fits_B1, tokens_B1, size_B1)
    gram_BL = (place >= first_B1) & (place < first_B1 + size_B1)
    free_B1 = (total(gram_BL & mask_BL) == 0) & (index < count_B1)
    return mask_BL | (gram_BL & free_B1), left_B1 - xp.where(free_B1, size_B1, 0), index + 1


def cut_to(tokens_BL: Array, budget_B1: Array) -> Array:
    """bool ``[B, L]``: the first `budget_B1` of the flagged tokens."""
    return tokens_BL & (cumsum(tokens_BL) <= budget_B1)
