"""The loops over tokens: compiled by Numba where that is loaded already, else in NumPy.

Both give the same (`tests/stages/test_loops.py`). Numba is not loaded for these loops, as they
would have to pass 300 MB of text to pay for its 0.8 s; encoding loads it where that pays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol, cast

from premask.stages import plain_loops
from premask.stages.plain_loops import Column, Int64, Uint8

# Shapes: D documents, T tokens of all of them, P pieces, V ids of the vocabulary.


class Loops(Protocol):
    """What `premask.stages.kernels` and `premask.stages.plain_loops` have."""

    def copy_pieces(
        self,
        starts_P: Int64,
        lengths_P: Int64,
        targets_P: Int64,
        columns: Iterable[tuple[Column, Column]],
    ) -> None:
        """Copies pieces of a source to places of a target, for every pair of these."""

    def count_tokens(self, ids_T: Column, bits_T: Uint8, counts_V: Int64) -> None:
        """Adds to `counts_V` how often each id stands there outside special tokens."""

    def count_documents(
        self, ids_T: Column, bits_T: Uint8, lengths_D: Int64, counts_V: Int64
    ) -> None:
        """Adds the number of documents that have an id outside special tokens."""


def loops() -> Loops:
    """The compiled loops where Numba is loaded, else the plain ones."""
    if "numba" not in sys.modules:
        return cast(Loops, plain_loops)
    from premask.stages import kernels

    return cast(Loops, kernels)
