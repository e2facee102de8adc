"""Arrow files, in the stream or the file format: units of record batches.

Hugging Face's library saves data sets as such files. Every batch is validated before it is
used: the rows of a damaged one are rejected as `damaged_batch`. Where a file ends early or is
corrupt, the batches before stay, and one document is rejected as `damaged_file`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import SourceFile
from premask.stages.read.columns import (
    DAMAGE,
    Columns,
    column_documents,
    find_columns,
    raise_unless_damage,
    reject_damage,
    rows_per_batch,
)
from premask.stages.read.documents import Document, batches
from premask.stages.read.opening import is_url, open_binary

_FILE_MAGIC = b"ARROW1\0\0"  # what follows it in the file format is a stream


def split_arrow(
    file: SourceFile, source: Source, unit_bytes: int, index: int
) -> Iterator[Slice]:
    """Units of record batches, found from the messages' headers."""
    sizes = _batch_sizes(file, source)
    start = num_bytes = 0
    for end in range(1, len(sizes) + 1) or [0]:
        num_bytes += sum(sizes[end - 1 : end])
        if num_bytes >= unit_bytes or end == len(sizes):
            yield Slice(
                source=index,
                name=file.name,
                path=file.path,
                format=file.format,
                start=start,
                end=end,
                size=file.size,
                num_bytes=num_bytes,
            )
            start, num_bytes = end, 0


def read_arrow(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """The documents of a unit."""
    return batches(_documents(unit, source, ledger))


def _open(path: str) -> Any:
    """The file as pyarrow's, memory-mapped where it is local, at the start of its stream."""
    file = pa.PythonFile(open_binary(path), mode="r") if is_url(path) else pa.memory_map(path)
    if file.read(len(_FILE_MAGIC)) != _FILE_MAGIC:
        file.seek(0)
    return file


def _batch_sizes(file: SourceFile, source: Source) -> list[int]:
    """The bytes of each record batch; a last one of 0 stands for a damaged rest."""
    if _is_empty(file.path):
        return [0]
    with _open(file.path) as opened:
        start = opened.tell()
        try:
            find_columns(pa.ipc.open_stream(opened).schema, source, file.path)
        except DAMAGE as exc:
            raise_unless_damage(exc)
            return [0]
        opened.seek(start)
        sizes: list[int] = []
        try:
            for message in pa.ipc.MessageReader.open_stream(opened):
                if message.type == "record batch":
                    sizes.append(message.body.size)
            whole = _is_whole(opened, len(sizes)) if start else opened.tell() == opened.size()
        except DAMAGE as exc:
            raise_unless_damage(exc)
            whole = False
    return sizes if whole else [*sizes, 0]


def _is_whole(file: Any, num_batches: int) -> bool:
    """Whether a footer says that the file has so many batches."""
    file.seek(0)
    return bool(pa.ipc.open_file(file).num_record_batches == num_batches)


def _is_empty(path: str) -> bool:
    return not is_url(path) and not Path(path).stat().st_size


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    if _is_empty(unit.path):
        reject_damage(ledger, unit.name, 0, "damaged_file", "the file has 0 bytes")
        return
    row = num_batches = 0
    with _open(unit.path) as opened:
        try:
            reader = pa.ipc.open_stream(opened)
            columns = find_columns(reader.schema, source, unit.path)
            for batch in islice(reader, unit.end):
                if num_batches >= unit.start:
                    ledger.share_read = (num_batches - unit.start) / (unit.end - unit.start)
                    yield from _batch_documents(batch, columns, unit.name, row, ledger)
                row += batch.num_rows
                num_batches += 1
        except DAMAGE as exc:
            raise_unless_damage(exc)
            reject_damage(ledger, unit.name, row, "damaged_file", exc)
        else:
            if num_batches < unit.end:
                detail = f"the file ends or is damaged after {num_batches} batches"
                reject_damage(ledger, unit.name, row, "damaged_file", detail)


def _batch_documents(
    batch: pa.RecordBatch, columns: Columns, name: str, row: int, ledger: Ledger
) -> Iterator[Document]:
    """The documents of a batch, a slice at a time, or none where its data are damaged."""
    end = row + batch.num_rows
    try:
        batch = batch.select(columns.top_level)
        batch.validate()  # even its size is found by following its offsets
        size = rows_per_batch(batch.num_rows, batch.nbytes)
        for start in range(0, batch.num_rows, size):
            part = batch.slice(start, size)
            yield from list(column_documents(part, columns, name, row, ledger))
            row += part.num_rows
    except DAMAGE as exc:
        raise_unless_damage(exc)
        reject_damage(ledger, name, row, "damaged_batch", exc, end - row)
