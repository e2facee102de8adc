"""What kernels read and write: stored rows, a batch, and room to work in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Flat(NamedTuple):
    """Rows as they are stored, in flat (C-contiguous) arrays.

    Attributes:
        input_ids: uint16 or uint32 ``[B, W]``, each row followed by anything.
        boundaries: uint8 ``[B, W]``.
        codes: uint8 ``[B, W]``, the track that the policy reads; ``[0, 0]``: it reads none.
        lengths: int64 ``[B]``.
        seeds: uint64 ``[B]``.
        epochs: int32 ``[B]``.
    """

    input_ids: np.ndarray
    boundaries: np.ndarray
    codes: np.ndarray
    lengths: np.ndarray
    seeds: np.ndarray
    epochs: np.ndarray


class Batch(NamedTuple):
    """What trainers get: int32 or int64 ``[B, L]`` each; every element is written."""

    input_ids: np.ndarray
    attention_mask: np.ndarray
    labels: np.ndarray


class Scratch(NamedTuple):
    """Room for the keys of all rows and for one row at a time: kernels allocate nothing.

    Attributes:
        keys: uint32 ``[2, B]``.
        numbers: int32 ``[14, N]``, wider than the longest row and than a histogram.
        flags: uint8 ``[6, N]``, N a multiple of 64.
    """

    keys: np.ndarray
    numbers: np.ndarray
    flags: np.ndarray


_LEAST, _SPARE = 512, 64


def scratch_for(num_rows: int, width: int) -> Scratch:
    """Room for `num_rows` rows of up to `width` tokens."""
    room = max(width, _LEAST) // _SPARE * _SPARE + 2 * _SPARE
    return Scratch(
        np.empty((2, num_rows), np.uint32),
        np.empty((14, room), np.int32),
        np.empty((6, room), np.uint8),
    )
