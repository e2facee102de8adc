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

import pyarrow as pa
from premask.schemas.records import DOCUMENTS, MAX_BATCH_CHARACTERS, MAX_BATCH_DOCUMENTS

_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class Document(NamedTuple):
    """One record of the schema `DOCUMENTS`."""

    document_id: str
    position: int
    text: str


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
    """Record batches of the schema `DOCUMENTS`, within the limits stated there."""
    gathered: list[Document] = []
    num_characters = 0
    for document in documents:
        if gathered and (
            len(gathered) == MAX_BATCH_DOCUMENTS
            or num_characters + len(document.text) > MAX_BATCH_CHARACTERS
        ):
            yield _batch(gathered)
            gathered, num_characters = [], 0
        gathered.append(document)
        num_characters += len(document.text)
    if gathered:
        yield _batch(gathered)


def _batch(documents: list[Document]) -> pa.RecordBatch:
    ids, positions, texts = zip(*documents, strict=True)
    return pa.record_batch(
        [
            pa.array(ids, pa.large_string()),
            pa.array(positions, pa.int64()),
            pa.array(texts, pa.large_string()),
        ],
        schema=DOCUMENTS,
    )
