"""gzip, bzip2, xz and Zstandard streams, recognised by their first bytes.

Members (frames, streams) that follow each other are read as one, zero padding is skipped, other
bytes behind the last member are counted and ignored. A damaged stream gives every byte before
the damage, then raises `DamagedStream`. Output comes in pieces of bounded size whatever the
ratio, and the memory that a stream may ask for is bounded, so a decompression bomb costs time
at most.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any, Literal

import zstandard

Kind = Literal["gz", "bz2", "xz", "zst", ""]

# Compressed suffixes, and about how many bytes of text one compressed byte stands for.
SUFFIXES: dict[str, Kind] = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst"}
RATIOS: dict[Kind, int] = {"gz": 3, "bz2": 4, "xz": 4, "zst": 3, "": 1}

BZ2_HEADER = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
_MAGIC: dict[Kind, re.Pattern[bytes]] = {
    "gz": re.compile(rb"\x1f\x8b\x08"),
    "bz2": BZ2_HEADER,
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zst": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_MAGIC_BYTES = 10
_PIECE_BYTES = 64 << 10
# A Zstandard block of 4 bytes may stand for 128 KiB, and its decoder takes no output limit.
_ZSTD_SLICE_BYTES = 1 << 10
_ZSTD_MAX_WINDOW = 128 << 20
_XZ_MAX_MEMORY = 256 << 20
# After an error, gzip is read again in ever smaller pieces: all that precedes it is kept.
_GZIP_PIECES = (_PIECE_BYTES, 256, 1)


class DamagedStream(Exception):
    """A compressed stream ended early or is corrupt; what preceded was given already."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def recognise_compression(head: bytes) -> Kind:
    """The compression of a file that begins with these bytes; empty for none."""
    for kind, magic in _MAGIC.items():
        if magic.match(head):
            return kind
    return ""


def expansion(path: str) -> int:
    """About how many bytes of text a byte of this file stands for, by its name."""
    return RATIOS[next((kind for end, kind in SUFFIXES.items() if path.endswith(end)), "")]


def decompress(blocks: Iterator[bytes], kind: Kind, counters: Counter[str]) -> Iterator[bytes]:
    """The content of a compressed stream, in pieces.

    Args:
        blocks: the compressed bytes.
        kind: the compression of the first member; the others must have the same.
        counters: gets ``trailing_garbage_bytes``.

    Raises:
        DamagedStream: after the last good byte.
    """
    pending = b""
    while True:
        while len(pending) < _MAGIC_BYTES and (block := next(blocks, b"")):
            pending = (pending + block).lstrip(b"\0") if not pending else pending + block
        if not pending:
            return
        if not _MAGIC[kind].match(pending):
            counters["trailing_garbage_bytes"] += len(pending) + sum(map(len, blocks))
            return
        pending = (yield from _member(blocks, pending, kind)).lstrip(b"\0")


def _member(blocks: Iterator[bytes], first: bytes, kind: Kind) -> Generator[bytes, None, bytes]:
    """Gives one member's content; returns the bytes read beyond its end."""
    decoder = _decoder(kind)
    feed = _FEED[kind]
    block = first
    while block:
        try:
            decoder, unused = yield from feed(decoder, block)
        except (zlib.error, OSError, lzma.LZMAError, zstandard.ZstdError) as exc:
            reason = "bad_checksum" if "check" in str(exc) else "corrupt_stream"
            raise DamagedStream(reason, f"{kind}: {exc}") from exc
        if decoder.eof:
            return unused
        block = next(blocks, b"")
    raise DamagedStream("truncated_stream", f"{kind}: the stream ends too early")


def _decoder(kind: Kind) -> Any:
    if kind == "gz":
        return zlib.decompressobj(wbits=31)
    if kind == "bz2":
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MAX_MEMORY)
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW).decompressobj()


# A feed gives what a decoder makes of a block, and returns the decoder and what it left.
Feed = Generator[bytes, None, tuple[Any, bytes]]


def _feed_gzip(decoder: Any, block: bytes) -> Feed:
    level = 0
    while not decoder.eof:
        saved = decoder.copy()
        try:
            piece = decoder.decompress(block, _GZIP_PIECES[level])
        except zlib.error:
            level += 1
            if level == len(_GZIP_PIECES):
                raise
            decoder = saved
            continue
        block = decoder.unconsumed_tail
        if piece:
            yield piece
        elif not block:
            break
    return decoder, decoder.unused_data


def _feed_limited(decoder: Any, block: bytes) -> Feed:
    """bzip2 and xz."""
    while True:
        piece = decoder.decompress(block, _PIECE_BYTES)
        block = b""
        if piece:
            yield piece
        if decoder.eof or decoder.needs_input:
            return decoder, decoder.unused_data


def _feed_zstandard(decoder: Any, block: bytes) -> Feed:
    for start in range(0, len(block), _ZSTD_SLICE_BYTES):
        end = start + _ZSTD_SLICE_BYTES
        piece = decoder.decompress(block[start:end])
        if piece:
            yield piece
        if decoder.eof:
            return decoder, decoder.unused_data + block[end:]
    return decoder, b""


_FEED: dict[Kind, Callable[[Any, bytes], Feed]] = {
    "gz": _feed_gzip,
    "bz2": _feed_limited,
    "xz": _feed_limited,
    "zst": _feed_zstandard,
}
