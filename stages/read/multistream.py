"""Units of a bzip2 dump that consists of many streams, as Wikipedia's multistream dumps do.

Such a file can be decompressed from the header of any stream. Headers are searched near the
multiples of a unit's size only, so planning a 20 GB dump reads a few megabytes. Streams need
not end where pages do (parallel compressors cut anywhere): a page belongs to the unit in which
its first byte lies, and is finished with bytes from the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from premask.schemas.unit import Slice
from premask.stages.read import _reader
from premask.stages.read._reader import SourceFile
from premask.stages.read.compression import BZ2_HEADER, RATIOS, DamagedStream, decompress
from premask.stages.read.opening import open_binary, read_blocks, supports_ranges

# No stream of a multistream dump is longer (100 pages): beyond it, there is only one stream.
_SEARCH_BYTES = 64 << 20
_HEADER_BYTES = 10


def multistream_split(file: SourceFile, unit_bytes: int, index: int) -> Iterator[Slice]:
    """Units that begin at stream headers; one unit where there is a single stream."""
    step = max(unit_bytes // RATIOS["bz2"], 1)
    if file.size > step and not supports_ranges(file.path):
        step = file.size
    start = 0
    while start < file.size or not start:
        end = _next_header(file, start + step) if start + step < file.size else file.size
        yield Slice(
            source=index,
            name=file.name,
            path=file.path,
            format=file.format,
            start=start,
            end=end,
            size=file.size,
            num_bytes=(end - start) * RATIOS["bz2"],
        )
        start = max(end, 1)


def _next_header(file: SourceFile, target: int) -> int:
    """The first stream header at or after `target`, or the file's size."""
    end = min(target + _SEARCH_BYTES, file.size)
    overlap = b""
    with open_binary(file.path) as handle:
        position = target
        for block in read_blocks(handle, target, end):
            window = overlap + block
            if match := BZ2_HEADER.search(window):
                return position - len(overlap) + match.start()
            position += len(block)
            overlap = window[1 - _HEADER_BYTES :]
    return file.size


def finish(unit: Slice, data: bytes, end_tag: bytes) -> bytes:
    """The data with what follows it in the next unit's streams, to an end tag or beyond.

    Gives the data back where there is none within the length of the longest document.
    """
    pieces = [data]
    num_bytes = len(data)
    overlap = data[-len(end_tag) :]
    with open_binary(unit.path) as file:
        blocks = decompress(read_blocks(file, unit.end), "bz2", Counter())
        try:
            for piece in blocks:
                pieces.append(piece)
                num_bytes += len(piece)
                if end_tag in overlap + piece:
                    return b"".join(pieces)
                overlap = (overlap + piece)[-len(end_tag) :]
                if num_bytes > _reader.MAX_DOCUMENT_BYTES:
                    break
        except DamagedStream:
            pass  # the unit in which the damage lies reports it
    return data
