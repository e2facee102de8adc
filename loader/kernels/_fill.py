"""Stretches of one value: what stands behind a row, in every kernel alike."""

from __future__ import annotations

import numpy as np
from premask._format import IGNORE_LABEL
from premask.kernels._compile import Integer, compiled, widest_vectors

_IGNORE = np.int32(IGNORE_LABEL)


@compiled
def fill(numbers: np.ndarray, begin: Integer, end: Integer, value: Integer) -> None:
    """Sets the numbers from `begin` to before `end`."""
    widest_vectors()
    for spare in range(end - begin):
        numbers[np.uint64(begin + spare)] = value  # unsigned: it is not asked for its sign


@compiled
def pad_row(
    size: Integer,
    target_size: Integer,
    pad_id: Integer,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    """All of `attention`, and what is behind the first `size` ids and `target_size` labels."""
    fill(attention, 0, size, 1)
    fill(attention, size, len(attention), 0)
    fill(ids, size, len(ids), pad_id)
    fill(labels, target_size, len(labels), _IGNORE)
