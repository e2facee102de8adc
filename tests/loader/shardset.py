"""Writes valid shard sets of random ragged rows, for tests of what reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from premask import Boundary, Manifest, Vocabulary
from premask.manifest import ShardEntry

VOCABULARY = Vocabulary(
    size=1000,
    pad_id=0,
    mask_id=4,
    bos_id=2,
    eos_id=3,
    cls_id=2,
    sep_id=3,
    unk_id=1,
    special_ids=(0, 1, 2, 3, 4, *range(900, 1000)),
    sentinel_ids=tuple(range(999, 899, -1)),
    prefix_ids=(2,),
    suffix_ids=(3,),
    replacement_ranges=((5, 900),),
)
COLUMNS = {
    "input_ids": pa.list_(pa.uint16()),
    "boundaries": pa.list_(pa.uint8()),
    "seed": pa.uint64(),
    "document_id": pa.string(),
    "num_documents": pa.uint16(),
}
MAX_LENGTH = 64


def random_lengths(num_rows: int, *, seed: int = 0) -> np.ndarray:
    """Row lengths between 3 and `MAX_LENGTH`."""
    return np.random.default_rng(seed).integers(3, MAX_LENGTH + 1, num_rows)


def random_rows(lengths: Sequence[int] | np.ndarray, *, seed: int = 0) -> dict[str, list[Any]]:
    """Columns of rows ``[CLS] words [SEP]`` with the given lengths."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for i, length in enumerate(lengths):
        ids = rng.integers(5, 900, length)
        ids[0], ids[-1] = 2, 3
        bits = np.where(rng.random(length) < 0.6, Boundary.WORD_START, 0)
        bits[0] = bits[-1] = Boundary.SPECIAL
        bits[1] |= Boundary.WORD_START
        rows["input_ids"].append(ids)
        rows["boundaries"].append(bits)
        rows["seed"].append(int(rng.integers(0, 2**64, dtype=np.uint64)))
        rows["document_id"].append(f"document-{i}é")
        rows["num_documents"].append(1)
    return rows


def write_shard(
    path: Path,
    rows: dict[str, list[Any]],
    *,
    columns: dict[str, pa.DataType],
    batch_rows: int = 7,
    compression: str | None = None,
) -> None:
    """One Arrow stream with record batches of `batch_rows` rows."""
    schema = pa.schema([pa.field(name, kind) for name, kind in columns.items()])
    options = pa.ipc.IpcWriteOptions(compression=compression)
    num_rows = len(rows["input_ids"])
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, schema, options=options) as writer,
    ):
        for first in range(0, num_rows, batch_rows):
            part = {name: rows[name][first : first + batch_rows] for name in columns}
            arrays = [pa.array(part[name], columns[name]) for name in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def entry(root: Path, file: str, rows: dict[str, list[Any]]) -> ShardEntry:
    """The manifest's entry for a shard that was just written."""
    data = (root / file).read_bytes()
    return ShardEntry(
        file=file,
        num_rows=len(rows["input_ids"]),
        num_tokens=sum(len(row) for row in rows["input_ids"]),
        num_bytes=len(data),
        xxh3_64="",
        sha256=hashlib.sha256(data).hexdigest(),
        unit={"name": file},
    )


def write_set(
    root: Path,
    rows: dict[str, list[Any]],
    *,
    shard_rows: int = 20,
    columns: dict[str, pa.DataType] = COLUMNS,
    mode: str = "dynamic",
    compression: str | None = None,
    **changes: Any,
) -> Path:
    """A whole set in `root`, with `shard_rows` rows per shard."""
    (root / "shards").mkdir(parents=True)
    entries = []
    for number, first in enumerate(range(0, len(rows["input_ids"]), shard_rows)):
        part = {name: column[first : first + shard_rows] for name, column in rows.items()}
        file = f"shards/{number:05d}.arrow"
        write_shard(root / file, part, columns=columns, compression=compression)
        entries.append(entry(root, file, part))
    manifest = Manifest(
        mode=mode,
        job_fingerprint="0" * 64,
        job={},
        columns={
            name: str(kind).replace("item: ", "").replace("element: ", "")
            for name, kind in columns.items()
        },
        max_length=MAX_LENGTH,
        vocabulary=VOCABULARY,
        tokenizer={"file": "tokenizer.json", "sha256": "", "model": "none"},
        totals={"rows": len(rows["input_ids"])},
        shards=tuple(entries),
        tables={"counts": _write_counts(root, rows)},
    )
    (root / "manifest.json").write_bytes(replace(manifest, **changes).to_bytes())
    return root


def _write_counts(root: Path, rows: dict[str, list[Any]]) -> dict[str, str]:
    counts = np.bincount(np.concatenate(rows["input_ids"]), minlength=VOCABULARY.size)
    table = pa.table({"count": counts, "document_count": np.minimum(counts, 1)})
    path = root / "counts.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
