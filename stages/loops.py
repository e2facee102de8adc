"""The loops over tokens: compiled by Numba where that is loaded already, else in NumPy.

Both give the same (`tests/stages/test_loops.py`). To load Numba takes 0.3 to 0.5 s, what these
loops save in some 40 million tokens. So it is loaded for them when a process has seen as many,
if encoding has not loaded it before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from premask.stages import plain_loops
from premask.stages.plain_loops import Column, Int64, Uint8

# Shapes: D documents, T tokens of all of them, P pieces, V ids of the vocabulary.

PATIENCE = 40_000_000  # tokens


class Loops(Protocol):
    """What `premask.stages.compiled_loops` and `premask.stages.plain_loops` have."""

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


@dataclass(slots=True)
class _Process:
    num_tokens: int = 0


_PROCESS = _Process()


def loops(num_new: int = 0) -> Loops:
    """The compiled loops where Numba is loaded, or is to be loaded now; else the plain ones.

    Args:
        num_new: tokens that this process has not seen before.
    """
    _PROCESS.num_tokens += num_new
    if _PROCESS.num_tokens <= PATIENCE and "numba" not in sys.modules:
        return cast(Loops, plain_loops)
    from premask.stages import compiled_loops

    return cast(Loops, compiled_loops)
