from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages.piece_table import LONGEST, PADDING, UNKNOWN, PieceTable, Uint64, keys


def keys_of(pieces: list[bytes]) -> tuple[Uint64, Uint64]:
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return keys(b"".join(pieces) + PADDING, ends[:-1], np.diff(ends))


def found(table: PieceTable, pieces: list[bytes]) -> list[int]:
    return [int(number) for number in table.find(*keys_of(pieces))]


# Few letters and a NUL, so that many pieces are prefixes of each other.
_pieces = st.lists(
    st.text("ab\0é", min_size=1, max_size=LONGEST)
    .map(str.encode)
    .filter(lambda piece: len(piece) <= LONGEST),
    unique=True,
    min_size=1,
)


@settings(deadline=None)
@given(pieces=_pieces, rounds=st.integers(1, 3))
def test_pieces_are_found_again_and_others_are_not(pieces: list[bytes], rounds: int) -> None:
    table = PieceTable()
    known = pieces[::2]
    for part in range(rounds):
        low, high = keys_of(known[part::rounds] or known[:0])
        table.add(low, high, np.arange(part, len(known), rounds))
    expected = {piece: number for number, piece in enumerate(known)}
    assert found(table, pieces) == [expected.get(piece, UNKNOWN) for piece in pieces]


def test_a_table_grows_without_losing_a_piece() -> None:
    table = PieceTable()
    pieces = [f"{number:x}".encode() for number in range(50_000)]
    for first in range(0, len(pieces), 700):
        part = pieces[first : first + 700]
        table.add(*keys_of(part), np.arange(first, first + len(part)))
    assert len(table) == len(pieces)
    assert found(table, pieces) == list(range(len(pieces)))
    assert set(found(table, [b"x" + piece for piece in pieces])) == {UNKNOWN}


@pytest.mark.parametrize("length", [LONGEST + 1, 17, 40])
def test_long_pieces_are_in_no_table(length: int) -> None:
    table = PieceTable()
    table.add(*keys_of([b"a" * LONGEST, b"\0" * LONGEST]), np.array([0, 1]))
    assert found(table, [b"a" * length, b"\0" * length]) == [UNKNOWN, UNKNOWN]
