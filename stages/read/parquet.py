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
from premask.stages.read.parquet_footer import RowGroup, read_footer

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
            groups = read_footer(handle)
            columns = find_columns(_open(handle).schema_arrow, source, file.path)
        except DAMAGE as exc:
            raise_unless_damage(exc)
            return []  # reading it reports the damage
        return [_text_bytes(group, columns) for group in groups]


def _text_bytes(group: RowGroup, columns: Columns) -> int:
    wanted = {".".join(columns.text), ".".join(columns.target)}
    return sum(group.column_bytes.get(path, 0) for path in wanted)


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    return batches(_documents(unit, source, ledger))


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    with open_binary(unit.path) as handle:
        try:
            groups = read_footer(handle)
            file = _open(handle)
            columns = find_columns(file.schema_arrow, source, unit.path)
        except DAMAGE as exc:
            raise_unless_damage(exc)
            reject_damage(ledger, unit.name, 0, "damaged_file", exc)
            return
        for number in range(unit.start, min(unit.end, len(groups))):
            ledger.share_read = (number - unit.start) / (unit.end - unit.start)
            first = sum(group.num_rows for group in groups[:number])
            yield from _group_documents(
                file, number, groups[number], columns, unit.name, first, ledger
            )


def _group_documents(
    file: pq.ParquetFile,
    number: int,
    group: RowGroup,
    columns: Columns,
    name: str,
    row: int,
    ledger: Ledger,
) -> Iterator[Document]:
    """The documents of a row group that begins at a row of the file."""
    end = row + group.num_rows
    size = rows_per_batch(group.num_rows, _text_bytes(group, columns))
    try:
        for batch in file.iter_batches(size, [number], columns.names, use_threads=False):
            documents = list(column_documents(batch, columns, name, row, ledger))
            row += batch.num_rows
            yield from documents
    except DAMAGE as exc:
        raise_unless_damage(exc)
        reject_damage(ledger, name, row, "damaged_row_group", exc, end - row)


PARQUET = Reader(split=_split, read=_read)
