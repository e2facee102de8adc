"""The rows that a cutter makes, one by one, and the same as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from premask.stages.plain_loops import Int64
from premask.stages.token_stream import TokenStream

# Shapes: R rows, their P pieces.


class Row(NamedTuple):
    """One row.

    Attributes:
        pieces: stretches of the stream: start and stop.
        seed: its mask seed.
        ordinal: its name within its unit.
        label: its label, where rows have one.
        num_own: how many pieces are here and nowhere else; those behind are borrowed.
    """

    pieces: tuple[tuple[int, int], ...]
    seed: int
    ordinal: int = 0
    label: int = 0
    num_own: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class CutRows:
    """Rows, at least one, and their pieces.

    Attributes:
        seeds_R, ordinals_R: uint64.
        labels_R: uint8.
        first_R: the number of each row's first piece.
        row_P: the number of each piece's row.
        is_first_P, is_own_P: whether it is its row's first, and whether it is nowhere else.
        starts_P, lengths_P: where it stands in the stream.
        from_P, to_P: the numbers of the first and the last document in it.
    """

    seeds_R: npt.NDArray[np.uint64]
    ordinals_R: npt.NDArray[np.uint64]
    labels_R: npt.NDArray[np.uint8]
    first_R: Int64
    row_P: Int64
    is_first_P: npt.NDArray[np.bool_]
    is_own_P: npt.NDArray[np.bool_]
    starts_P: Int64
    lengths_P: Int64
    from_P: Int64
    to_P: Int64

    def __len__(self) -> int:
        return len(self.first_R)

    @classmethod
    def of(cls, stream: TokenStream, rows: Sequence[Row]) -> CutRows:
        pieces, seeds, ordinals, labels, num_own = zip(*rows, strict=True)
        num_R = np.fromiter(map(len, pieces), np.int64, len(rows))
        first_R = np.cumsum(num_R) - num_R
        row_P = np.repeat(np.arange(len(rows)), num_R)
        place_P = np.arange(len(row_P)) - first_R[row_P]
        flat = chain.from_iterable(chain.from_iterable(pieces))
        borders = np.fromiter(flat, np.int64, 2 * len(row_P))
        starts_P, stops_P = borders[::2].copy(), borders[1::2]
        return cls(
            seeds_R=np.array(seeds, np.uint64),
            ordinals_R=np.array(ordinals, np.uint64),
            labels_R=np.array(labels, np.uint8),
            first_R=first_R,
            row_P=row_P,
            is_first_P=place_P == 0,
            is_own_P=place_P < np.array(num_own)[row_P],
            starts_P=starts_P,
            lengths_P=stops_P - starts_P,
            from_P=stream.documents_at(starts_P),
            to_P=stream.documents_at(stops_P - 1),
        )
