"""Hugging Face data sets: saved ones, local folders, and names on the hub.

Saved data sets and Arrow files are read without the library (`arrow_file`). Everything else
goes through `datasets.load_dataset`: streamed (the default) it makes a unit per shard, else
units of rows. No code of a data set is ever run. The library is loaded on the first use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader, SourceFile
from premask.stages.read.arrow_file import read_arrow, split_arrow
from premask.stages.read.columns import column_documents, find_columns
from premask.stages.read.documents import Document, batches
from premask.stages.read.opening import is_url

_ROWS = 256


def _split(file: SourceFile, source: Source, unit_bytes: int, index: int) -> Iterator[Slice]:
    if _is_arrow(file.path):
        yield from split_arrow(file, source, unit_bytes, index)
        return
    dataset = _load(source)
    step, total, num_bytes = 1, getattr(dataset, "num_shards", 1), 0
    if not source.streaming:
        total = len(dataset)
        step = max(1, total * unit_bytes // max(dataset.data.nbytes, 1))
        num_bytes = dataset.data.nbytes // max(total, 1) * min(step, total)
    for start in range(0, max(total, 1), step):
        yield Slice(
            source=index,
            name=file.name,
            path=file.path,
            format=file.format,
            start=start,
            end=min(start + step, total),
            size=0,
            num_bytes=num_bytes,
        )


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    if _is_arrow(unit.path):
        return read_arrow(unit, source, ledger)
    return batches(_documents(unit, source, ledger))


def _is_arrow(path: str) -> bool:
    return is_url(path) or path.endswith(".arrow") or Path(path).is_file()


def _load(source: Source) -> Any:
    """The data set's split, streamed or whole.

    Raises:
        RequestError: it cannot be found or loaded.
    """
    import datasets

    try:
        return datasets.load_dataset(
            source.path, source.name, split=source.split, streaming=source.streaming
        )
    except (OSError, ValueError, ImportError, datasets.exceptions.DatasetsError) as exc:
        raise RequestError(
            f"the data set {source.path!r} (name {source.name!r}, split {source.split!r}) "
            f"cannot be loaded: {exc}; check the three, and the network for the hub's",
            location="sources.path",
        ) from exc


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    dataset = _load(source)
    row, prefix = unit.start, unit.name
    if source.streaming:
        row, prefix = 0, f"{unit.name}:{unit.start}"
        if dataset.num_shards > 1:
            dataset = dataset.shard(dataset.num_shards, unit.start)
    else:
        dataset = dataset.select(range(unit.start, unit.end))
    for table in dataset.with_format("arrow").iter(_ROWS):
        columns = find_columns(table.schema, source, source.path)
        for batch in table.combine_chunks().to_batches():
            yield from column_documents(batch, columns, prefix, row, ledger)
            row += batch.num_rows


DATASETS = Reader(split=_split, read=_read)
