"""Targets: every reader, and the compressions below them.

Read whole and read in small units and small blocks, a file must give the same documents. Its
encoding, and what a document is, are chosen by the input's first bytes.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import zstandard
from premask.stages.read import _reader, cut, opening
from premask.stages.read.compression import recognise_compression
from premask.stages.strip import plain_text

from tests.fuzz.target import Target, option
from tests.stages.read.reading import Corpus, read_source

ENCODINGS = (
    *("utf-8", "utf-8", "utf-8", "utf-8", "utf-16", "utf-32-be", "latin-1", "gb18030"),
    *("shift_jis", "iso2022_jp", "utf-7", "utf-8-sig", "cp037", "hz", "big5", "ascii"),
)
UNIT_BYTES = (7, 64, 300, 1000)
BLOCK_BYTES = (5, 64, 700, 1 << 20)
SHORT = 2000  # the longest document where the limit on documents is tried out

PAGE = (
    "<page><title>A</title><ns>0</ns><id>1</id><revision><id>2</id><model>wikitext</model>"
    "<text>'''A''' is [[B|b]], {{c|d}} and &lt;ref&gt;e&lt;/ref&gt;.\n== F ==\n* g</text>"
    "</revision></page>\n"
)
DUMP = f'<mediawiki xmlns="http://a" version="0.10">\n{PAGE}{PAGE.replace("<ns>0", "<ns>1")}'
DUMP += PAGE.replace("'''A'''", "#REDIRECT [[C]]") + "</mediawiki>\n"
ARTICLES = '<doc id="1" url="u" title="A">\nA\n\nIs one.\n</doc>\n<doc id="2">\nB\n</doc>\n'
TEXT = "One line.\nAnother one.\r\n\nA paragraph.\n \t\nThe last é"
RECORDS: Sequence[object] = (
    {"id": 7, "text": "a"},
    {"text": "b\ud800\U0001f600", "n": 10**30},
    {"text": None},
    {"a": [1.5, True, {"text": {}}]},
    "text",
)
TABLE = "id\ttext\ttarget\n1\tone\teins\n2\ttwo\tzwei\n\n3\tthree\n"
WIKITEXT = (
    "{|\n| a || b\n|}\n[[File:A.png|thumb|[[b]] c]]\n'''''x'' y''' <nowiki>[[z]]</nowiki>"
    "<ref name=a>b</ref> {{cite|{{{1|}}}}} -{zh-hans:a; zh-hant:b}- &nbsp;&#x41; __TOC__\n"
    "== H ==\n* [http://a b]\n<!-- c --><math>x</math>\n#REDIRECT [[D]]"
)


@contextmanager
def limits(block_bytes: int, document_bytes: int) -> Iterator[None]:
    """Small blocks and short documents, so that small inputs reach every border."""
    saved = opening.BLOCK_BYTES, _reader.MAX_DOCUMENT_BYTES, cut._SEARCH_BYTES
    opening.BLOCK_BYTES, cut._SEARCH_BYTES = block_bytes, max(block_bytes, 16)
    _reader.MAX_DOCUMENT_BYTES = document_bytes
    try:
        yield
    finally:
        opening.BLOCK_BYTES, _reader.MAX_DOCUMENT_BYTES, cut._SEARCH_BYTES = saved


def read_both_ways(path: Path, data: bytes, **options: Any) -> Corpus:
    """The file read whole, once it is known to be the same in small units and blocks."""
    whole = read_source(path, **options)
    with limits(option(data, 0, BLOCK_BYTES), _reader.MAX_DOCUMENT_BYTES):
        parts = read_source(path, unit_bytes=option(data, 1, UNIT_BYTES), **options)
    if path.suffix == ".bz2":  # positions count from the unit's own stream, and so may ids
        assert parts.texts == whole.texts
        return whole
    assert parts.documents == whole.documents
    with limits(option(data, 0, BLOCK_BYTES), SHORT):
        short = read_source(path, unit_bytes=option(data, 1, UNIT_BYTES), **options)
    ids = Counter(whole.ids)
    ids.subtract(short.ids)
    assert min(ids.values(), default=0) >= 0
    return whole


def _text(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    path = scratch / "a.txt"
    path.write_bytes(data[4:])
    read_both_ways(
        path,
        data,
        format="text",
        encoding=option(data, 2, ENCODINGS),
        document=option(data, 3, ("line", "paragraph", "file")),
        strip_gutenberg=option(data, 3, (False, False, False, True)),
    )


def _jsonl(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    path, encoding = scratch / "a.jsonl", option(data, 2, ENCODINGS)
    path.write_bytes(data[4:])
    field = option(data, 3, ("text", "a.text", "id"))
    corpus = read_both_ways(path, data, format="jsonl", encoding=encoding, text_field=field)
    marked = data[4:].startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff", b"\xef\xbb\xbf"))
    plain = not marked and data[4:6] not in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5")
    if encoding == "utf-8" and plain and b"*M\x18" not in data[4:8]:
        assert corpus.read == sum(bool(line.strip()) for line in data[4:].split(b"\n"))


def _tsv(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    path = scratch / "a.tsv"
    path.write_bytes(data[4:])
    field = option(data, 3, ("text", "2", "1"))
    encoding = option(data, 2, ENCODINGS)
    read_both_ways(path, data, format="tsv", encoding=encoding, text_field=field)


def _articles(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    path = scratch / "wiki_00"
    path.write_bytes(data[4:])
    read_both_ways(path, data, format="wikiextractor", encoding=option(data, 2, ENCODINGS))


def _dump(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed
    packed = option(data, 2, (False, False, False, True))
    path = scratch / ("a.xml.bz2" if packed else "a.xml")
    path.write_bytes(_streams(data[4:], option(data, 3, (7, 100, 900))) if packed else data[4:])
    corpus = read_both_ways(path, data, format="mediawiki")
    for text in corpus.texts:
        plain_text(text, Counter())


def _streams(content: bytes, width: int) -> bytes:
    """The content as a bzip2 file of many streams."""
    width = max(width, len(content) // 64)
    parts = [content[i : i + width] for i in range(0, len(content), width)]
    return b"".join(map(bz2.compress, parts))


def _wikitext(data: bytes, fixed: Path, scratch: Path) -> None:
    del fixed, scratch
    plain_text(data.decode("utf-8", "replace"), Counter())


def _any_file(data: bytes, fixed: Path, scratch: Path) -> None:
    """A file whose format is recognised."""
    del fixed
    path = scratch / option(
        data, 0, ("a", "a.txt", "a.json", "a.arrow", "a.parquet", "a.xml.gz")
    )
    path.write_bytes(data[1:])
    read_source(path, unit_bytes=300)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": partial(gzip.compress, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def _packed(data: bytes, fixed: Path, scratch: Path) -> None:
    """Content that is packed in members, then damaged as the first bytes say."""
    del fixed
    kind = option(data, 1, tuple(PACK))
    content = data[8:]
    middle = option(data, 2, range(256)) * len(content) // 256
    packed = bytearray(b"".join(map(PACK[kind], (content[:middle], content[middle:]))))
    damage = option(data, 3, ("none", "flip", "cut", "raw", "garbage", "zeros"))
    place = int.from_bytes(data[4:6], "little") % len(packed)
    if damage == "flip":
        packed[place] ^= option(data, 6, range(1, 256))
    elif damage == "cut":
        del packed[place:]
    elif damage == "raw":
        packed = bytearray(content)
    elif damage != "none":
        packed += b"no member" if damage == "garbage" else bytes(place)
    path = scratch / f"a.txt.{kind}"
    path.write_bytes(packed)
    with limits(option(data, 0, BLOCK_BYTES), _reader.MAX_DOCUMENT_BYTES):
        corpus = read_source(path, format="text", encoding="latin-1")
    expected = [text] if (text := _decoded(content)) else []
    if damage in ("none", "garbage", "zeros") and content:
        assert corpus.texts == expected
        assert corpus.count("trailing_garbage_bytes") == 9 * (damage == "garbage")
    elif damage == "flip" and content and recognise_compression(bytes(packed[:16])) == kind:
        assert corpus.reasons or corpus.texts == expected or _unseen(corpus)


def _decoded(content: bytes) -> str:
    for mark, name in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32")):
        if content.startswith(mark):
            return content.decode(name, "replace")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if content.startswith(b"\xef\xbb\xbf"):
        return content.decode("utf-8-sig", "replace")
    return content.decode("latin-1")


def _unseen(corpus: Corpus) -> bool:
    """Whether the damage made the second member none."""
    return bool(corpus.count("trailing_garbage_bytes"))


def _seeds(*contents: bytes, options: int = 4) -> Callable[[Path], list[bytes]]:
    heads = [bytes(options), bytes([1] * options), bytes([2, 1] * options)[:options]]
    return lambda _: [head + content for head in heads for content in contents]


def _lines(records: Sequence[object]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


TARGETS = {
    "text": Target(
        prepare=_seeds(TEXT.encode(), TEXT.encode("utf-16"), TEXT.encode("utf-32")),
        run=_text,
        words=(b"\n\n", b"\r\n", b"\n \n", b"*** START OF", b"*** END OF", b"\xef\xbb\xbf"),
        options=4,
    ),
    "jsonl": Target(
        prepare=_seeds(_lines(RECORDS), '{"text": "ä"}\n'.encode("utf-16")),
        run=_jsonl,
        words=(b'{"text": "', b'"}\n', b"\\ud800", b"NaN", b"1e999", b"[[[[", b'{"a":' * 9),
        options=4,
    ),
    "tsv": Target(
        prepare=_seeds(TABLE.encode(), TABLE.encode("utf-16-le")),
        run=_tsv,
        words=(b"\t", b"\n", b"\r\n", b"text\t", b"\t\t"),
        options=4,
    ),
    "wikiextractor": Target(
        prepare=_seeds(ARTICLES.encode(), ARTICLES.encode("utf-16")),
        run=_articles,
        words=(b'<doc id="', b"</doc>\n", b">\n", b"\n<doc "),
        options=4,
    ),
    "mediawiki": Target(
        prepare=_seeds(DUMP.encode(), DUMP.encode("utf-16")),
        run=_dump,
        words=(
            b"<page>",
            b"</page>",
            b"<text>",
            b"</text>",
            b"<!DOCTYPE a [",
            b"&#0;",
            b"<ns>",
        ),
        options=4,
    ),
    "wikitext": Target(
        prepare=_seeds(WIKITEXT.encode(), options=0),
        run=_wikitext,
        words=(
            b"[[",
            b"]]",
            b"{{",
            b"}}",
            b"{|",
            b"|}",
            b"''",
            b"<ref>",
            b"</ref>",
            b"<",
            b"-{",
        ),
    ),
    "recognise": Target(
        prepare=_seeds(_lines(RECORDS), DUMP.encode(), ARTICLES.encode(), b"PAR1", options=1),
        run=_any_file,
        words=(b"ARROW1\0\0", b"PAR1", b"\x1f\x8b\x08", b"BZh9", b"<mediawiki ", b"\xff" * 4),
        options=1,
    ),
    "compression": Target(
        prepare=_seeds(
            TEXT.encode(), *(pack(TEXT.encode()) for pack in PACK.values()), options=8
        ),
        run=_packed,
        words=(b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"(\xb5/\xfd", b"\x50\x2a\x4d\x18"),
        options=8,
    ),
}
