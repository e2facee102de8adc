"""The text that WikiExtractor writes: ``<doc id= url= title=>``, the article, ``</doc>``.

The first line of an article is its title, as WikiExtractor puts it there; it stays. Bytes
between articles are counted as ``bytes_outside_documents``. Every line that begins with
``<doc `` begins an article, so that it does not matter where a file is cut. An article without
its ``</doc>`` is rejected as `unclosed_document`, a file without any article as `no_documents`.
`position` is the first byte of the ``<doc`` line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pyarrow as pa
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader
from premask.stages.read.cut import byte_range_split, chunks
from premask.stages.read.documents import Document, batches, decode
from premask.stages.read.stream import Stream

_BOUNDARY = re.compile(rb"\n(?=<doc )")
_OPEN = re.compile(rb"^<doc (?P<attributes>[^\n]*>|)[ \t\r]*\n?", re.MULTILINE)
_CLOSE = re.compile(rb"^</doc>[ \t\r]*$", re.MULTILINE)
_ID = re.compile(rb'\bid="([^"\n]*)"')


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    return batches(_documents(unit, source, ledger))


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    stream = Stream(unit, source.encoding, ledger)
    num_opened = outside = 0
    for position, data in chunks(stream, _BOUNDARY, unit.name, ledger):
        opened = list(_OPEN.finditer(data))
        num_opened += len(opened)
        starts = [*(match.start() for match in opened), len(data)]
        outside += len(data[: starts[0]].strip())
        for match, end in zip(opened, starts[1:], strict=True):
            closed = _CLOSE.search(data, match.end(), end)
            outside += len(data[closed.end() : end].strip()) if closed else 0
            article = data[match.end() : closed.start()] if closed else None
            yield from _document(match, article, position, unit.name, stream, ledger)
    if outside and not num_opened and (unit.start, unit.end) == (0, unit.size):
        _reject(ledger, f"{unit.name}:0", 0, "no_documents", "no line begins with <doc")
    elif outside:
        ledger.counters["bytes_outside_documents"] += outside


def _document(
    opened: re.Match[bytes],
    article: bytes | None,
    position: int,
    name: str,
    stream: Stream,
    ledger: Ledger,
) -> Iterator[Document]:
    """The article behind a tag, or nothing where its end is missing and it is rejected."""
    position += opened.start()
    found = _ID.search(opened["attributes"])
    own_id = decode(found[1], stream.encoding, ledger.counters) if found else ""
    document_id = html.unescape(own_id) or f"{name}:{position}"
    if article is not None:
        ledger.documents_read += 1
        text = decode(article, stream.encoding, ledger.counters)
        yield Document(document_id, position, text.strip())
    elif not stream.damaged:  # else it is what the damage cut off, and accounted for
        detail = "no </doc> line before the next document"
        _reject(ledger, document_id, position, "unclosed_document", detail)


def _reject(ledger: Ledger, document_id: str, position: int, reason: str, detail: str) -> None:
    ledger.documents_read += 1
    ledger.reject(
        document_id=document_id, position=position, stage="read", reason=reason, detail=detail
    )


WIKIEXTRACTOR = Reader(split=byte_range_split(lambda _source: _BOUNDARY), read=_read)
