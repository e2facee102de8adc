"""Opens local files and fsspec URLs alike, and reads them in blocks.

fsspec is imported for URLs only. Blocks are `BLOCK_BYTES` long, so memory does not grow with
the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

BLOCK_BYTES = 1 << 20


def is_url(path: str) -> bool:
    """Whether fsspec has to open this path."""
    return "://" in path


def open_binary(path: str) -> BinaryIO:
    """The file at a local path or an fsspec URL, open for reading.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_url(path):
        return Path(path).open("rb")
    import fsspec

    filesystem, inner = fsspec.core.url_to_fs(path)
    return cast(BinaryIO, filesystem.open(inner, "rb"))


def supports_ranges(path: str) -> bool:
    """Whether a file can be read from its middle; some web servers do not offer it."""
    if not is_url(path):
        return True
    with open_binary(path) as file:
        try:
            file.seek(1)
            file.read(1)
        except (ValueError, OSError):
            return False
    return True


def read_blocks(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of ``[start, end)`` of a file, to its end where `end` is None."""
    if start:
        file.seek(start)
    left = end - start if end is not None else None
    while left is None or left > 0:
        block = file.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
        if not block:
            return
        if left is not None:
            left -= len(block)
        yield block
