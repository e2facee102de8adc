"""Plain text: a file is a document, or each of its paragraphs or lines is one.

Paragraphs are separated by blank lines. A line ends in ``\\n`` or ``\\r\\n``, which does not
belong to it; inside paragraphs and files line ends stay as they are. Blank lines are no
documents. `position` is the first byte of the document. Runs at several hundred MB/s for
lines, which are never touched one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from premask.schemas.job import Source
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger, Slice
from premask.stages.read import _reader
from premask.stages.read._reader import Reader
from premask.stages.read.cut import byte_range_split, chunks, reject_long
from premask.stages.read.documents import (
    Document,
    batches,
    decode,
    positional_ids,
    within_limits,
)
from premask.stages.read.gutenberg import body
from premask.stages.read.stream import Stream

LINE_END = re.compile(rb"\n")
BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_LEADING_BLANK_LINES = re.compile(rb"(?:[ \t\r]*\n)*")


def _boundary(source: Source) -> re.Pattern[bytes] | None:
    if source.strip_gutenberg or source.document == "file":
        return None
    return LINE_END if source.document == "line" else BLANK_LINE


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    stream = Stream(unit, source.encoding, ledger)
    pieces = _whole(stream, source, unit.name, ledger)
    if boundary := _boundary(source):
        pieces = chunks(stream, boundary, unit.name, ledger)
    if source.document == "line":
        for position, data in pieces:
            yield from _lines(data, position, stream, unit.name, ledger)
        return
    yield from batches(
        document
        for position, data in pieces
        for document in _documents(data, position, source, stream, unit.name, ledger)
    )


def _whole(
    stream: Stream, source: Source, name: str, ledger: Ledger
) -> Iterator[tuple[int, bytes]]:
    """All of a stream at once, or nothing where it is too long."""
    held: list[bytes] = []
    num_bytes = 0
    for block in stream:
        num_bytes += len(block)
        if num_bytes > _reader.MAX_DOCUMENT_BYTES:
            reject_long(name, stream.position, ledger)
            return
        held.append(block)
    data = b"".join(held)
    start, end = body(data) if source.strip_gutenberg else (0, len(data))
    if data:
        yield stream.position + start, data[start:end]


def _documents(
    data: bytes, position: int, source: Source, stream: Stream, name: str, ledger: Ledger
) -> Iterator[Document]:
    """The file, or its paragraphs, as documents."""
    spans = [(0, len(data))] if source.document == "file" else _paragraphs(data)
    for start, end in spans:
        ledger.documents_read += 1
        text = decode(data[start:end], stream.encoding, ledger.counters)
        yield Document(f"{name}:{position + start}", position + start, text)


def _paragraphs(data: bytes) -> Iterator[tuple[int, int]]:
    """The spans of the paragraphs, without the white space behind them."""
    start = 0
    while start < len(data):
        start = _LEADING_BLANK_LINES.match(data, start).end()  # type: ignore[union-attr]
        blank = BLANK_LINE.search(data, start)
        end = blank.end() if blank else len(data)
        length = len(data[start:end].rstrip())
        if length:
            yield start, start + length
        start = end


def _lines(
    data: bytes, position: int, stream: Stream, name: str, ledger: Ledger
) -> Iterator[pa.RecordBatch]:
    """The lines of a chunk, as columns."""
    starts = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], starts[starts < len(data)], [len(data)]]).astype(np.int64)
    lines = _text_column(data, offsets, stream.encoding, ledger)
    positions = pa.array(offsets[:-1] + position)
    used = pc.not_equal(pc.ascii_trim(lines, characters=" \t\r\n"), "")
    lines, positions = (
        pc.ascii_rtrim(lines, characters="\r\n").filter(used),
        positions.filter(used),
    )
    ledger.documents_read += len(lines)
    ids = positional_ids(name, positions)
    yield from within_limits(pa.record_batch([ids, positions, lines], schema=DOCUMENTS))


def _text_column(data: bytes, offsets: Any, encoding: str, ledger: Ledger) -> pa.Array:
    """The lines between the offsets, decoded, line ends included."""
    try:
        if encoding == "utf-8":
            data.decode("utf-8")
            buffers = pa.py_buffer(offsets), pa.py_buffer(data)
            return pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers)
    except UnicodeDecodeError:
        pass  # decoded line by line below, which counts the bad bytes
    return pa.array(
        [
            decode(data[start:end], encoding, ledger.counters)
            for start, end in pairwise(offsets.tolist())
        ],
        pa.large_string(),
    )


TEXT = Reader(split=byte_range_split(_boundary), read=_read)
