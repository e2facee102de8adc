"""Targets: Parquet and Arrow files, saved data sets, and the audit of such a set.

pyarrow follows what a file says, so these look for ends of the process as much as for errors.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from premask.masking.policy import policy
from premask.pipeline.audit.run import audit, resolve
from premask.pipeline.local import LocalEngine

from tests.fuzz.target import Target, option
from tests.stages.read.reading import read_source

TEXTS = ["a", "", "ä\n\0", None, "b" * 40]
TYPES: Sequence[pa.DataType] = (
    *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()),
    pa.dictionary(pa.int8(), pa.string()),
)
MASKED = {"input_ids": [[2, 5, 4, 3], [2, 7, 3]], "labels": [[-100, -100, 6, -100], [-100] * 3]}
SAVED = ("data-00000-of-00001.arrow", "state.json", "dataset_info.json")


def _table(type_: pa.DataType) -> pa.Table:
    texts = (
        [None if t is None else t.encode() for t in TEXTS] if "binary" in str(type_) else TEXTS
    )
    column = pa.array(texts, type_.value_type if pa.types.is_dictionary(type_) else type_)
    if pa.types.is_dictionary(type_):
        column = column.dictionary_encode().cast(type_)
    return pa.table({"text": column, "id": pa.array(range(len(TEXTS)))})


def _parquet_files(fixed: Path) -> list[bytes]:
    del fixed
    files = []
    for number, type_ in enumerate(TYPES):
        table = _table(type_)
        if type_ == pa.string_view():
            table = table.cast(pa.schema([("text", pa.string()), ("id", pa.int64())]))
        sink = io.BytesIO()
        compression = ("none", "snappy", "zstd", "gzip", "brotli", "lz4")[number]
        version = "2.0" if number % 2 else "1.0"
        pq.write_table(table, sink, 3, compression=compression, data_page_version=version)
        files.append(sink.getvalue())
    return files


def _arrow_files(fixed: Path) -> list[bytes]:
    del fixed
    files = []
    for number, type_ in enumerate(TYPES):
        sink, table = io.BytesIO(), _table(type_)
        make = pa.ipc.new_file if number % 2 else pa.ipc.new_stream
        options = pa.ipc.IpcWriteOptions(compression=(None, "zstd", "lz4")[number % 3])
        with make(sink, table.schema, options=options) as writer:
            writer.write_table(table, 3)
        files.append(sink.getvalue())
    return files


def _parquet(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    path = scratch / "a.parquet"
    path.write_bytes(data)
    whole = read_source(path, format="parquet")
    parts = read_source(path, format="parquet", unit_bytes=1)
    assert sorted(parts.documents) == sorted(whole.documents)
    assert parts.read == whole.read


def _arrow(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    path = scratch / "a.arrow"
    path.write_bytes(data)
    whole = read_source(path, format="datasets")
    parts = read_source(path, format="datasets", unit_bytes=1)
    assert sorted(parts.documents) == sorted(whole.documents)
    # Of a file that is damaged before its batches, every unit tells.
    assert parts.read >= whole.read


def _save(fixed: Path, columns: dict[str, Any]) -> list[bytes]:
    """A saved data set in `fixed`; an input is a file's number and what it holds instead."""
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns).save_to_disk(fixed / "saved")
    files = [(fixed / "saved" / name).read_bytes() for name in SAVED]
    splits = json.dumps({"splits": ["train", ".."]}).encode()
    return [bytes([k]) + content for k, content in enumerate((*files, splits))]


def _damaged(data: bytes, fixed: Path, scratch: Path) -> Path:
    folder = Path(shutil.copytree(fixed / "saved", scratch / "saved"))
    (folder / option(data, 0, (*SAVED, "dataset_dict.json"))).write_bytes(data[1:])
    return folder


def _saved(data: bytes, fixed: Path, scratch: Path) -> None:
    read_source(_damaged(data, fixed, scratch))


def _audit(data: bytes, fixed: Path, scratch: Path) -> None:
    folder = str(_damaged(data, fixed, scratch))
    request = resolve(folder, policy("random"), epochs=None, tokenizer=None)
    audit(request, LocalEngine(), significance=1e-6, progress=lambda _done, _total: None)


TARGETS = {
    "parquet": Target(
        prepare=_parquet_files, run=_parquet, words=(b"PAR1", b"PARE", b"\x15\x00")
    ),
    "arrow": Target(
        prepare=_arrow_files, run=_arrow, words=(b"ARROW1\0\0", b"\xff\xff\xff\xff")
    ),
    "saved": Target(
        prepare=lambda fixed: _save(fixed, {"text": ["a", "b" * 30, "ä"]}),
        run=_saved,
        words=(b'"_indices_data_files"', b'"splits": [', b"null", b"../", b"\xff" * 4),
        options=1,
    ),
    "audit": Target(
        prepare=lambda fixed: _save(fixed, MASKED),
        run=_audit,
        words=(b'"_data_files"', b'"_fingerprint"', b"null", b"../", b"\xff" * 4),
        options=1,
    ),
}
