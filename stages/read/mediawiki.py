"""MediaWiki XML dumps: the wikitext of a page's last revision.

The dump is cut at ``<page>`` and each page is parsed alone, so that a document type, an entity
definition or a broken page cannot reach the others, memory holds one page, and plain dumps
split at any page. `premask.stages.strip` turns the wikitext into text.

Redirects, and other pages of other namespaces, are passed over and counted (``redirects``,
``other_namespaces``). A page that is no XML is rejected as `bad_xml`, one without its end as
`unclosed_document`, one that holds no wikitext (JSON, Lua) as `not_wikitext`. Characters that
XML forbids become U+FFFD and are counted. The id is the page's, `position` its ``<page>`` tag.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from xml.etree.ElementTree import ParseError

import pyarrow as pa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from premask.schemas.job import Source
from premask.schemas.unit import Ledger, Slice
from premask.stages.read._reader import Reader, SourceFile
from premask.stages.read.cut import byte_range_split, chunks
from premask.stages.read.documents import Document, batches, decode
from premask.stages.read.multistream import finish, multistream_split
from premask.stages.read.stream import Stream, check_encoding, read_head

_PAGE = re.compile(rb"(?=<page[ >])")
_CUT_TAG = re.compile(rb"<(?:p|pa|pag|page)?\Z")
_END = b"</page>"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_DECLARED_ENCODING = re.compile(rb"""\s*<\?xml[^>]*\bencoding=["']([\w.-]+)["']""")
_WIKITEXT_MODELS = {"", "wikitext"}
# Dumps from before 2010 have no <redirect> element: the keyword, in many languages, decides.
_REDIRECT = re.compile(
    r"\s*#\s*(?:redirect|weiterleitung|redirection|redirecci[oó]n|rinvi[ao]|doorverwijzing|"
    r"перенаправление|перенапр|omdirigering|yönlendirme?|patrz|przekieruj|tam|đổi|ohjaus|"
    r"uudelleenohjaus|הפניה|تحويل|重定向|转向|転送|リダイレクト|넘겨주기)\s*:?\s*\[\[",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    page_id: str
    namespace: int
    redirect: bool
    model: str
    text: str


def _split(file: SourceFile, source: Source, unit_bytes: int, index: int) -> Iterator[Slice]:
    head = read_head(file.path, "utf-8")
    if head.compression == "bz2" and head.encoding == "utf-8":
        return multistream_split(file, unit_bytes, index)
    if _declared_encoding(file.path) != "utf-8":
        unit_bytes = max(file.size, 1)
    return _byte_ranges(file, source, unit_bytes, index)


_byte_ranges = byte_range_split(lambda _source: _PAGE)


def _declared_encoding(path: str) -> str:
    """The encoding of a dump: that of its XML declaration, if it has one."""
    head = read_head(path, "utf-8")
    found = _DECLARED_ENCODING.match(head.content)
    return check_encoding(found[1].decode()) if found else "utf-8"


def _read(unit: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    return batches(_documents(unit, source, ledger))


def _documents(unit: Slice, source: Source, ledger: Ledger) -> Iterator[Document]:
    stream = Stream(unit, _declared_encoding(unit.path), ledger)
    for position, data in _pages(unit, stream, ledger):
        document_id = f"{unit.name}:{position}"
        page = _parse(data, stream.encoding, ledger.counters)
        if page is None:
            _reject(ledger, document_id, position, "bad_xml", repr(data[:100]))
            continue
        if page.redirect and not source.keep_redirects:
            ledger.counters["redirects"] += 1
        elif page.namespace not in source.namespaces:
            ledger.counters["other_namespaces"] += 1
        elif page.model not in _WIKITEXT_MODELS:
            _reject(ledger, page.page_id or document_id, position, "not_wikitext", page.model)
        else:
            ledger.documents_read += 1
            yield Document(page.page_id or document_id, position, page.text)


def _pages(unit: Slice, stream: Stream, ledger: Ledger) -> Iterator[tuple[int, bytes]]:
    """The bytes of each page from tag to tag, with their positions."""
    crosses = stream.compression == "bz2" and unit.end < unit.size
    num_pages = 0
    data = b""
    for position, data, last in _marking_last(chunks(stream, _PAGE, unit.name, ledger)):
        starts = _page_starts(data, crosses and last)
        num_pages += len(starts)
        for start, limit in pairwise([*starts, len(data)]):
            page = data[start:limit]
            if crosses and last and limit == len(data) and _END not in page:
                page = finish(unit, page, _END)
            end = page.find(_END)
            if not _PAGE.match(page):
                continue  # the tag that was cut begins no page
            if end >= 0:
                yield position + start, page[: end + len(_END)]
            elif not stream.damaged:
                place = position + start
                _reject(
                    ledger, f"{unit.name}:{place}", place, "unclosed_document", "no </page>"
                )
    alone = unit.start == 0 and unit.end == unit.size and not stream.damaged
    if data and alone and not num_pages and b"<mediawiki" not in data:
        _reject(ledger, f"{unit.name}:{unit.start}", unit.start, "no_pages", repr(data[:100]))


def _page_starts(data: bytes, cut: bool) -> list[int]:
    """Where pages begin, and where one may begin whose tag was cut with the data."""
    starts = [match.start() for match in _PAGE.finditer(data)]
    complete = not starts or _END in data[starts[-1] :]
    if cut and complete and (cut_tag := _CUT_TAG.search(data)):
        starts.append(cut_tag.start())
    return starts


def _marking_last(pieces: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, bool]]:
    held: tuple[int, bytes] | None = None
    for piece in pieces:
        if held:
            yield *held, False
        held = piece
    if held:
        yield *held, True


def _parse(data: bytes, encoding: str, counters: Counter[str]) -> _Page | None:
    """The page, or None where it is not well-formed."""
    if encoding == "utf-8":
        with suppress(ParseError, DefusedXmlException, ValueError):
            return _page(data)
    text, count = _FORBIDDEN.subn("\ufffd", decode(data, encoding, counters))
    if count:
        counters["replaced_characters"] += count
    with suppress(ParseError, DefusedXmlException, ValueError):
        return _page(text.encode())
    return None


def _page(data: bytes) -> _Page:
    root = fromstring(data, forbid_dtd=True)
    revisions = root.findall("revision")
    revision = revisions[-1] if revisions else root
    text = revision.findtext("text") or ""
    return _Page(
        page_id=(root.findtext("id") or "").strip(),
        namespace=int(root.findtext("ns") or 0),
        redirect=root.find("redirect") is not None or bool(_REDIRECT.match(text)),
        model=revision.findtext("model") or "",
        text=text,
    )


def _reject(ledger: Ledger, document_id: str, position: int, reason: str, detail: str) -> None:
    ledger.documents_read += 1
    ledger.reject(
        document_id=document_id, position=position, stage="read", reason=reason, detail=detail
    )


MEDIAWIKI = Reader(split=_split, read=_read)
