"""Moving values inside rows without scatter: compaction, inverse permutations, running maxima.

Every function is int32, batch-vectorised and equal on NumPy, torch and JAX. Columns of counts
are ``[B, 1]``. Cost: a compaction is one sort and one gather.
"""

from __future__ import annotations

import sys

import numpy as np
from premask.masking._backend import (
    Array,
    concat,
    full,
    gather,
    is_jax,
    is_torch,
    namespace,
    positions,
    shift_right,
    sort,
    total,
)


def running_max(x: Array) -> Array:
    """Inclusive maximum of each row's prefix, int32 ``[B, L]``."""
    xp = namespace(x)
    if is_torch(xp):
        return xp.cummax(x, dim=-1).values
    if is_jax(xp):
        return sys.modules["jax"].lax.cummax(x, axis=x.ndim - 1)
    return np.maximum.accumulate(x, axis=-1)


def clip(x: Array, low: int, high: int) -> Array:
    """`x` limited to ``[low, high]``; the upper limit wins where they cross."""
    xp = namespace(x)
    x = xp.where(x < low, low, x)
    return xp.where(x > high, high, x)


def smaller(x: Array, y: Array) -> Array:
    """The smaller of two arrays, element by element."""
    return namespace(x).where(x < y, x, y)


def run_starts(mask: Array) -> Array:
    """First position of every run of True, bool ``[B, L]``."""
    return mask & ~shift_right(mask, 1, False)


def order_kept_first(keep: Array) -> Array:
    """Column numbers, kept ones first, each group in order: a permutation int32 ``[B, L]``."""
    xp = namespace(keep)
    length = keep.shape[1]
    place = positions(keep, length)
    order = sort(xp.where(keep, place, place + length))
    return xp.where(order < length, order, order - length)


def fit(x: Array, width: int, fill: int) -> Array:
    """`x` cut or filled on the right to `width` columns."""
    num_rows, length = x.shape
    if width <= length:
        return x[:, :width]
    return concat([x, full(x, (num_rows, width - length), fill)])


def compact(x: Array, keep: Array, *, width: int, fill: int) -> tuple[Array, Array]:
    """The kept values moved to the left, in order.

    Returns:
        int32 ``[B, width]``, filled with `fill`, and their number int32 ``[B, 1]``, at most
        `width`: what does not fit is cut.
    """
    xp = namespace(x)
    count = clip(total(keep), 0, width)
    order = fit(order_kept_first(keep), width, 0)
    return xp.where(positions(x, width) < count, gather(x, order), fill), count


def append(x: Array, count: Array, value: int, *, where: Array) -> tuple[Array, Array]:
    """`value` behind the first `count` columns of the rows `where` (bool ``[B, 1]``) says so.

    A full row gets it in its last column, so that a cut row ends as a whole one does.
    """
    xp = namespace(x)
    width = x.shape[1]
    at = clip(count, 0, width - 1)
    x = xp.where((positions(x, width) == at) & where, value, x)
    return x, xp.where(where, at + 1, count)


def pack(high: Array, low: Array, size: int) -> Array:
    """One sortable int32 of two numbers below `size`, which is at most 65536."""
    bits = _bits(size)
    if 2 * bits > 31:
        high = high - (1 << (bits - 1))  # borrow the sign bit: 2 * 16 bits fit exactly
    return (high << bits) | low


def unpack_low(packed: Array, size: int) -> Array:
    """The lower of the two numbers that `pack` joined."""
    return packed & ((1 << _bits(size)) - 1)


def inverse(permutation: Array) -> Array:
    """The inverse of each row's permutation of ``0 .. L-1``, int32 ``[B, L]``."""
    size = permutation.shape[1]
    return unpack_low(sort(pack(permutation, positions(permutation, size), size)), size)


def _bits(size: int) -> int:
    return max(1, (size - 1).bit_length())
