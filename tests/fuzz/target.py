"""What is fuzzed: a function of bytes, with inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing to fuzz.

    Attributes:
        prepare: makes what every run needs in an empty folder, and gives the first inputs.
        run: tries one input. It may use the second folder as it likes; everything in it is
            removed afterwards. Any error but Premask's own is a finding, and so is a write
            elsewhere.
        words: stretches that mutated inputs are more often given.
        options: bytes at an input's beginning that choose options; see `option`.
    """

    prepare: Callable[[Path], Sequence[bytes]]
    run: Callable[[bytes, Path, Path], None]
    words: tuple[bytes, ...] = ()
    options: int = 0


def option(data: bytes, place: int, values: Sequence[T]) -> T:
    """The value that the input's byte at `place` chooses; the first where it has none."""
    return values[data[place] % len(values)] if place < len(data) else values[0]
