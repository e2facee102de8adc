"""The text that WikiExtractor writes: ``<doc id= url= title=>``, the article, ``</doc>``.

The first line of an article is its title, as WikiExtractor puts it there; it stays. Bytes
between articles are counted as ``bytes_outside_documents``. An article without its ``</doc>``
is rejected as `unclosed_document`. `position` is the first byte of the ``<doc`` line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pyarrow as pa
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Unit
from premask.stages.read._reader import Reader
from premask.stages.read.cut import byte_range_split, chunks
from premask.stages.read.documents import Document, batches, decode
from premask.stages.read.stream import Stream

_BOUNDARY = re.compile(rb"\n(?=<doc )")
_OPEN = re.compile(rb"^<doc (?P<attributes>[^\n]*)>[ \t\r]*(?:\n|\Z)", re.MULTILINE)
_CLOSE = re.compile(rb"^</doc>[ \t\r]*$", re.MULTILINE)
_ID = re.compile(rb'\bid="([^"\n]*)"')


def _read(unit: Unit, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    return batches(_documents(unit, source, ledger))


def _documents(unit: Unit, source: Source, ledger: Ledger) -> Iterator[Document]:
    stream = Stream(unit, source.encoding, ledger)
    for position, data in chunks(stream, _BOUNDARY, unit.name, ledger):
        opened = list(_OPEN.finditer(data))
        _count_outside(data[: opened[0].start() if opened else len(data)], ledger)
        ends = [match.start() for match in opened[1:]] + [len(data)]
        for match, end in zip(opened, ends, strict=True):
            yield from _document(data, match, end, position, unit.name, stream, ledger)


def _document(
    data: bytes,
    opened: re.Match[bytes],
    end: int,
    position: int,
    name: str,
    stream: Stream,
    ledger: Ledger,
) -> Iterator[Document]:
    """The article that begins with this tag, or nothing where it is rejected."""
    position += opened.start()
    found = _ID.search(opened["attributes"])
    own_id = decode(found[1], stream.encoding, ledger.counters) if found else ""
    document_id = html.unescape(own_id) or f"{name}:{position}"
    closed = _CLOSE.search(data, opened.end(), end)
    if closed is None:
        if not stream.damaged:  # else it is what the damage cut off, and accounted for
            ledger.documents_read += 1
            ledger.reject(
                document_id=document_id,
                position=position,
                stage="read",
                reason="unclosed_document",
                detail="no </doc> line before the next document",
            )
        return
    ledger.documents_read += 1
    _count_outside(data[closed.end() : end], ledger)
    text = decode(data[opened.end() : closed.start()], stream.encoding, ledger.counters)
    yield Document(document_id, position, text.strip())


def _count_outside(data: bytes, ledger: Ledger) -> None:
    if outside := len(data.strip()):
        ledger.counters["bytes_outside_documents"] += outside


WIKIEXTRACTOR = Reader(split=byte_range_split(lambda _source: _BOUNDARY), read=_read)
