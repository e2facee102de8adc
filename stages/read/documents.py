"""Decodes documents and gathers them into record batches.

Text is never changed but for what no UTF-8 can hold: invalid bytes and lone surrogates become
U+FFFD, and are counted. Line ends, NUL and other control characters pass as they are; cleaning
is a stage of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from premask.schemas.records import (
    DOCUMENTS,
    MAX_BATCH_CHARACTERS,
    MAX_BATCH_DOCUMENTS,
    TARGETED_DOCUMENTS,
)

_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class Document(NamedTuple):
    """One record of the schema `DOCUMENTS`, or with a target of `TARGETED_DOCUMENTS`."""

    document_id: str
    position: int
    text: str
    target: str | None = None

    @property
    def num_characters(self) -> int:
        return len(self.text) + len(self.target or "")


def decode(data: bytes, encoding: str, counters: Counter[str]) -> str:
    """The text of these bytes; invalid ones become U+FFFD and count as ``replaced_bytes``.

    Exact for UTF-8; for other encodings one replacement counts as one byte.
    """
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
    replacements = text.count(_REPLACEMENT)
    if encoding == "utf-8":
        replacements -= data.count(_REPLACEMENT.encode())
        counters["replaced_bytes"] += len(data) + 3 * replacements - len(text.encode())
    else:
        counters["replaced_bytes"] += replacements
    return text


def replace_surrogates(text: str, counters: Counter[str]) -> str:
    """The text with lone surrogates as U+FFFD, counted as ``replaced_surrogates``."""
    text, count = _SURROGATES.subn(_REPLACEMENT, text)
    if count:
        counters["replaced_surrogates"] += count
    return text


def batches(documents: Iterable[Document]) -> Iterator[pa.RecordBatch]:
    """Record batches of the schema `DOCUMENTS`, within the limits stated there.

    Where documents have targets, all of them must, and so have the batches.
    """
    gathered: list[Document] = []
    num_characters = 0
    for document in documents:
        if gathered and (
            len(gathered) == MAX_BATCH_DOCUMENTS
            or num_characters + document.num_characters > MAX_BATCH_CHARACTERS
        ):
            yield _batch(gathered)
            gathered, num_characters = [], 0
        gathered.append(document)
        num_characters += document.num_characters
    if gathered:
        yield _batch(gathered)


def _batch(documents: list[Document]) -> pa.RecordBatch:
    schema = DOCUMENTS if documents[0].target is None else TARGETED_DOCUMENTS
    columns = [*zip(*documents, strict=True)][: len(schema)]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def positional_ids(name: str, positions: pa.Array) -> pa.Array:
    """The ids of documents that have none of their own: ``name:position``."""
    prefix, separator = (pa.scalar(value, pa.large_string()) for value in (name, ":"))
    return pc.binary_join_element_wise(prefix, positions.cast(pa.large_string()), separator)


def within_limits(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of a batch that keep the limits on documents and characters."""
    ends = _character_ends(batch.column("text"))
    start = 0
    while start < batch.num_rows:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + MAX_BATCH_CHARACTERS, side="right"))
        end = min(max(end, start + 1), start + MAX_BATCH_DOCUMENTS)
        yield batch.slice(start, end - start)
        start = end


def _character_ends(texts: pa.LargeStringArray) -> npt.NDArray[np.int64]:
    """How many characters there are up to the end of each text.

    Where all texts together are within the limit even in bytes, bytes are told.
    """
    bytes_D: npt.NDArray[np.int64] = np.cumsum(pc.binary_length(texts).to_numpy())
    if not len(bytes_D) or bytes_D[-1] <= MAX_BATCH_CHARACTERS:
        return bytes_D
    ends_D: npt.NDArray[np.int64] = np.cumsum(pc.utf8_length(texts).to_numpy())
    return ends_D
