"""Reads the tables of a shard set: token counts, weights, collocations."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from premask._errors import FormatError
from premask._format import DOCUMENTS_FILE
from premask.manifest import Manifest
from premask.reading.files import Files


def read_tables(files: Files, manifest: Manifest) -> dict[str, np.ndarray]:
    """The columns of every table that the manifest names, by name.

    A table's first column goes by the table's own name, any other one by
    ``table.column``: ``counts``, ``counts.document_count``.

    Raises:
        FormatError: a table is missing or is not the one that the manifest describes.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, entry in manifest.tables.items():
        if entry["file"] == DOCUMENTS_FILE:
            continue  # one record per document, for lineage; no mask depends on it
        location = f"{files.location}/{entry['file']}"
        data = files.read(entry["file"])
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise FormatError(
                "the table is not the one that the manifest describes; copy or build the set "
                "again",
                location=location,
            )
        try:
            table = pa.ipc.open_stream(data).read_all()
            table.validate(full=True)  # else a wrong offset would end the process
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FormatError(
                f"the table is not a readable Arrow stream: {error}", location=location
            ) from error
        for i, column in enumerate(table.column_names):
            key = name if i == 0 else f"{name}.{column}"
            arrays[key] = _to_numpy(table.column(column).combine_chunks())
    return arrays


def _to_numpy(column: pa.Array) -> np.ndarray:
    """A column as an array: of two dimensions where its values are lists of one size."""
    if pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.flatten().to_numpy()).reshape(-1, column.type.list_size)
    return np.asarray(column.to_numpy(zero_copy_only=False))
