"""Flags of a row's places, eight at a time and without a branch: lists, ranks, parities.

A flag is a byte, 0 or 1, so eight of them are a 64-bit number; the first is in its lowest bits
(as on every machine that Numba knows but IBM's Z). Arrays reach a few places beyond what is
asked for, and are written up to the next multiple of eight. Cost: 0.07 ns per flag (0.25 where
one flag is looked at after the other).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from premask._format import Boundary
from premask.kernels._compile import Integer, compiled

_SPECIAL = np.uint8(Boundary.SPECIAL)

# A 1 in each of eight bytes: times it, each byte is the sum of the bytes up to it.
_ONES = np.uint64(0x0101010101010101)
# Times it, the highest byte is made of the eight lowest bits.
_GATHERED = np.uint64(0x0102040810204080)
_HIGHEST = np.uint64(56)


def _list_bits() -> np.ndarray:
    """For each of 256 sets of eight flags, where its flags are 1: a byte each, lowest first."""
    found = [[bit for bit in range(8) if number >> bit & 1] for number in range(256)]
    packed = [sum(bit << 8 * at for at, bit in enumerate(bits)) for bits in found]
    return np.array(packed, np.uint64)


_PLACES = _list_bits()


def _put_eight(_typing: Any, numbers: Any, _at: Any, _packed: Any, _base: Any) -> Any:
    """Eight bytes of `packed`, each plus `base`, become ``numbers[at : at + 8]`` (int32).

    Numba has LLVM make no vectors of statements that stand side by side, so this is in LLVM's
    own terms.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, lanes, start = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        vector = ir.VectorType(ir.IntType(32), 8)
        nothing = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(nothing, start, ir.Constant(ir.IntType(32), 0))
        bases = builder.shuffle_vector(first, nothing, ir.Constant(vector, [0] * 8))
        eight = builder.bitcast(lanes, ir.VectorType(ir.IntType(8), 8))
        found = builder.add(builder.zext(eight, vector), bases)
        where = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
        builder.store(found, where, align=4)
        return context.get_dummy_value()

    return types.none(numbers, types.int64, types.uint64, types.int32), generate


_put: Callable[[np.ndarray, Integer, Integer, Integer], None]
_put = cast(Any, intrinsic)(_put_eight)


@compiled
def has(bits: Integer, which: Integer) -> Integer:
    """1 where `bits` has one of `which`, both bytes, else 0.

    Numba makes 64-bit numbers of bytes that meet; cut at once, they share a vector as bytes.
    """
    return np.uint8(np.uint8(bits & which) != 0)


@compiled
def rounded(count: Integer) -> Integer:
    """`count`, or a little more: loops to there leave no rest to do without vectors."""
    return (count + 31) & -32


@compiled
def pad_bounds(bounds: np.ndarray, padded: np.ndarray) -> None:
    """`padded`: a special, `bounds`, and 64 specials."""
    count = len(bounds)
    padded[0] = _SPECIAL
    for place in range(count):
        padded[np.uint64(place + 1)] = bounds[place]
    for spare in range(64):
        padded[np.uint64(count + 1 + spare)] = _SPECIAL


@compiled
def places_of(flags: np.ndarray, count: Integer, places: np.ndarray) -> Integer:
    """The places (below `count`) of flags that are 1, in order; their number."""
    found, eights, whole = np.int64(0), flags.view(np.uint64), (count + 7) >> 3
    for spare in range((whole << 3) - count):
        flags[np.uint64(count + spare)] = 0
    for eight in range(whole):
        bits = np.uint64(eights[eight] * _GATHERED) >> _HIGHEST
        _put(places, found, _PLACES[bits], np.int32(eight << 3))
        found += np.int64(np.uint64(eights[eight] * _ONES) >> _HIGHEST)
    return found


@compiled
def ranks_of(flags: np.ndarray, count: Integer, ranks: np.ndarray) -> None:
    """How many flags up to each place are 1."""
    found, eights = np.int32(0), flags.view(np.uint64)
    for eight in range((count + 7) >> 3):
        sums = np.uint64(eights[eight] * _ONES)
        _put(ranks, np.int64(eight << 3), sums, found)
        found = np.int32(found + np.int32(sums >> _HIGHEST))


@compiled
def look_up_ranks(
    flags: np.ndarray, count: Integer, table: np.ndarray, found: np.ndarray
) -> None:
    """`found`: what `table` has at the rank of each place (`ranks_of`)."""
    before, eights = np.uint64(0), flags.view(np.uint64)
    for eight in range((count + 7) >> 3):
        sums = np.uint64(eights[eight] * _ONES)
        for lane in range(8):
            inside = np.uint64(sums >> np.uint64(8 * lane)) & np.uint64(255)
            found[np.uint64((eight << 3) + lane)] = table[np.uint64(before + inside)]
        before = np.uint64(before + (sums >> _HIGHEST))


@compiled
def odd_so_far(flags: np.ndarray, count: Integer, odd: Integer) -> None:
    """Flags become 1 where an odd number of those up to there is; `odd`: of those before."""
    eights = flags.view(np.uint64)
    for eight in range((count + 7) >> 3):
        before = np.uint64(odd) * _ONES
        sums = np.uint64(np.uint64(eights[eight] * _ONES) + before) & _ONES
        eights[eight] = sums
        odd = np.int64(sums >> _HIGHEST)
