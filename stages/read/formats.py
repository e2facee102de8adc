"""The formats, and the two calls that the other parts of the pipeline make."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader
from premask.stages.read.files import resolve
from premask.stages.read.hub import DATASETS
from premask.stages.read.jsonl import JSONL
from premask.stages.read.mediawiki import MEDIAWIKI
from premask.stages.read.parquet import PARQUET
from premask.stages.read.text import TEXT
from premask.stages.read.tsv import TSV
from premask.stages.read.wikiextractor import WIKIEXTRACTOR

FORMATS: dict[str, Reader] = {
    "text": TEXT,
    "jsonl": JSONL,
    "tsv": TSV,
    "wikiextractor": WIKIEXTRACTOR,
    "mediawiki": MEDIAWIKI,
    "parquet": PARQUET,
    "datasets": DATASETS,
}

_WITH_FIELDS = ("jsonl", "tsv", "parquet", "datasets")


def plan_source(source: Source, index: int, unit_bytes: int) -> list[Slice]:
    """The slices of a source's files, in the order of their names.

    Args:
        source: the source.
        index: its place in the job's list.
        unit_bytes: about how many input bytes a slice has; a file that cannot be cut is one.

    Raises:
        RequestError: nothing is there, or it cannot be read as the source says.
    """
    files = resolve(source)
    for file in files:
        if source.target_field is not None and file.format not in _WITH_FIELDS:
            raise RequestError(
                f"{file.path} is of the format {file.format}, which has no field "
                f"{source.target_field!r} for a target; pairs come from "
                f"{', '.join(_WITH_FIELDS)}",
                location=f"sources.{index}.target_field",
            )
    return [
        piece
        for file in files
        for piece in FORMATS[file.format].split(file, source, unit_bytes, index)
    ]


def read_slice(piece: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """The documents of a slice, as batches of the schema `DOCUMENTS`.

    Raises:
        OSError: the file cannot be opened or read.
    """
    return FORMATS[piece.format].read(piece, source, ledger)
