"""What a format's reader is, and the limits that every reader keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice

# A longer document (in UTF-8 bytes) is rejected as `too_long`. It bounds the memory of every
# stage: the largest novels have 5 MB, the largest encyclopedic articles 2 MB.
MAX_DOCUMENT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a source.

    Attributes:
        name: stable name: the path below the source's root, with ``/``, valid Unicode.
        path: where to open it: a local path, an fsspec URL, or a data set's name on the hub.
        size: bytes; 0 where it has none, or where its server does not tell.
        format: a key of `premask.stages.read.FORMATS`.
    """

    name: str
    path: str
    size: int
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How one format is cut into slices, and how a slice is read.

    `split(file, source, unit_bytes, index)` gives slices that cover the file, each document in
    exactly one of them; there is at least one, even for an empty file. `read(piece, source,
    ledger)` gives batches of the schema `DOCUMENTS` and accounts for what it leaves out.
    """

    split: Callable[[SourceFile, Source, int, int], Iterator[Slice]]
    read: Callable[[Slice, Source, Ledger], Iterator[pa.RecordBatch]]


def whole_file(file: SourceFile, index: int, num_bytes: int | None = None) -> Slice:
    """The slice that is the whole of a file."""
    return Slice(
        source=index,
        name=file.name,
        path=file.path,
        format=file.format,
        start=0,
        end=file.size,
        size=file.size,
        num_bytes=file.size if num_bytes is None else num_bytes,
    )
