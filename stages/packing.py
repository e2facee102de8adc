"""Which pieces share a row, given nothing but their sizes. No piece is ever cut.

``in_order``
    Pieces in their order; a row ends where the next piece does not fit (next fit).
``best_fit``
    The largest piece first, each into the fullest row that still holds it (best-fit
    decreasing): within 11/9 of the least possible number of rows plus one (Johnson, 1974), and
    in practice within a row or two of it.

About a microsecond per piece: the open rows are kept by what is left in them, and a bit mask
over these numbers finds the smallest that is large enough.
"""

from __future__ import annotations

from collections.abc import Sequence


def in_order(sizes: Sequence[int], capacity: int, gap: int) -> list[list[int]]:
    """Rows of piece numbers. Between two pieces of a row there are `gap` tokens."""
    rows: list[list[int]] = []
    left = -1
    for piece, size in enumerate(sizes):
        left -= gap + size
        if left < 0 or not rows:
            rows.append([])
            left = capacity - size
        rows[-1].append(piece)
    return rows


def best_fit(sizes: Sequence[int], capacity: int, gap: int) -> list[list[int]]:
    """Rows of piece numbers, rows in the order of their first pieces, pieces in order."""
    rows: list[list[int]] = []
    open_rows: dict[int, list[int]] = {}  # by the number of tokens left
    present = 0  # bit n: there is a row with n tokens left
    for piece in sorted(range(len(sizes)), key=lambda piece: (-sizes[piece], piece)):
        size = sizes[piece]
        fitting = present >> (size + gap)
        if fitting:
            left = size + gap + (fitting & -fitting).bit_length() - 1
            row = open_rows[left].pop()
            if not open_rows[left]:
                present &= ~(1 << left)
            rows[row].append(piece)
            left -= size + gap
        else:
            row, left = len(rows), capacity - size
            rows.append([piece])
        open_rows.setdefault(left, []).append(row)
        present |= 1 << left
    return sorted(sorted(row) for row in rows)
