"""Documents from columnar data: Parquet, Arrow files and Hugging Face data sets.

The text is a column of strings (plain, large, view, dictionary, or binary that holds UTF-8) at
a path such as ``text`` or ``article.body``. Arrays from files are validated before they are
touched: bad offsets end the process otherwise. `position` is the row in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.schemas.unit import Ledger
from premask.stages.read import _reader
from premask.stages.read.documents import Document, decode
from premask.stages.read.jsonl import DEFAULT_ID_FIELD, record_id
from premask.stages.read.parquet_footer import DamagedFooter

# What pyarrow raises over damaged data. A failing disk or network raises an OSError too, but
# one with a number, and is no fault of the file.
DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, DamagedFooter)
MAX_LOST_ROWS = 10_000
_BATCH_BYTES = 4 << 20
_MAX_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Paths of the text, the id and the target (empty: none) from the top of the schema."""

    text: tuple[str, ...]
    document_id: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns to read, as dotted paths."""
        return [".".join(path) for path in (self.text, self.document_id, self.target) if path]

    @property
    def top_level(self) -> list[str]:
        """The columns in which they lie, each once."""
        paths = (self.text, self.document_id, self.target)
        return list(dict.fromkeys(path[0] for path in paths if path))


def find_columns(schema: pa.Schema, source: Source, place: str) -> Columns:
    """The columns that a source asks for.

    Raises:
        RequestError: a column is absent or ambiguous, or the text is no string.
    """
    text = _text_path(schema, source.text_field, "text", place)
    identity = _path(schema, source.id_field or DEFAULT_ID_FIELD)
    if identity is None and source.id_field:
        raise _refusal(
            f"{place} has no column {source.id_field!r}: it has {schema.names}; name the "
            "id's column in id_field, or leave it out",
            "sources.id_field",
        )
    target: tuple[str, ...] = ()
    if source.target_field is not None:
        target = _text_path(schema, source.target_field, "target", place)
    return Columns(text=text, document_id=identity or (), target=target)


def _text_path(schema: pa.Schema, name: str, role: str, place: str) -> tuple[str, ...]:
    """The path of the column of strings called `name`.

    Raises:
        RequestError: it is absent, or holds no strings.
    """
    path, location = _path(schema, name), f"sources.{role}_field"
    if path is None:
        raise _refusal(
            f"{place} has no column {name!r}: it has {schema.names}; name the {role}'s column "
            f"in {role}_field",
            location,
        )
    found = _type_at(schema, path)
    if not _is_text(found):
        raise _refusal(
            f"column {name!r} of {place} is of type {found}, not of strings: name another "
            f"column in {role}_field",
            location,
        )
    return path


def rows_per_batch(num_rows: int, num_bytes: int) -> int:
    """How many rows to read at once, so that a batch holds a few megabytes."""
    return max(1, min(_MAX_ROWS, _BATCH_BYTES * max(num_rows, 1) // max(num_bytes, 1)))


def column_documents(
    batch: pa.RecordBatch, columns: Columns, prefix: str, first_row: int, ledger: Ledger
) -> Iterator[Document]:
    """The documents of a batch; `prefix` and the row make the id of those without one.

    Raises:
        pyarrow.ArrowInvalid: the batch is damaged.
    """
    texts = _texts(_at(batch, columns.text), ledger.counters)
    ids: Sequence[object] = [None] * batch.num_rows
    if columns.document_id:
        ids = _ids(_at(batch, columns.document_id))
    targets: Sequence[str | None] = [""] * batch.num_rows
    if columns.target:
        targets = _texts(_at(batch, columns.target), ledger.counters)
    for row, (text, own_id, target) in enumerate(
        zip(texts, ids, targets, strict=True), first_row
    ):
        document_id = record_id(own_id, f"{prefix}:{row}")
        ledger.documents_read += 1
        if text is None or target is None:
            role = "text" if text is None else "target"
            _reject(ledger, document_id, row, f"null_{role}", f"the {role} is null")
        elif len(text) + len(target) > _reader.MAX_DOCUMENT_BYTES:
            detail = f"a document may have {_reader.MAX_DOCUMENT_BYTES} bytes at most"
            _reject(ledger, document_id, row, "too_long", detail)
        else:
            yield Document(document_id, row, text, target if columns.target else None)


def raise_unless_damage(exc: Exception) -> None:
    """Raises an error again that the file's content did not cause."""
    if isinstance(exc, OSError) and exc.errno is not None:
        raise exc


def reject_damage(
    ledger: Ledger, name: str, row: int, reason: str, detail: object, lost_rows: int = 1
) -> None:
    """Records every row that damage hides, from `row` on; one where their number is unknown.

    Of very many, those beyond `MAX_LOST_ROWS` are counted only, as ``lost_rows``.
    """
    for lost in range(row, row + min(lost_rows, MAX_LOST_ROWS)):
        ledger.documents_read += 1
        _reject(ledger, f"{name}:{lost}", lost, reason, str(detail))
    if lost_rows > MAX_LOST_ROWS:
        ledger.counters["lost_rows"] += lost_rows - MAX_LOST_ROWS


def _reject(ledger: Ledger, document_id: str, row: int, reason: str, detail: str) -> None:
    ledger.reject(
        document_id=document_id, position=row, stage="read", reason=reason, detail=detail
    )


def _refusal(message: str, location: str) -> RequestError:
    return RequestError(message, location=location)


def _path(schema: pa.Schema, name: str) -> tuple[str, ...] | None:
    """The path that a dotted name stands for; a column whose own name has dots comes first."""
    count = len(schema.get_all_field_indices(name))
    if count > 1:
        raise _refusal(
            f"{count} columns are called {name!r}: rename them, or read another column",
            "sources.text_field",
        )
    if count:
        return (name,)
    path = tuple(name.split("."))
    return path if len(path) > 1 and _type_at(schema, path) is not None else None


def _type_at(schema: pa.Schema, path: tuple[str, ...]) -> pa.DataType | None:
    fields = schema
    for depth, name in enumerate(path):
        position = fields.get_field_index(name)
        if position < 0:
            return None
        found = fields.field(position).type
        if depth < len(path) - 1 and not pa.types.is_struct(found):
            return None
        fields = found
    return fields


def _is_text(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
    )
    return any(test(type_) for test in tests)


def _at(batch: pa.RecordBatch, path: tuple[str, ...]) -> pa.Array:
    column = batch.column(path[0])
    for name in path[1:]:
        column = pc.struct_field(column, name)
    return column


def _texts(column: pa.Array, counters: Counter[str]) -> list[str | None]:
    """The strings of a column; invalid bytes in them become U+FFFD and are counted."""
    binary = _as_binary(column)
    try:
        texts: list[str | None] = binary.cast(pa.large_string()).to_pylist()
    except pa.ArrowInvalid:
        return [
            None if value is None else decode(value, "utf-8", counters)
            for value in binary.to_pylist()
        ]
    return texts


def _as_binary(column: pa.Array) -> pa.Array:
    """The column as large binary, its offsets checked and its text not yet."""
    type_ = column.type
    if pa.types.is_dictionary(type_):
        values = _as_binary(column.dictionary)
        indices = column.indices
        indices.validate(full=True)
        return values.take(indices)  # take checks the indices' bounds
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        binary = pa.binary() if pa.types.is_string(type_) else pa.large_binary()
        column = pa.Array.from_buffers(
            binary, len(column), column.buffers(), column.null_count, column.offset
        )
    column.validate(full=True)
    return column.cast(pa.large_binary())


def _ids(column: pa.Array) -> list[object]:
    column.validate(full=True)
    values: list[object] = column.to_pylist()
    return values
