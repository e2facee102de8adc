"""Parquet files: units of whole row groups, read a few megabytes at a time.

A file whose footer cannot be read is rejected as one document, `damaged_file`; the rows of a
row group that cannot be read are rejected as `damaged_row_group`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader, SourceFile
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
from premask.stages.read.opening import open_binary

_BUFFER_BYTES = 1 << 20


def _open(handle: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(handle, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def _split(file: SourceFile, source: Source, unit_bytes: int, index: int) -> Iterator[Slice]:
    sizes = _group_sizes(file, source) or [0]
    start = num_bytes = 0
    for group, size in enumerate(sizes):
        num_bytes += size
        if num_bytes >= unit_bytes or group == len(sizes) - 1:
            yield Slice(
                source=index,
                name=file.name,
                path=file.path,
                format=file.format,
                start=start,
                end=group + 1,
                size=file.size,
                num_bytes=num_bytes,
            )
            start, num_bytes = group + 1, 0


def _group_sizes(file: SourceFile, source: Source) -> list[int]:
    """The decoded size of each row group's text; empty for a damaged file."""
    with open_binary(file.path) as handle:
        try:
            opened = _open(handle)
        except DAMAGE as exc:
            raise_unless_damage(exc)
            return []  # reading it reports the damage
        columns = find_columns(opened.schema_arrow, source, file.path)
        groups = range(opened.metadata.num_row_groups)
        return [_text_bytes(opened.metadata.row_group(group), columns) for group in groups]


def _text_bytes(group: pq.RowGroupMetaData, columns: Columns) -> int:
    chunks = [group.column(position) for position in range(group.num_columns)]
    wanted = {".".join(columns.text), ".".join(columns.target)}
    return sum(c.total_uncompressed_size for c in chunks if c.path_in_schema in wanted)


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    return batches(_documents(unit, source, ledger))


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    with open_binary(unit.path) as handle:
        try:
            file = _open(handle)
        except DAMAGE as exc:
            raise_unless_damage(exc)
            reject_damage(ledger, unit.name, 0, "damaged_file", exc)
            return
        columns = find_columns(file.schema_arrow, source, unit.path)
        rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        for group in range(unit.start, min(unit.end, file.num_row_groups)):
            ledger.share_read = (group - unit.start) / (unit.end - unit.start)
            yield from _group_documents(
                file, group, columns, unit.name, sum(rows[:group]), ledger
            )


def _group_documents(
    file: pq.ParquetFile, group: int, columns: Columns, name: str, row: int, ledger: Ledger
) -> Iterator[Document]:
    """The documents of a row group that begins at a row of the file."""
    metadata = file.metadata.row_group(group)
    end = row + metadata.num_rows
    size = rows_per_batch(metadata.num_rows, _text_bytes(metadata, columns))
    try:
        for batch in file.iter_batches(size, [group], columns.names, use_threads=False):
            documents = list(column_documents(batch, columns, name, row, ledger))
            row += batch.num_rows
            yield from documents
    except DAMAGE as exc:
        raise_unless_damage(exc)
        reject_damage(ledger, name, row, "damaged_row_group", exc, end - row)


PARQUET = Reader(split=_split, read=_read)
