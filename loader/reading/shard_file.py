"""Opens one shard and checks it, so that reading rows from it later cannot go wrong.

An Arrow file is believed in nothing: a wrong list offset or buffer length would otherwise end
the process on access. Every buffer is measured against what its column claims, every list's
offsets must rise and stay inside the values, and the rows must add up to the manifest's. What
is left is a table of addresses (`Block`) that the gather in `premask.shards` can trust.

Costs about 30 µs per record batch, and the pages of the offsets. Nothing of the tokens is read
or copied, unless the shard is compressed: then the whole of it is decoded into memory.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from premask._errors import FormatError
from premask._format import BOUNDARIES, INPUT_IDS, TRACKS
from premask.reading.columns import LIST, NUMBER, TEXT, Layout, layouts
from premask.reading.memory import Region, address_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One column of one record batch, as addresses.

    Attributes:
        offsets: address of ``rows + 1`` int32 offsets; 0 where the column is no list.
        values: address of the first value.
        limit: from `values` up to here everything may be read.
        length: the length that all its lists have; None where they differ.
    """

    offsets: int
    values: int
    limit: int
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenShard:
    """A shard that passed its checks.

    Attributes:
        schema, layouts: its columns.
        num_rows: rows of each record batch.
        blocks: by column, one per record batch.
        texts: by text column, one Arrow array per record batch, checked.
        region: spans every address of the blocks.
        heap_bytes: memory that decoding took; 0 for a mapped shard.
        keep: what owns the memory; the addresses are good while it lives.
    """

    schema: pa.Schema
    layouts: Mapping[str, Layout]
    num_rows: tuple[int, ...]
    blocks: Mapping[str, tuple[Block, ...]]
    texts: Mapping[str, tuple[pa.Array, ...]]
    region: Region
    heap_bytes: int
    keep: tuple[object, ...]


def open_shard(path: Path, *, num_rows: int, columns: Mapping[str, str]) -> OpenShard:
    """Maps the shard at `path` and checks it.

    Args:
        num_rows: rows according to the manifest.
        columns: columns according to the manifest: type by name, as text.

    Raises:
        FormatError: the file is damaged or is not the shard that the manifest describes.
    """
    try:
        # Closing gives back the descriptor alone: the buffer keeps the mapping alive, and a
        # set of thousands of shards stays below the process's limit of open files.
        with contextlib.closing(pa.memory_map(str(path))) as source:
            mapping = source.read_buffer()
        reader = pa.ipc.open_stream(mapping)
        batches = [batch for batch in reader if batch.num_rows]
        schema = reader.schema
        found = {column.name: _plain(str(column.type)) for column in schema}
        for batch in batches:
            batch.validate()  # lengths and sizes, in constant time; the offsets are ours
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(
            f"the shard is not a readable Arrow stream: {error}", location=str(path)
        ) from error
    if found != {name: _plain(text) for name, text in columns.items()}:
        raise FormatError(
            f"the shard has columns {found}; the manifest says {dict(columns)}",
            location=str(path),
        )
    rows = sum(batch.num_rows for batch in batches)
    if rows != num_rows:
        raise FormatError(
            f"the shard has {rows} rows; the manifest says {num_rows}", location=str(path)
        )
    return _checked(batches, schema, mapping, location=str(path))


def _plain(arrow: str) -> str:
    """The name of a type without the names of its fields: ``list<uint16>``."""
    return re.sub(r"<\w+: ([^>]*?)(?: not null)?>", r"<\1>", arrow)


def _checked(
    batches: Sequence[pa.RecordBatch],
    schema: pa.Schema,
    mapping: pa.Buffer,
    *,
    location: str,
) -> OpenShard:
    columns = layouts(schema, location=location)
    blocks: dict[str, list[Block]] = {n: [] for n, c in columns.items() if c.kind != TEXT}
    keep: list[object] = [mapping, *batches]
    for number, batch in enumerate(batches):
        where = f"{location}, record batch {number}"
        found = {
            name: _column(batch.column(name), column, location=f"{where}, column {name}")
            for name, column in columns.items()
        }
        for name, (block, _) in found.items():
            if block is not None:
                blocks[name].append(block)
        offsets = {name: rises for name, (_, rises) in found.items() if rises is not None}
        _check_lengths({name: np.diff(x) for name, x in offsets.items()}, location=where)
        keep.extend(offsets.values())
    start, end = mapping.address, mapping.address + mapping.size
    num_rows = tuple(batch.num_rows for batch in batches)
    limited = {name: _up_to_the_end(column, start, end) for name, column in blocks.items()}
    return OpenShard(
        schema=schema,
        layouts=columns,
        num_rows=num_rows,
        blocks=limited,
        texts={
            name: tuple(batch.column(name) for batch in batches)
            for name, column in columns.items()
            if column.kind == TEXT
        },
        region=_span(limited, num_rows),
        heap_bytes=_heap_bytes(batches, start, end),
        keep=tuple(keep),
    )


