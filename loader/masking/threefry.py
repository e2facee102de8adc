"""Threefry-2x32-20 on two's-complement int32, and the key tree of every mask.

Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011),
and its Random123 reference implementation, whose published vectors pass on every backend. The
block function equals `jax.random`'s own, so a stock JAX can derive any key again.

The key tree, each step one block::

    row key   = the row's 64-bit seed                     (high word, low word)
    mask key  = threefry(row key,  (policy word, epoch))
    words     = threefry(mask key, (position in the row, stream))

Addition, exclusive or and rotation only. No generator, no state: a word depends on nothing but
its five coordinates, whatever the batch, the device, the worker or the rank.
Cost: 66 array operations for two words per position; NumPy runs the same in place on uint32,
in half the time (the test of this module holds the two equal).
"""

from __future__ import annotations

from typing import cast

import numpy as np
from premask.masking._backend import Array, full, int32, namespace, positions

_PARITY = 0x1BD11BDA
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_ROUNDS = 20

# Streams: one per purpose, so that no two draws of a row share a word.
SELECT, SECOND, LENGTHS, ROW, REPLACE = 0, 1, 2, 3, 4


def signed(word: int) -> int:
    """The int32 with the bits of an unsigned 32-bit `word`."""
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >> 31 else word


def shift_right_logical(x: Array, bits: int) -> Array:
    """`x` shifted right by `bits`, zeros moved in (int32 shifts are arithmetic)."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)


def _rotate_left(x: Array, bits: int) -> Array:
    return (x << bits) | shift_right_logical(x, bits=32 - bits)


def threefry2x32(key: tuple[Array, Array], counter: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two pseudo-random words for each (key, counter) pair.

    All four arrays are int32, of at least one dimension, and broadcast against each other.
    """
    if namespace(key[0]) is np:
        return _threefry2x32_numpy(key, counter)
    return threefry2x32_portable(key, counter)


def threefry2x32_portable(
    key: tuple[Array, Array], counter: tuple[Array, Array]
) -> tuple[Array, Array]:
    """`threefry2x32` in operations that every backend has."""
    parity = key[0] ^ key[1] ^ signed(_PARITY)
    schedule = (key[0], key[1], parity)
    x, y = counter[0] + schedule[0], counter[1] + schedule[1]
    for round_ in range(_ROUNDS):
        x = x + y
        y = _rotate_left(y, _ROTATIONS[round_ % 8]) ^ x
        if round_ % 4 == 3:
            injection = round_ // 4 + 1
            x = x + schedule[injection % 3]
            y = y + (schedule[(injection + 1) % 3] + injection)
    return x, y


def _threefry2x32_numpy(
    key: tuple[Array, Array], counter: tuple[Array, Array]
) -> tuple[Array, Array]:
    shape = np.broadcast_shapes(*(np.shape(array) for array in (*key, *counter)))
    high, low = (cast(np.ndarray, half).view(np.uint32) for half in key)
    schedule = (high, low, high ^ low ^ np.uint32(_PARITY))
    x, y, spare = (np.empty(shape, np.uint32) for _ in range(3))
    np.add(counter[0].view(np.uint32), high, out=x)
    np.add(counter[1].view(np.uint32), low, out=y)
    for round_ in range(_ROUNDS):
        bits = _ROTATIONS[round_ % 8]
        np.add(x, y, out=x)
        np.right_shift(y, np.uint32(32 - bits), out=spare)
        np.left_shift(y, np.uint32(bits), out=y)
        np.bitwise_or(y, spare, out=y)
        np.bitwise_xor(y, x, out=y)
        if round_ % 4 == 3:
            injection = round_ // 4 + 1
            np.add(x, schedule[injection % 3], out=x)
            np.add(y, schedule[(injection + 1) % 3] + np.uint32(injection), out=y)
    return x.view(np.int32), y.view(np.int32)


def mask_key(row_key: Array, policy_word: int, epoch: int | Array) -> Array:
    """The key of one row's mask under one policy in one epoch.

    Args:
        row_key: int32 ``[B, 2]``, high and low word of the row's seed.
        policy_word: 32 bits of the policy's fingerprint.
        epoch: the epoch, a Python integer or int32 ``[B]``.

    Returns:
        int32 ``[B, 2]``.
    """
    xp = namespace(row_key)
    high, low = row_key[:, 0], row_key[:, 1]
    num_rows = row_key.shape[0]
    if isinstance(epoch, int):
        epoch = full(row_key, (num_rows,), signed(epoch))
    word = full(row_key, (num_rows,), signed(policy_word))
    return xp.stack(list(threefry2x32((high, low), (word, int32(epoch)))), -1)


def words(key: Array, length: int, stream: int) -> tuple[Array, Array]:
    """Two words for every position ``0 .. length-1`` of every row.

    Args:
        key: int32 ``[B, 2]``, from `mask_key`.
        length: number of positions, ``L``.
        stream: what the words are for.

    Returns:
        Two int32 arrays ``[B, L]``.
    """
    high, low = key[:, :1], key[:, 1:]
    position = positions(key, length)
    return threefry2x32((high, low), (position, full(key, (1, length), stream)))
