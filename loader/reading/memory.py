"""Arrays over everything that is mapped, addressed by where it lies in memory.

A shard set is many buffers: one per column and record batch, in many mapped files. A shuffled
batch takes each row from another one, and a Python loop over rows would cost more than the
copy itself. So one array is laid over the whole range of addresses from the first buffer to
the last, and rows are taken from it with one indexing call whatever file they lie in.
Between the buffers there is memory that is not ours or not mapped at all; nothing reads it,
because every address comes from a `Region` whose contents were checked when it was opened.

Nothing here is allocated or copied: an array of this kind is a view, about 100 bytes large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 8


class _Interface:
    """What NumPy asks of an object that exposes memory."""

    def __init__(
        self, address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "data": (address, True),  # True: read-only
            "shape": shape,
            "strides": strides,
            "typestr": dtype.str,
        }


@dataclass(frozen=True, slots=True)
class Region:
    """The addresses ``[start, end)``, all of them readable, or a range that spans such ones."""

    start: int
    end: int

    def elements(self, dtype: npt.DTypeLike) -> np.ndarray:
        """The region as one dimension; the element at `address` has the number `index`."""
        kind = np.dtype(dtype)
        start = self._aligned_start()
        return np.asarray(
            _Interface(start, ((self.end - start) // kind.itemsize,), (kind.itemsize,), kind)
        )

    def windows(self, dtype: npt.DTypeLike, length: int) -> np.ndarray:
        """Every run of `length` elements as one item: item ``i`` begins at element ``i``.

        The items overlap. Indexing with ``[B]`` numbers copies B of them, one memory copy each;
        an item as wide as a row is 1.4 times as fast as a second dimension of elements. At
        least one item must fit.
        """
        kind = np.dtype(dtype)
        start = self._aligned_start()
        count = (self.end - start) // kind.itemsize - length + 1
        item = np.dtype((np.void, length * kind.itemsize))
        return np.asarray(_Interface(start, (count,), (kind.itemsize,), item))

    def index(self, addresses: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
        """The element numbers of `addresses`, which must be aligned to the type."""
        return (addresses - self._aligned_start()) // np.dtype(dtype).itemsize

    def _aligned_start(self) -> int:
        return self.start - self.start % _ALIGNMENT


def address_of(array: np.ndarray) -> int:
    """The address of the first element."""
    return int(array.__array_interface__["data"][0])
