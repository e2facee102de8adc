"""Tab-separated values: every line is a record, with its text in one column.

Columns are named by the first line, or numbered from 1 in a file without such a line (then
`text_field` is a number). Lines end in ``\\n`` or ``\\r\\n``; blank ones are skipped; quotation
marks and backslashes mean themselves, as in the files of translation corpora. A line with too
few columns is rejected as `missing_text` or `missing_target`. `position` is the line's first
byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader, SourceFile
from premask.stages.read.cut import byte_range_split, chunks
from premask.stages.read.documents import Document, batches, decode
from premask.stages.read.jsonl import DEFAULT_ID_FIELD
from premask.stages.read.stream import Stream, read_head
from premask.stages.read.text import LINE_END

_NUMBER = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Numbers of the columns, from 0; None for none."""

    text: int
    target: int | None
    document_id: int | None
    has_header: bool


def _split(file: SourceFile, source: Source, unit_bytes: int, index: int) -> Iterator[Slice]:
    if file.size:
        _columns(file.path, source)
    return _byte_ranges(file, source, unit_bytes, index)


_byte_ranges = byte_range_split(lambda _source: LINE_END)


def _columns(path: str, source: Source) -> _Columns:
    """Where the fields of a source stand in a file.

    Raises:
        RequestError: the file has no such column, or names and numbers are mixed.
    """
    head = read_head(path, source.encoding)
    text = head.content.decode(head.encoding, "replace")
    line, end, _ = text.partition("\n")
    names = line.rstrip("\r").split("\t")
    fields = [source.text_field, source.target_field, source.id_field]
    given = [field for field in fields if field is not None]
    numbers = [field for field in given if _NUMBER.fullmatch(field)]
    has_header = not numbers
    if not has_header:
        allowed = [str(number) for number in range(1, len(names) + 1)]
        if not end:  # a first record that is longer than what was read shows not all columns
            allowed += [field for field in numbers if field not in allowed]
    else:
        allowed = names
        if source.id_field is None and DEFAULT_ID_FIELD in names:
            fields[2] = DEFAULT_ID_FIELD
    for key, field in zip(("text_field", "target_field", "id_field"), fields, strict=True):
        if field is not None and field not in allowed:
            raise RequestError(
                f"{path} has no column {field!r}: there are {allowed[:20]}; name the columns "
                "of its first line, or number them from 1 if that is a record like the others",
                location=f"sources.{key}",
            )
    indices = {name: number for number, name in reversed([*enumerate(allowed)])}
    if not has_header:
        indices = {name: int(name) - 1 for name in allowed}
    target, own_id = (None if field is None else indices[field] for field in fields[1:])
    return _Columns(
        text=indices[source.text_field],
        target=target,
        document_id=own_id,
        has_header=has_header,
    )


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    return batches(_documents(unit, source, ledger))


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    stream = Stream(unit, source.encoding, ledger)
    columns: _Columns | None = None
    for start, data in chunks(stream, LINE_END, unit.name, ledger):
        columns = columns or _columns(unit.path, source)
        position = start
        for line in data.split(b"\n"):
            is_header = columns.has_header and not unit.start and position == stream.position
            if line and not line.isspace() and not is_header:
                yield from _document(line, position, unit.name, columns, stream, ledger)
            position += len(line) + 1


def _document(
    line: bytes, position: int, name: str, columns: _Columns, stream: Stream, ledger: Ledger
) -> Iterator[Document]:
    """The line's document, or nothing where it lacks a column."""
    ledger.documents_read += 1
    values = decode(line, stream.encoding, ledger.counters).rstrip("\r").split("\t")
    document_id = f"{name}:{position}"
    if columns.document_id is not None and columns.document_id < len(values):
        document_id = values[columns.document_id] or document_id
    for role, number in (("text", columns.text), ("target", columns.target)):
        if number is not None and number >= len(values):
            ledger.reject(
                document_id=document_id,
                position=position,
                stage="read",
                reason=f"missing_{role}",
                detail=f"no column {number + 1}; the line has {len(values)}",
            )
            return
    target = None if columns.target is None else values[columns.target]
    yield Document(document_id, position, values[columns.text], target)


TSV = Reader(split=_split, read=_read)
