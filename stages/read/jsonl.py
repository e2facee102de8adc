"""JSON lines: every line is an object with its text in one field, such as ``text`` or
``article.body``.

Lines end in ``\\n``; blank ones are skipped. A line that is no JSON object, or has no text, is
rejected: `bad_json`, `not_an_object`, `missing_text`, `null_text`, `text_not_a_string`; the
same of a target that is asked for. Of duplicate keys the last counts. Integers of any size are
read, as their digits. `position` is the first byte of the line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.schemas.records import DOCUMENTS, TARGETED_DOCUMENTS
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader, SourceFile
from premask.stages.read.cut import byte_range_split, chunks
from premask.stages.read.documents import (
    Document,
    batches,
    decode,
    positional_ids,
    replace_surrogates,
    within_limits,
)
from premask.stages.read.json_columns import ColumnParser, Columns
from premask.stages.read.stream import Stream, read_head
from premask.stages.read.text import LINE_END

DEFAULT_ID_FIELD = "id"
_NUM_CHECKED = 100
_ABSENT = object()


class _Integer(str):
    """The digits of a JSON integer: never too large, and told from a string by its type."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_int=_Integer)


class _BadLine(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _split(file: SourceFile, source: Source, unit_bytes: int, index: int) -> Iterator[Slice]:
    _check_field(file, source)
    return _byte_ranges(file, source, unit_bytes, index)


_byte_ranges = byte_range_split(lambda _source: LINE_END)


def _check_field(file: SourceFile, source: Source) -> None:
    """Refuses a field that none of the first lines has, before any work is done."""
    head = read_head(file.path, source.encoding)
    fields: set[str] = set()
    for line in head.content.decode(head.encoding, "replace").split("\n")[:_NUM_CHECKED]:
        with suppress(_BadLine):
            record = _record(line)
            if _find(record, source.text_field) is not _ABSENT:
                return
            fields |= record.keys()
    if fields:
        raise RequestError(
            f"no line at the beginning of {file.path} has a field {source.text_field!r}: there "
            f"are {sorted(fields)[:20]}; name the text's field in text_field",
            location="sources.text_field",
        )


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    stream = Stream(unit, source.encoding, ledger)
    lines = _Lines(name=unit.name, source=source, stream=stream, ledger=ledger)
    parser = _column_parser(source)
    for start, data in chunks(stream, LINE_END, unit.name, ledger):
        found = None
        if parser is not None and stream.encoding == "utf-8":
            found = parser.parse(data)
        if found is not None:
            yield from lines.columns(found, data, start)
        else:
            yield from batches(lines.documents(data, start))


def _column_parser(source: Source) -> ColumnParser | None:
    """The fast parser, for fields that are no paths and all different."""
    texts = [source.text_field, *([source.target_field] if source.target_field else [])]
    id_field = source.id_field or DEFAULT_ID_FIELD
    names = {id_field, *texts}
    plain = len(names) == len(texts) + 1 and not any("." in name for name in names)
    return ColumnParser(id_field, texts) if plain else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Turns the lines of one file into documents."""

    name: str
    source: Source
    stream: Stream
    ledger: Ledger

    def columns(self, found: Columns, data: bytes, start: int) -> Iterator[pa.RecordBatch]:
        """The lines of a block as batches, those in doubt read one by one."""
        positions_L = start + found.starts_L
        others = pc.indices_nonzero(pc.invert(found.exact)).to_pylist()
        borders = [0, *(place for line in others for place in (line, line + 1))]
        positions = pa.array(positions_L)
        columns = [self._named(found.ids, positions), positions, *found.texts]
        schema = DOCUMENTS if len(found.texts) == 1 else TARGETED_DOCUMENTS
        for index, (first, last) in enumerate(pairwise([*borders, len(positions_L)])):
            if index % 2:
                line = data[found.starts_L[first] : found.stops_L[first]]
                yield from batches(self.documents(line, int(positions_L[first])))
            elif first < last:
                self.ledger.documents_read += last - first
                arrays = [column.slice(first, last - first) for column in columns]
                yield from within_limits(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _named(self, ids: pa.Array, positions: pa.Array) -> pa.Array:
        """The ids of lines, by their positions where they have none of their own."""
        if not ids.null_count and pc.min(pc.binary_length(ids)).as_py():
            return ids
        unnamed = pc.or_kleene(pc.is_null(ids), pc.equal(ids, ""))
        return pc.if_else(unnamed, positional_ids(self.name, positions), ids)

    def documents(self, data: bytes, start: int) -> Iterator[Document]:
        """The lines of a block, read one by one."""
        stream, position = self.stream, start
        for line in data.split(b"\n"):
            if line and not line.isspace():
                text = decode(line, stream.encoding, self.ledger.counters)
                yield from _document(
                    text, position, self.name, self.source, stream, self.ledger
                )
            position += len(line) + 1


def _document(
    line: str, position: int, name: str, source: Source, stream: Stream, ledger: Ledger
) -> Iterator[Document]:
    """The line's document, or nothing where it is rejected."""
    document_id = f"{name}:{position}"
    try:
        record = _record(line)
        own_id = _find(record, source.id_field or DEFAULT_ID_FIELD)
        document_id = replace_surrogates(record_id(own_id, document_id), ledger.counters)
        text = _text(record, source.text_field)
        target = source.target_field and _text(record, source.target_field, "target")
    except _BadLine as exc:
        if exc.reason == "bad_json" and stream.damaged:
            return  # the line that a damaged stream cut off: accounted for with the damage
        ledger.documents_read += 1
        ledger.reject(
            document_id=document_id,
            position=position,
            stage="read",
            reason=exc.reason,
            detail=exc.detail,
        )
        return
    ledger.documents_read += 1
    if "\\ud" in line or "\\uD" in line:
        text = replace_surrogates(text, ledger.counters)
        target = target and replace_surrogates(target, ledger.counters)
    yield Document(document_id, position, text, target)


def _record(line: str) -> dict[str, Any]:
    try:
        record = _DECODER.decode(line)
    except RecursionError as exc:
        raise _BadLine("bad_json", "nested too deeply") from exc
    except ValueError as exc:
        raise _BadLine("bad_json", str(exc)) from exc
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise _BadLine("not_an_object", f"a line must be an object, got {kind}")
    return record


def _find(record: dict[str, Any], field: str) -> Any:
    """The value at a field or a dotted path; a field whose own name has dots comes first."""
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
    return value


def _text(record: dict[str, Any], field: str, role: str = "text") -> str:
    text = _find(record, field)
    if text is _ABSENT:
        raise _BadLine(f"missing_{role}", f"no field {field!r}; there are {list(record)}")
    if text is None:
        raise _BadLine(f"null_{role}", f"field {field!r} is null")
    if type(text) is not str:
        kind = "int" if isinstance(text, _Integer) else type(text).__name__
        raise _BadLine(f"{role}_not_a_string", f"field {field!r} is of type {kind}")
    return text


def record_id(value: object, default: str) -> str:
    """A record's own id as a string, or the default where it has none that can be one."""
    if value is None or value == "" or isinstance(value, bool):
        return default
    return str(value) if isinstance(value, str | int | float) else default


JSONL = Reader(split=_split, read=_read)
