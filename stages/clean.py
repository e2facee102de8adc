"""Normalises the text of documents and drops those without any.

In this order: control characters (carriage returns, vertical tabs, form feeds and U+0085 end
a line and become line feeds; the others go, but for the tab), the Unicode normal form, the
length. Documents are rejected as `empty` (nothing but white space), `too_short` (fewer than
`min_characters` characters, white space at the ends not counted) or `duplicate`. A repeat is
found by a 128-bit hash of the cleaned text, within its unit; the first one stays. Costs about
a second per 100 MB, normal forms not counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import pyarrow as pa
import xxhash
from premask.schemas.job import Clean
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger

Stage = Callable[[Iterator[pa.RecordBatch], Ledger], Iterator[pa.RecordBatch]]

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_ANY_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean_documents(options: Clean) -> Stage:
    """A stage that cleans batches of the schema `DOCUMENTS` as the options say."""

    def run(batches: Iterator[pa.RecordBatch], ledger: Ledger) -> Iterator[pa.RecordBatch]:
        seen: set[bytes] = set()
        for batch in batches:
            cleaned = _clean_batch(batch, options, seen, ledger)
            if cleaned.num_rows:
                yield cleaned

    return run


def clean_text(text: str, options: Clean) -> str:
    """The text without control characters and in the normal form, as the options say."""
    if options.control_characters == "drop" and _ANY_CONTROL.search(text):
        text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    if options.unicode != "none":
        text = unicodedata.normalize(options.unicode, text)
    return text


def _clean_batch(
    batch: pa.RecordBatch, options: Clean, seen: set[bytes], ledger: Ledger
) -> pa.RecordBatch:
    texts: list[str | None] = []
    rows = zip(*(batch.column(name).to_pylist() for name in DOCUMENTS.names), strict=True)
    for document_id, position, original in rows:
        text = clean_text(original, options)
        reason, detail = _refusal(text, options, seen)
        texts.append(None if reason else text)
        if reason:
            ledger.reject(
                document_id=document_id,
                position=position,
                stage="clean",
                reason=reason,
                detail=detail,
            )
    column = pa.array(texts, pa.large_string())
    index = batch.schema.get_field_index("text")
    return batch.set_column(index, DOCUMENTS.field("text"), column).filter(column.is_valid())


def _refusal(text: str, options: Clean, seen: set[bytes]) -> tuple[str, str]:
    """Why a document is rejected, and details; empty where it is not."""
    length = len(text.strip())
    if not length:
        return "empty", "the document holds nothing but white space"
    if length < options.min_characters:
        return "too_short", f"{length} characters, at least {options.min_characters} are asked"
    if options.drop_duplicates:
        digest = xxhash.xxh3_128_digest(text.encode())
        if digest in seen:
            return "duplicate", "the same text came before in this unit"
        seen.add(digest)
    return "", ""
