from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages.piece_loops import LONGEST, UNKNOWN, Int64, Uint8
from premask.stages.piece_table import PADDING, PieceTable, distinct


def stretches(pieces: list[bytes]) -> tuple[Uint8, Int64, Int64]:
    """A text of these pieces, and where each begins and ends."""
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return np.frombuffer(b"".join(pieces) + PADDING, np.uint8), ends[:-1], ends[1:]


def found(table: PieceTable, pieces: list[bytes]) -> list[int]:
    numbers, unknown = table.find(*stretches(pieces))
    assert unknown.tolist() == np.flatnonzero(numbers == UNKNOWN).tolist()
    return list(map(int, numbers))


# Few letters and a NUL, so that many pieces are prefixes of each other.
_piece = st.text("ab\0é", min_size=1, max_size=2 * LONGEST).map(str.encode)


@settings(deadline=None)
@given(pieces=st.lists(_piece, unique=True, min_size=1), rounds=st.integers(1, 3))
def test_pieces_are_found_again_and_others_are_not(pieces: list[bytes], rounds: int) -> None:
    table = PieceTable()
    known = pieces[::2]
    for part in range(rounds):
        table.add(*stretches(known[part::rounds]), np.arange(part, len(known), rounds))
    expected = {piece: number for number, piece in enumerate(known)}
    assert found(table, pieces) == [expected.get(piece, UNKNOWN) for piece in pieces]


def test_a_table_grows_without_losing_a_piece() -> None:
    table = PieceTable()
    pieces = [f"{number:x}".encode() for number in range(50_000)]
    for first in range(0, len(pieces), 700):
        part = pieces[first : first + 700]
        table.add(*stretches(part), np.arange(first, first + len(part)))
    assert len(table) == len(pieces)
    assert found(table, pieces) == list(range(len(pieces)))
    assert set(found(table, [b"x" + piece for piece in pieces])) == {UNKNOWN}


@settings(deadline=None)
@given(pieces=st.lists(_piece))
def test_equal_pieces_get_one_number(pieces: list[bytes]) -> None:
    numbers, firsts = distinct(*stretches(pieces))
    assert sorted(firsts) == sorted(map(pieces.index, set(pieces)))
    assert [pieces[first] for first in firsts[numbers]] == pieces
