"""Rows of one document each: windows, whole sentences, or lines; packed where that is asked.

Packing puts several of these pieces into a row, a separator between them, within windows of the
unit. ``packed_tokens`` counts what the rows hold beside their template and ``padding_tokens``
what they leave empty: the utilisation is the first in the sum of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from premask.stages.arrange_stream import last_border, sentence_borders
from premask.stages.cut_rows import Row
from premask.stages.layout import Numbering
from premask.stages.packing import best_fit, in_order
from premask.stages.token_stream import TokenStream
from premask.stages.windows import windows

# (numbering, start, stop of a document or line) to the pieces it is cut into: start, stop, and
# from where on its tokens are in no earlier piece.
Pieces = Iterator[tuple[int, int, int]]


def cut_documents(
    numbering: Numbering, stream: TokenStream, start: int, is_last: bool
) -> tuple[list[Row], int]:
    """Rows of all documents from `start` on, or of all that fill windows to pack within."""
    if numbering.layout.rows.packing != "none":
        return _packed(numbering, stream, start, is_last)
    rows = []
    for begin, end, new_from in _pieces(numbering, stream, start, len(stream)):
        if end - begin < numbering.layout.rows.min_length:
            numbering.drop(stream, new_from, end)
        else:
            rows.append(numbering.make((begin, end)))
    return rows, len(stream)


def _packed(
    numbering: Numbering, stream: TokenStream, start: int, is_last: bool
) -> tuple[list[Row], int]:
    layout, rows = numbering.layout, []
    pack = best_fit if layout.rows.packing == "best_fit" else in_order
    gap = len(layout.frame.between)
    for begin, end in windows(stream, start, is_last):
        pieces = [piece[:2] for piece in _pieces(numbering, stream, begin, end)]
        sizes = [stop - first for first, stop in pieces]
        for numbers in pack(sizes, layout.capacity, gap):
            text = sum(sizes[number] for number in numbers)
            if text < layout.rows.min_length:
                for number in numbers:
                    numbering.drop(stream, *pieces[number])
                continue
            used = text + gap * (len(numbers) - 1)
            numbering.count("packed_tokens", used)
            numbering.count("padding_tokens", layout.capacity - used)
            rows.append(numbering.make(*(pieces[number] for number in numbers)))
        start = end
    return rows, start


def _pieces(numbering: Numbering, stream: TokenStream, start: int, stop: int) -> Pieces:
    """The pieces of the documents in ``start .. stop - 1``, none of two documents."""
    by: Callable[[Numbering, TokenStream, int, int], Pieces] = _windows_of
    borders = stream.document_starts
    if numbering.layout.rows.arrangement == "document_sentences":
        by = _sentences_of
    elif numbering.layout.rows.arrangement == "lines":
        borders = np.union1d(borders, stream.part_starts)
    inner = borders[(borders >= start) & (borders < stop)].tolist()
    for first, last in pairwise([*inner, stop]):
        yield from by(numbering, stream, first, last)


def _windows_of(numbering: Numbering, stream: TokenStream, start: int, stop: int) -> Pieces:
    del stream
    begin = new_from = start
    while True:
        end = min(begin + numbering.length(), stop)
        yield begin, end, new_from
        if end == stop:
            return
        begin, new_from = end - numbering.layout.rows.stride, end


def _sentences_of(numbering: Numbering, stream: TokenStream, start: int, stop: int) -> Pieces:
    borders = sentence_borders(stream, start, stop)
    while start < stop:
        length, capacity = numbering.length(), numbering.layout.capacity
        end, is_whole = last_border(borders, start, length, capacity)
        numbering.count("sentence_cuts", int(not is_whole))
        yield start, end, start
        start = end