def _up_to_the_end(blocks: Sequence[Block], start: int, end: int) -> tuple[Block, ...]:
    """`blocks`, whose rows may be read past their ends to that of the file they lie in."""
    return tuple(
        replace(block, limit=end) if start <= block.values < end else block for block in blocks
    )


def _span(blocks: Mapping[str, Sequence[Block]], num_rows: Sequence[int]) -> Region:
    found = [
        (block, rows)
        for column in blocks.values()
        for block, rows in zip(column, num_rows, strict=True)
    ]
    if not found:
        return Region(0, 0)
    return Region(
        min(min(block.values, block.offsets or block.values) for block, _ in found),
        max(max(block.limit, block.offsets + 4 * (rows + 1)) for block, rows in found),
    )


def _heap_bytes(batches: Sequence[pa.RecordBatch], start: int, end: int) -> int:
    buffers = [b for batch in batches for column in batch.columns for b in column.buffers()]
    return sum(b.size for b in buffers if b is not None and not start <= b.address < end)


def _size(buffer: pa.Buffer | None) -> int:
    return 0 if buffer is None else int(buffer.size)


def _check_no_nulls(array: pa.Array, *, location: str) -> None:
    """Looks into a validity bitmap only when it is as long as the column needs."""
    bitmap = array.buffers()[0]
    if bitmap is None:
        return
    if bitmap.size * 8 < len(array) + array.offset or array.null_count:
        raise FormatError("a column of a shard holds nulls", location=location)


def _column(
    array: pa.Array, column: Layout, *, location: str
) -> tuple[Block | None, np.ndarray | None]:
    """The block of a column, none for text, and the offsets of its lists, once checked."""
    _check_no_nulls(array, location=location)
    if column.kind == LIST:
        return _lists(array, column, location=location)
    if column.kind == NUMBER:
        return _numbers(array, column, location=location), None
    _offsets(array, _size(array.buffers()[2]), location=location)
    return None, None


def _numbers(array: pa.Array, column: Layout, *, location: str) -> Block:
    return _values(array.buffers()[1], array.offset, len(array), column.dtype, 0, location)


def _lists(array: pa.Array, column: Layout, *, location: str) -> tuple[Block, np.ndarray]:
    """The block of a list column and its offsets, which fixed-size lists are given here."""
    values, child = array.buffers()[-1], array.values
    _check_no_nulls(child, location=location)
    capacity = min(len(child), _size(values) // column.dtype.itemsize - child.offset)
    if pa.types.is_fixed_size_list(array.type):
        width = int(array.type.list_size)
        offsets = np.arange(array.offset, array.offset + len(array) + 1, dtype=np.int32) * width
        if offsets[-1] > capacity:
            raise FormatError("the lists reach beyond the values", location=location)
    else:
        offsets = _offsets(array, capacity, location=location)
    block = _values(values, child.offset, capacity, column.dtype, address_of(offsets), location)
    lengths = np.diff(offsets)
    same = bool((lengths == lengths[0]).all())
    return replace(block, length=int(lengths[0]) if same else None), offsets


def _offsets(array: pa.Array, capacity: int, *, location: str) -> np.ndarray:
    """A view of `array`'s offsets, once they rise and stay within `capacity` values."""
    buffer = array.buffers()[1]
    needed = array.offset + len(array) + 1
    if buffer is None or buffer.size < 4 * needed or buffer.address % 4:
        raise FormatError("the offsets are cut off", location=location)
    offsets = np.frombuffer(buffer, np.int32, len(array) + 1, 4 * array.offset)
    if offsets[0] < 0 or offsets[-1] > capacity or bool((offsets[1:] < offsets[:-1]).any()):
        raise FormatError(
            f"the offsets do not rise from 0 to at most {capacity}; run `premask verify`",
            location=location,
        )
    return offsets


def _check_lengths(lengths: Mapping[str, np.ndarray], *, location: str) -> None:
    """Refuses annotations that are not one per token."""
    for name in (BOUNDARIES, *TRACKS):
        if (
            name in lengths
            and INPUT_IDS in lengths
            and not np.array_equal(lengths[name], lengths[INPUT_IDS])
        ):
            raise FormatError(
                f"the offsets of {name} and {INPUT_IDS} disagree; run `premask verify`",
                location=f"{location}, column {name}",
            )


def _values(
    buffer: pa.Buffer | None,
    offset: int,
    count: int,
    dtype: np.dtype,
    offsets: int,
    location: str,
) -> Block:
    size = _size(buffer)
    if (offset + count) * dtype.itemsize > size or count < 0:
        raise FormatError("the values are cut off", location=location)
    if buffer is None:  # every list is empty
        return Block(offsets=offsets, values=offsets, limit=offsets)
    if buffer.address % dtype.itemsize:
        raise FormatError("the values are not aligned to their type", location=location)
    start = int(buffer.address)
    return Block(offsets=offsets, values=start + offset * dtype.itemsize, limit=start + size)
