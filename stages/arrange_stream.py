"""Rows from documents end to end: cut at every row's length, or where a sentence ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from premask._format import BOUNDARIES, INPUT_IDS, Boundary
from premask.stages.cut_rows import Row
from premask.stages.layout import Numbering
from premask.stages.plain_loops import Int64
from premask.stages.token_stream import TokenStream

_STARTS = np.uint8(Boundary.SENTENCE_START | Boundary.DOCUMENT_START)


def cut_full(
    numbering: Numbering, stream: TokenStream, start: int, is_last: bool
) -> tuple[list[Row], int]:
    """Rows that `stream` fills from `start` on, all that is left if it `is_last`."""
    layout = numbering.layout
    rows: list[Row] = []
    size = len(stream)
    separator = _separators(stream, layout.separator).tobytes()  # looked up five times as fast
    while True:
        if layout.trims and start < size and separator[start]:
            start += 1
        length = numbering.length()
        if start >= size or (start + length > size and not is_last):
            return rows, start
        end = min(start + length, size)
        stop = end - 1 if layout.trims and separator[end - 1] else end
        if end == size and is_last and end - start < layout.rows.min_length:
            numbering.drop(stream, start, stop)
            return rows, end
        rows.append(numbering.make((start, stop)))
        start = end


def cut_sentences(
    numbering: Numbering, stream: TokenStream, start: int, is_last: bool
) -> tuple[list[Row], int]:
    """Rows of whole sentences from `start` on; a separator is no sentence."""
    layout = numbering.layout
    rows: list[Row] = []
    size, separator = len(stream), _separators(stream, layout.separator)
    borders = sentence_borders(stream, 0, size)
    if layout.trims:
        # A row may also end before a separator, which is then left out.
        borders = np.union1d(borders, np.flatnonzero(separator))
    while True:
        if layout.trims and start < size and separator[start]:
            start += 1
        if start >= size or (start + layout.capacity > size and not is_last):
            return rows, start
        end, is_whole = last_border(borders, start, numbering.length(), layout.capacity)
        # Without a template an end token may be all that does not fit.
        numbering.count("sentence_cuts", int(not is_whole and not separator[end]))
        stop = end - 1 if layout.trims and separator[end - 1] else end
        if stop - start < layout.rows.min_length:
            numbering.drop(stream, start, stop)
        else:
            rows.append(numbering.make((start, stop)))
        start = end


def sentence_borders(stream: TokenStream, start: int, stop: int) -> Int64:
    """Where sentences of ``start .. stop - 1`` begin, and `stop`."""
    bits = stream.columns[BOUNDARIES][start:stop]
    return np.append(np.flatnonzero(bits & _STARTS) + start, stop)


def last_border(borders: Int64, start: int, length: int, capacity: int) -> tuple[int, bool]:
    """Where a row from `start` on ends that should have `length` tokens at most.

    It holds a whole sentence at least, unless that is longer than `capacity`: then it is cut.

    Returns:
        The end, and whether it is a sentence's.
    """
    behind = int(borders.searchsorted(start + length, side="right"))
    if behind and borders[behind - 1] > start:
        return int(borders[behind - 1]), True
    end = int(borders[behind]) if behind < len(borders) else start + capacity + 1
    return (end, True) if end <= start + capacity else (start + capacity, False)


def _separators(stream: TokenStream, separator: int | None) -> npt.NDArray[np.bool_]:
    """Whether each token stands between documents; no text is a special token."""
    if separator is None:
        return np.zeros(len(stream), bool)
    found: npt.NDArray[np.bool_] = stream.columns[INPUT_IDS] == separator
    places = np.flatnonzero(found)
    found[places] = (stream.columns[BOUNDARIES][places] & Boundary.SPECIAL) != 0
    return found
