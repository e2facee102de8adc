"""Which positions of a batch may be masked, and where its rows have borders.

Arrays: ``BL`` one value per position, ``B1`` one per row.
"""

from __future__ import annotations

from premask._format import Boundary
from premask.masking._backend import Array, positions, shift_left, shift_right
from premask.masking._rows import PaddedRows


def has_bits(rows: PaddedRows, *bits: Boundary) -> Array:
    """bool ``[B, L]``: the position carries any of `bits`."""
    wanted = 0
    for bit in bits:
        wanted |= int(bit)
    return (rows.boundaries & wanted) != 0


def valid_positions(rows: PaddedRows) -> Array:
    """bool ``[B, L]``: the position lies within its row."""
    return positions(rows.lengths, rows.input_ids.shape[1]) < rows.lengths[:, None]


def text_positions(rows: PaddedRows) -> Array:
    """bool ``[B, L]``: the position holds text: within its row and no special token.

    Decided by the `SPECIAL` bit alone, which the tokenizer's template set, so that no literal
    ``[MASK]`` in a text and no missing column can change what may be masked.
    """
    return valid_positions(rows) & ~has_bits(rows, Boundary.SPECIAL)


def opens_run(flags_BL: Array) -> Array:
    """bool ``[B, L]``: the position is the first of a run of True."""
    return flags_BL & ~shift_right(flags_BL, 1, False)


def closes_unit(member_BL: Array, start_BL: Array) -> Array:
    """bool ``[B, L]``: the position is the last of its unit.

    A unit runs from a start to before the next start or the next position that is no member.
    """
    return member_BL & ~shift_left(member_BL & ~start_BL, 1, False)


def segment_starts(rows: PaddedRows, member_BL: Array, within: str) -> Array:
    """bool ``[B, L]``: the position opens a segment, which no unit and no span crosses.

    Segments end at special tokens and at document borders; with ``within="sentence"`` at
    sentence borders too.
    """
    bits = [Boundary.DOCUMENT_START]
    if within == "sentence":
        bits.append(Boundary.SENTENCE_START)
    return opens_run(member_BL) | (member_BL & has_bits(rows, *bits))
