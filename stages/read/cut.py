"""Cuts byte streams where documents begin: files into units, streams into chunks.

A format says where a document may begin as a regular expression; a boundary is the end of a
match. The expressions are local (no match depends on bytes beyond `OVERLAP_BYTES` around it),
so that cutting a 100 GB file reads some kilobytes per unit, and a stream is searched once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read import _reader
from premask.stages.read._reader import SourceFile, whole_file
from premask.stages.read.compression import expansion
from premask.stages.read.opening import open_binary, supports_ranges
from premask.stages.read.stream import Stream, read_head

Pattern = re.Pattern[bytes]
OVERLAP_BYTES = 256
_SEARCH_BYTES = 64 << 10
_FIRST_WINDOW = 4 << 10


def byte_range_split(
    pattern: Callable[[Source], Pattern | None],
) -> Callable[[SourceFile, Source, int, int], Iterator[Slice]]:
    """A `Reader.split` that cuts at the boundaries of a pattern.

    Compressed files, files of a wide encoding, files on servers without byte ranges, and all
    files of a source for which `pattern` gives None stay whole.
    """

    def split(file: SourceFile, source: Source, unit_bytes: int, index: int) -> Iterator[Slice]:
        boundary = pattern(source)
        if boundary is None or file.size <= unit_bytes or not _is_divisible(file, source):
            yield whole_file(file, index, file.size * expansion(file.path))
            return
        start = 0
        for end in _cuts(file, boundary, unit_bytes):
            yield Slice(
                source=index,
                name=file.name,
                path=file.path,
                format=file.format,
                start=start,
                end=end,
                size=file.size,
                num_bytes=end - start,
            )
            start = end

    return split


def _is_divisible(file: SourceFile, source: Source) -> bool:
    return read_head(file.path, source.encoding).seekable and supports_ranges(file.path)


def _cuts(file: SourceFile, pattern: Pattern, unit_bytes: int) -> Iterator[int]:
    """The ends of the units: the first boundary at or after every multiple of `unit_bytes`."""
    cut = 0
    for target in range(unit_bytes, file.size, unit_bytes):
        if target > cut:
            cut = _next_boundary(file, pattern, target)
            if cut >= file.size:
                break
            yield cut
    yield file.size


def _next_boundary(file: SourceFile, pattern: Pattern, target: int) -> int:
    """The first boundary at or after `target`, or the file's size."""
    start = max(target - OVERLAP_BYTES, 0)
    with open_binary(file.path) as handle:
        handle.seek(start)
        window = b""
        while block := handle.read(_SEARCH_BYTES):
            window += block
            for match in pattern.finditer(window):
                if start + match.end() >= target:
                    return start + match.end()
            start += max(len(window) - OVERLAP_BYTES, 0)
            window = window[-OVERLAP_BYTES:]
    return file.size


def chunks(
    stream: Stream, pattern: Pattern, name: str, ledger: Ledger
) -> Iterator[tuple[int, bytes]]:
    """Pieces of a stream that begin where documents begin, with their positions.

    A document of more than `MAX_DOCUMENT_BYTES` is rejected and skipped without being held.
    """
    held: list[bytes] = []  # no boundary lies in it but at its very beginning
    position = stream.position
    skipping = False
    for block in stream:
        if skipping:
            window = held[0] + block
            match = pattern.search(window)
            cut = match.end() if match else len(window) - OVERLAP_BYTES
            position += max(cut, 0)
            block, held = window[max(cut, 0) :], []
            if match is None:
                held.append(block)
                continue
            skipping = False
        boundary = _last_boundary(held[-1] if held else b"", block, pattern)
        if boundary is not None and boundary < 0:
            last = held.pop()
            block, boundary = last + block, len(last) + boundary
        if boundary is not None and (held or boundary):
            piece = b"".join([*held, memoryview(block)[:boundary]])
            yield position, piece
            position += len(piece)
            held = [block[boundary:]]
            continue
        held.append(block)
        num_bytes = sum(map(len, held))
        if num_bytes > _reader.MAX_DOCUMENT_BYTES:
            reject_long(name, position, ledger)
            held = [b"".join(held)[-OVERLAP_BYTES:]]
            position += num_bytes - len(held[0])
            skipping = True
    if held and not skipping:
        yield position, b"".join(held)


def reject_long(name: str, position: int, ledger: Ledger) -> None:
    """Records a document of more than `MAX_DOCUMENT_BYTES`."""
    ledger.documents_read += 1
    ledger.reject(
        document_id=f"{name}:{position}",
        position=position,
        stage="read",
        reason="too_long",
        detail=f"a document may have {_reader.MAX_DOCUMENT_BYTES} bytes at most",
    )


def _last_boundary(before: bytes, block: bytes, pattern: Pattern) -> int | None:
    """The last boundary, or one that is about as late; None where there is none.

    It is a place in `block`, negative where it lies in what stands `before`.
    """
    size = _FIRST_WINDOW
    while size + OVERLAP_BYTES <= len(block):
        if (found := _last_end(pattern, block, len(block) - size)) is not None:
            return found
        size *= 4
    before = before[-OVERLAP_BYTES:]
    found = _last_end(pattern, before + block, 0)
    return found - len(before) if found else None


def _last_end(pattern: Pattern, window: bytes, start: int) -> int | None:
    last = None
    for match in pattern.finditer(window, start):
        last = match.end()
    return last
