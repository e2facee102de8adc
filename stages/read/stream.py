"""A unit's bytes, decompressed, as blocks in which a line end is the byte 0x0A.

Files in an encoding of wider units (UTF-16, UTF-32) are turned into UTF-8 on the way; every
other encoding passes as it is and is decoded per document. A byte order mark wins over the
declared encoding. The content of a compressed file has positions of its own, from 0.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from premask._errors import RequestError
from premask.schemas.unit import Ledger, Slice
from premask.stages.read.compression import (
    SUFFIXES,
    DamagedStream,
    Kind,
    decompress,
    recognise_compression,
)
from premask.stages.read.opening import BLOCK_BYTES, open_binary, read_blocks

# The UTF-32 marks come first: UTF-32-LE's begins with UTF-16-LE's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD_BYTES = 64 << 10
_MAGIC_BYTES = 16
# Without a mark, these are little-endian, as almost every such file is.
_UNMARKED = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of a file: its compression, its encoding, its first content bytes."""

    compression: Kind
    encoding: str
    content: bytes
    file_start: bytes

    @property
    def seekable(self) -> bool:
        """Whether byte ranges of the file can be read as text."""
        return not self.compression and not is_wide(self.encoding)


def check_encoding(encoding: str) -> str:
    """The encoding's canonical name.

    Raises:
        RequestError: Python knows no such text encoding.
    """
    try:
        b"\xff\xfe\x00\x00".decode(encoding, "replace")
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError, ValueError) as exc:
        raise RequestError(
            f"unknown text encoding {encoding!r}: use a name such as utf-8, utf-16, latin-1, "
            "cp1252, gb18030 or shift_jis",
            location="encoding",
        ) from exc


def is_wide(encoding: str) -> bool:
    """Whether a line end is another byte than 0x0A in this encoding."""
    return "\n".encode(encoding)[-1:] != b"\n" or len("\n".encode(encoding)) != 1


def read_head(path: str, encoding: str) -> Head:
    """The first bytes of a file.

    Raises:
        OSError: the file cannot be read.
    """
    with open_binary(path) as file:
        first = file.read(BLOCK_BYTES)
    compression = recognise_compression(first)
    content = b""
    if compression:
        try:
            for piece in decompress(iter([first]), compression, Counter()):
                content += piece
                if len(content) >= _HEAD_BYTES:
                    break
        except DamagedStream:
            pass  # the first block of a longer file always ends early
    else:
        content = first[:_HEAD_BYTES]
    found, mark = recognise_encoding(content, encoding)
    return Head(
        compression=compression,
        encoding=found,
        content=content[mark:],
        file_start=first[:_MAGIC_BYTES],
    )


def recognise_encoding(content: bytes, declared: str) -> tuple[str, int]:
    """The encoding of text that begins like this, and the length of its byte order mark."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, len(mark)
    name = check_encoding(declared)
    return _UNMARKED.get(name, name), 0


class Stream:
    """The blocks of one unit; iterate once.

    A damaged compressed stream counts as one document: what it cut off. It is rejected with
    the position where reading stopped, and `damaged` is set once iteration has ended.

    Attributes:
        compression: of the file.
        encoding: in which to decode the blocks.
        position: of the first byte given.
        damaged: whether the stream ended before its time.
    """

    def __init__(self, unit: Slice, encoding: str, ledger: Ledger) -> None:
        self.compression: Kind = ""
        self.encoding = encoding
        self.position = 0
        self.damaged = False
        self._unit = unit
        self._ledger = ledger
        self._blocks = self._read()
        self._first = next(self._blocks, b"")

    def __iter__(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
            yield from self._blocks

    def _read(self) -> Iterator[bytes]:
        with open_binary(self._unit.path) as file:
            file_start = file.read(_MAGIC_BYTES)
            self.compression = recognise_compression(file_start)
            blocks = self._content(file, file_start)
            if self._unit.start == 0:
                first = next(blocks, b"")
                while len(first) < 4 and (more := next(blocks, b"")):
                    first += more
                self.encoding, self.position = recognise_encoding(first, self.encoding)
                blocks = chain([first[self.position :]], blocks)
            else:
                self.encoding, _ = recognise_encoding(file_start, self.encoding)
                self.position = 0 if self.compression else self._unit.start
            if is_wide(self.encoding):
                blocks = self._as_utf8(blocks)
            yield from filter(None, blocks)

    def _content(self, file: BinaryIO, file_start: bytes) -> Iterator[bytes]:
        """The bytes as they are in the file, decompressed."""
        unit = self._unit
        # A file that is one unit is read to its end: its size may be unknown.
        end = None if (unit.start, unit.end) == (0, unit.size) else unit.end
        file.seek(0)
        blocks = self._noting_share(read_blocks(file, unit.start, end))
        if not self.compression:
            if not file_start and any(unit.path.endswith(suffix) for suffix in SUFFIXES):
                self._damage("truncated_stream", "a compressed file of 0 bytes", 0)
            yield from blocks
            return
        num_bytes = 0
        try:
            for piece in decompress(blocks, self.compression, self._ledger.counters):
                num_bytes += len(piece)
                yield piece
        except DamagedStream as exc:
            self._damage(exc.reason, exc.detail, num_bytes)

    def _noting_share(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        num_bytes = self._unit.end - self._unit.start
        left = num_bytes
        for block in blocks:
            left -= len(block)
            if num_bytes:  # some servers do not tell a file's size
                self._ledger.share_read = 1 - left / num_bytes
            yield block

    def _damage(self, reason: str, detail: str, position: int) -> None:
        self.damaged = True
        self._ledger.documents_read += 1
        self._ledger.reject(
            document_id=f"{self._unit.name}:{position}",
            position=position,
            stage="read",
            reason=reason,
            detail=detail,
        )

    def _as_utf8(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        self.encoding = "utf-8"
        for block in chain(blocks, [b""]):
            text = decoder.decode(block, final=not block)
            if "\ufffd" in text:
                self._ledger.counters["replaced_bytes"] += text.count("\ufffd")
            yield text.encode("utf-8")
