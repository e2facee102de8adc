"""What kernels read and write: values with starts and lengths, as in Arrow, and a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Flat(NamedTuple):
    """Rows as stretches of long arrays: row ``i`` is ``[starts[i], starts[i] + lengths[i])``.

    Attributes:
        input_ids: uint16 or uint32 ``[N]``.
        boundaries: uint8 ``[N]``.
        codes: uint8 ``[N]``, the track that the policy reads; empty where it reads none.
        starts, lengths: int64 ``[B]``.
        seeds: uint64 ``[B]``.
        epochs: int32 ``[B]``.
    """

    input_ids: np.ndarray
    boundaries: np.ndarray
    codes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    seeds: np.ndarray
    epochs: np.ndarray


class Batch(NamedTuple):
    """What trainers get: int32 or int64 ``[B, L]`` each; every element is written."""

    input_ids: np.ndarray
    attention_mask: np.ndarray
    labels: np.ndarray


class Scratch(NamedTuple):
    """Room for one row at a time: kernels allocate nothing.

    Attributes:
        numbers: int32 ``[14, N]``, wider than the longest row and than a histogram.
        flags: uint8 ``[5, N]``, N a multiple of 64.
    """

    numbers: np.ndarray
    flags: np.ndarray


_LEAST, _SPARE = 512, 64


def scratch_for(width: int) -> Scratch:
    """Room for rows of up to `width` tokens."""
    room = max(width, _LEAST) // _SPARE * _SPARE + 2 * _SPARE
    return Scratch(np.empty((14, room), np.int32), np.empty((5, room), np.uint8))
