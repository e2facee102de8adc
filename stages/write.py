"""Writes the rows of a unit as one shard: an Arrow IPC stream under the name ``.arrow``.

Rows are shuffled on the way, in windows of at most `WINDOW_ROWS` rows or `WINDOW_BYTES`, by
the order of their seeds: a keyed permutation that needs no further state, and memory that does
not grow with the unit. Record batches have about `batch_bytes` each, so a reader gets at a
window with one request. Checksums are taken while writing; nothing is read again.

The same rows in the same order give the same bytes. The file is written under the name given
and synced; to publish it whole or not at all is the business of `premask.pipeline.output`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from premask._format import INPUT_IDS, SEED

WINDOW_ROWS = 1 << 16
WINDOW_BYTES = 64 << 20

Compression = Literal["none", "lz4", "zstd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenShard:
    """What was written: the fields of `premask.manifest.ShardEntry` that the file decides."""

    num_rows: int
    num_tokens: int
    num_bytes: int
    xxh3_64: str
    sha256: str


def write_shard(
    rows: Iterable[pa.RecordBatch],
    path: Path,
    *,
    metadata: Mapping[str, str],
    compression: Compression = "none",
    batch_bytes: int = 1 << 20,
) -> WrittenShard | None:
    """Writes `rows` to `path`; returns None and writes nothing where there are none.

    Raises:
        OSError: the disk is full or the folder is missing; no file is left.
    """
    windows = _windows(rows)
    first = next(windows, None)
    if first is None:
        return None
    schema = first.schema.with_metadata(dict(metadata))
    codec = None if compression == "none" else compression
    options = pa.ipc.IpcWriteOptions(compression=codec)
    num_rows = num_tokens = 0
    with (
        _gone_on_error(path),
        HashingFile(path) as file,
        pa.ipc.new_stream(file, schema, options=options) as stream,
    ):
        for window in chain([first], windows):
            for batch in _record_batches(window, batch_bytes):
                stream.write_batch(batch)
            num_rows += window.num_rows
            num_tokens += _num_tokens(window)
    return WrittenShard(
        num_rows=num_rows,
        num_tokens=num_tokens,
        num_bytes=file.size,
        xxh3_64=file.xxh3.hexdigest(),
        sha256=file.sha256.hexdigest(),
    )


@contextmanager
def _gone_on_error(path: Path) -> Iterator[None]:
    """Leaves no file at `path` when the work on it fails."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _windows(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Shuffled tables of at most `WINDOW_ROWS` rows and about `WINDOW_BYTES`."""
    gathered: list[pa.RecordBatch] = []
    num_rows = num_bytes = 0
    for batch in _pieces(rows):
        full = num_rows + batch.num_rows > WINDOW_ROWS or num_bytes > WINDOW_BYTES
        if gathered and full:
            yield _shuffled(gathered)
            gathered, num_rows, num_bytes = [], 0, 0
        gathered.append(batch)
        num_rows += batch.num_rows
        num_bytes += batch.nbytes
    if gathered:
        yield _shuffled(gathered)


def _pieces(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        for start in range(0, batch.num_rows, WINDOW_ROWS):
            yield batch.slice(start, WINDOW_ROWS)


def _shuffled(batches: list[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(batches).combine_chunks()
    order = pa.array(np.argsort(table.column(SEED).to_numpy(), kind="stable"))
    columns = [
        _taken(column.chunk(0), order) if pa.types.is_list(column.type) else column.take(order)
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=table.schema).combine_chunks()


def _taken(lists: pa.ListArray, order: pa.Array) -> pa.ListArray:
    """Lists of numbers in another order.

    Taken as strings of bytes, which Arrow copies whole, and lists value by value.
    """
    values = lists.values
    width = values.type.bit_width // 8
    data = values.buffers()[1]
    if values.offset:
        data = data.slice(values.offset * width)
    offsets = lists.offsets.to_numpy().astype(np.int64) * width
    strings = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(lists), [None, pa.py_buffer(offsets), data]
    ).take(order)
    _, ends, taken = strings.buffers()
    found = np.frombuffer(ends, np.int64)[strings.offset : strings.offset + len(lists) + 1]
    splits = (found // width).astype(np.int32)
    numbers = pa.Array.from_buffers(values.type, int(splits[-1]), [None, taken])
    return pa.ListArray.from_arrays(pa.array(splits), numbers, type=lists.type)


def _record_batches(window: pa.Table, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    """The window cut into record batches of at most `batch_bytes`, at least one row each."""
    ends_R = np.cumsum(_row_bytes(window))
    start = 0
    while start < window.num_rows:
        used = int(ends_R[start - 1]) if start else 0
        stop = int(np.searchsorted(ends_R, used + batch_bytes, side="right"))
        stop = max(stop, start + 1)
        (batch,) = window.slice(start, stop - start).to_batches()
        yield batch
        start = stop


def _row_bytes(window: pa.Table) -> npt.NDArray[np.int64]:
    """Bytes of each row: its lists and their offsets; strings are not counted."""
    lists = [field for field in window.schema if pa.types.is_list(field.type)]
    per_token = sum(field.type.value_type.bit_width // 8 for field in lists)
    per_row = 4 * len(lists) + 32
    lengths = pc.list_value_length(window.column(INPUT_IDS)).to_numpy()
    bytes_R: npt.NDArray[np.int64] = lengths.astype(np.int64) * per_token + per_row
    return bytes_R


def _num_tokens(window: pa.Table) -> int:
    return sum(len(chunk.flatten()) for chunk in window.column(INPUT_IDS).chunks)


class HashingFile:
    """A new file for writing that hashes what passes, and is on the disk when closed."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self.size = 0
        self.xxh3 = xxhash.xxh3_64()
        self.sha256 = hashlib.sha256()

    def __enter__(self) -> HashingFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def write(self, data: bytes | pa.Buffer) -> int:
        """Writes all of `data`."""
        view = memoryview(data)
        self._file.write(view)
        self.size += view.nbytes
        self.xxh3.update(view)
        self.sha256.update(view)
        return view.nbytes

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        """Left to ``__exit__``: Arrow closes its sink before the checksums are complete."""

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def dataset_info() -> bytes:
    """``dataset_info.json``: what `datasets.load_from_disk` needs of it, nothing more."""
    return b"{}\n"


def dataset_state(files: Iterable[str], fingerprint: str) -> bytes:
    """``state.json``: the shards, relative to the set, and the data set's fingerprint.

    `fingerprint` is any hexadecimal text that changes when the rows do; `datasets` names its
    caches after it.
    """
    state: dict[str, Any] = {
        "_data_files": [{"filename": file} for file in files],
        "_fingerprint": fingerprint[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    return (json.dumps(state, indent=2, sort_keys=True) + "\n").encode()
