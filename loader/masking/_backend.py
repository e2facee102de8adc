"""The one place where NumPy, torch and JAX differ.

Masking is written against the array-API subset that the three share. What they do not share
is here: the namespace itself, creation on the right device, int32 cumulative sums, gathers
(torch wants int64 indices) and loops (JAX wants `lax.while_loop` under ``jit``).

Frameworks are recognised by the module of the array's type, never by importing them, so this
module loads NumPy alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# numpy.ndarray | torch.Tensor | jax.Array; int32 or bool unless a docstring says otherwise
Array = Any

INT32_MAX = 2**31 - 1


def namespace(x: Array) -> Any:
    """The array namespace of `x`: `numpy`, `torch` or `jax.numpy`.

    Cheap: looks at ``sys.modules`` and imports nothing.

    Raises:
        TypeError: `x` is none of the three.
    """
    if isinstance(x, np.ndarray):
        return np
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        return torch
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(x, jax.Array):
        return jax.numpy
    raise TypeError(f"expected a NumPy, torch or JAX array, got {type(x).__name__}")


def is_torch(xp: Any) -> bool:
    return bool(xp.__name__ == "torch")


def is_jax(xp: Any) -> bool:
    return bool(xp.__name__ == "jax.numpy")


def int32(x: Array) -> Array:
    """`x` as int32."""
    if is_torch(namespace(x)):
        return x.int()
    return x.astype(np.int32)


def constant(like: Array, values: Sequence[int] | np.ndarray) -> Array:
    """`values` as an int32 array beside `like` (same backend, same device)."""
    xp = namespace(like)
    table = np.asarray(values, np.int32)
    if is_torch(xp):
        return xp.from_numpy(table.copy()).to(like.device)
    return xp.asarray(table)


def full(like: Array, shape: tuple[int, ...], value: int | bool) -> Array:
    """An array of `shape` beside `like`, filled with `value`; bool for a bool, else int32."""
    xp = namespace(like)
    dtype = xp.bool if isinstance(value, bool) and is_torch(xp) else bool
    dtype = dtype if isinstance(value, bool) else xp.int32
    if is_torch(xp):
        return xp.full(shape, value, dtype=dtype, device=like.device)
    return xp.full(shape, value, dtype=dtype)


def positions(like: Array, length: int) -> Array:
    """``0 .. length-1`` as int32 ``[1, length]`` beside `like`."""
    xp = namespace(like)
    if is_torch(xp):
        return xp.arange(length, dtype=xp.int32, device=like.device)[None, :]
    return xp.arange(length, dtype=xp.int32)[None, :]


def gather(x: Array, index: Array) -> Array:
    """``x[row, index[row, column]]`` along the last axis; `index` must lie inside the row."""
    xp = namespace(x)
    if is_torch(xp):
        return xp.gather(x.expand(index.shape[0], -1), -1, index.long())
    if xp is np and x.shape[0] == index.shape[0] and x.flags.c_contiguous:
        # take_along_axis builds an index per axis; one flat take costs a third of it.
        row_starts = np.arange(x.shape[0], dtype=np.int64)[:, None] * x.shape[1]
        return x.reshape(-1).take(index + row_starts)
    return xp.take_along_axis(x, index, axis=-1)


def lookup(table: Array, index: Array) -> Array:
    """``table[index]`` for a one-dimensional `table` and an `index` of any shape."""
    if is_torch(namespace(table)):
        return table[index.long()]
    return table[index]


def cumsum(x: Array) -> Array:
    """Inclusive cumulative sum along the last axis, as int32."""
    xp = namespace(x)
    if is_torch(xp):
        return xp.cumsum(x.int(), -1, dtype=xp.int32)
    return xp.cumsum(x.astype(np.int32), axis=-1, dtype=np.int32)


def total(x: Array) -> Array:
    """Sum along the last axis, kept as a column, as int32."""
    xp = namespace(x)
    if is_torch(xp):
        return x.int().sum(-1, keepdim=True, dtype=xp.int32)
    return x.astype(np.int32).sum(axis=-1, keepdims=True, dtype=np.int32)


def highest(x: Array) -> Array:
    """The largest value along the last axis, kept as a column."""
    if is_torch(namespace(x)):
        return x.amax(-1, keepdim=True)
    return x.max(axis=-1, keepdims=True)


def sort(x: Array) -> Array:
    """`x` sorted along the last axis, ascending."""
    xp = namespace(x)
    if is_torch(xp):
        return xp.sort(x, dim=-1).values
    return xp.sort(x, axis=-1)


def concat(arrays: Sequence[Array]) -> Array:
    """`arrays` side by side, along the last axis."""
    xp = namespace(arrays[0])
    if is_torch(xp):
        return xp.cat(list(arrays), dim=-1)
    return xp.concatenate(arrays, axis=-1)


def clip(x: Array, low: int | Array | None, high: int | Array | None) -> Array:
    """`x` with every value moved into ``low .. high`` (both inclusive, either may be None)."""
    xp = namespace(x)
    if low is not None:
        x = xp.where(x < low, low, x)
    return x if high is None else xp.where(x > high, high, x)


def cummax(x: Array) -> Array:
    """Inclusive running maximum along the last axis of a two-dimensional `x`."""
    xp = namespace(x)
    if is_torch(xp):
        return xp.cummax(x, -1).values
    if is_jax(xp):
        return sys.modules["jax"].lax.cummax(x, axis=1)
    return xp.maximum.accumulate(x, axis=-1)


def column(x: Array, index: int | Array) -> Array:
    """``x[:, index]`` as ``[B, 1]``, for an `index` that may be traced by JAX."""
    if is_jax(namespace(x)):
        return sys.modules["jax"].lax.dynamic_slice_in_dim(x, index, 1, axis=1)
    return x[:, index : index + 1]


def searchsorted(table: Array, x: Array) -> Array:
    """Where each `x` of any shape would stand in the sorted one-dimensional `table`, left."""
    return int32(namespace(x).searchsorted(table, x))


def shift_left(x: Array, distance: int, fill: int | bool) -> Array:
    """``x[:, i + distance]`` with `fill` on the right."""
    num_rows, length = x.shape
    distance = min(distance, length)
    return concat([x[:, distance:], full(x, (num_rows, distance), fill)])


def shift_right(x: Array, distance: int, fill: int | bool) -> Array:
    """``x[:, i - distance]`` with `fill` on the left."""
    num_rows, length = x.shape
    distance = min(distance, length)
    return concat([full(x, (num_rows, distance), fill), x[:, : length - distance]])


def while_loop(
    condition: Callable[[Any], Any], body: Callable[[Any], Any], state: tuple[Array, ...]
) -> tuple[Array, ...]:
    """Runs `body` on `state` while `condition` holds.

    On JAX this is `jax.lax.while_loop` (traceable); elsewhere a Python loop.
    """
    if is_jax(namespace(state[0])):
        result: tuple[Array, ...] = sys.modules["jax"].lax.while_loop(condition, body, state)
        return result
    while bool(condition(state)):
        state = body(state)
    return state


class Table:
    """A constant int32 table that follows its reader to the reader's backend and device.

    Calling it with an array gives the table beside that array. Copies are kept per torch
    device; JAX embeds the table in what it compiles, NumPy reads it in place.
    """

    __slots__ = ("_copies", "values")

    def __init__(self, values: Sequence[int] | np.ndarray) -> None:
        self.values = np.ascontiguousarray(values, np.int32)
        self._copies: dict[str, Array] = {}

    def __call__(self, like: Array) -> Array:
        xp = namespace(like)
        if xp is np:
            return self.values
        if not is_torch(xp):
            return constant(like, self.values)
        device = str(like.device)
        if device not in self._copies:
            self._copies[device] = constant(like, self.values)
        return self._copies[device]
