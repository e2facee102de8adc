from __future__ import annotations

import bz2
import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError

from tests.stages.read.reading import Corpus, read_source

HEAD = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo/>\n'


def page(number: int, text: str, *, namespace: int = 0, extra: str = "") -> str:
    return (
        f"  <page><title>P{number}</title><ns>{namespace}</ns><id>{number}</id>{extra}"
        f"<revision><id>{number}0</id><text>{text}</text></revision></page>\n"
    )


def write(folder: Path, *pages: str, name: str = "d.xml", tail: str = "</mediawiki>\n") -> Path:
    path = folder / name
    path.write_bytes((HEAD + "".join(pages) + tail).encode())
    return path


def dumps() -> list[str]:
    manifest = Path(__file__).parents[4] / "shared" / "data" / "small" / "MANIFEST.json"
    if not manifest.exists():
        return []
    entries = json.loads(manifest.read_text())["entries"]
    return [
        e["path"] for e in entries if "articles_ns0_not_redirect" in (e.get("expect") or {})
    ]


def test_articles_give_their_wikitext_under_their_page_id(tmp_path: Path) -> None:
    path = write(tmp_path, page(5, "'''One''' &amp; &lt;ref/&gt;"), page(6, "two"))
    corpus = read_source(path)
    assert [(i, t) for i, _, t in corpus.documents] == [
        ("5", "'''One''' & <ref/>"),
        ("6", "two"),
    ]
    content = path.read_bytes()
    assert all(content[p:].startswith(b"<page>") for _, p, _ in corpus.documents)


def test_redirects_and_other_namespaces_are_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        page(1, "text"),
        page(2, "#REDIRECT [[P1]]", extra='<redirect title="P1"/>'),
        page(3, "#Weiterleitung [[P1]]"),
        page(4, "talk", namespace=1),
        page(5, "template", namespace=10),
    )
    corpus = read_source(path)
    assert corpus.ids == ["1"]
    assert (corpus.count("redirects"), corpus.count("other_namespaces")) == (2, 2)
    assert read_source(path, keep_redirects=True, namespaces=(0, 10)).ids == [
        "1",
        "2",
        "3",
        "5",
    ]


def test_pages_that_hold_no_wikitext_are_rejected(tmp_path: Path) -> None:
    text = page(1, "{}").replace("<text>", "<model>json</model><text>")
    corpus = read_source(write(tmp_path, text))
    assert [(r["document_id"], r["reason"]) for r in corpus.rejected] == [("1", "not_wikitext")]


def test_the_last_revision_counts(tmp_path: Path) -> None:
    text = page(1, "old").replace("</page>", "<revision><text>new</text></revision></page>")
    assert read_source(write(tmp_path, text)).texts == ["new"]


def test_a_broken_page_does_not_reach_the_others(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        page(1, "fine"),
        page(2, "vertical \x0b tab"),
        page(3, "<b>"),
        page(4, "no end").replace("</page>", ""),
        page(5, "&unknown;"),
        page(6, "fine too"),
    )
    corpus = read_source(path)
    assert corpus.texts == ["fine", "vertical \ufffd tab", "fine too"]
    assert corpus.reasons == ["bad_xml", "unclosed_document", "bad_xml"]
    assert corpus.count("replaced_characters") == 1


def test_invalid_bytes_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "d.xml"
    path.write_bytes(HEAD.encode() + page(1, "bad @ byte").encode().replace(b"@", b"\xff"))
    corpus = read_source(path)
    assert corpus.texts == ["bad \ufffd byte"]
    assert corpus.count("replaced_bytes") == 1


def test_a_dump_without_pages_is_no_failure_but_other_text_is(tmp_path: Path) -> None:
    assert read_source(write(tmp_path)).read == 0
    (tmp_path / "e.xml").write_text("just words")
    assert read_source(tmp_path / "e.xml", format="mediawiki").reasons == ["no_pages"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_declared_and_marked_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "d.xml"
    content = (
        f'<?xml version="1.0" encoding="{encoding}"?>\r\n' + HEAD + page(1, "é") + page(2, "ü")
    )
    path.write_bytes(content.encode(encoding))
    assert read_source(path, unit_bytes=50).texts == ["é", "ü"]


def test_an_unknown_declared_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.xml"
    path.write_text(f'<?xml version="1.0" encoding="rot13"?>{HEAD}{page(1, "a")}')
    with pytest.raises(RequestError, match="unknown text encoding 'rot13'"):
        read_source(path)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 60), max_size=12),
    cuts=st.lists(st.integers(0, 2500), max_size=6),
    unit_bytes=st.integers(1, 1200),
)
def test_streams_may_be_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cuts: list[int], unit_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("units")
    plain = write(folder, *(page(i, "x" * size) for i, size in enumerate(sizes)))
    content = plain.read_bytes()
    edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    packed = folder / "d.xml.bz2"
    packed.write_bytes(b"".join(bz2.compress(content[a:b]) for a, b in pairwise(edges)))
    expected = [(str(i), "x" * size) for i, size in enumerate(sizes)]
    for path in (plain, packed):
        corpus = read_source(path, unit_bytes=unit_bytes)
        assert [(i, t) for i, _, t in corpus.documents] == expected
        assert corpus.rejected == []


def test_a_multistream_dump_makes_several_units(tmp_path: Path) -> None:
    path = tmp_path / "d.xml.bz2"
    streams = [HEAD, *(page(i, "words " * 50) for i in range(20)), "</mediawiki>"]
    path.write_bytes(b"".join(bz2.compress(stream.encode()) for stream in streams))
    corpus = read_source(path, unit_bytes=2000)
    assert len(corpus.units) > 3
    assert corpus.ids == [str(i) for i in range(20)]


def test_a_single_stream_is_one_unit(tmp_path: Path) -> None:
    path = write(tmp_path, page(1, "a"), page(2, "b"))
    for name, compress in (("d.xml.bz2", bz2.compress), ("d.xml.gz", gzip.compress)):
        packed = tmp_path / name
        packed.write_bytes(compress(path.read_bytes()))
        corpus = read_source(packed, unit_bytes=8)
        assert len(corpus.units) == 1
        assert corpus.texts == ["a", "b"]


def counts(corpus: Corpus) -> dict[str, Any]:
    redirects = corpus.count("redirects")
    return {
        "pages": corpus.read + redirects + corpus.count("other_namespaces"),
        "redirects": redirects,
        "articles_ns0_not_redirect": corpus.read,
    }


@pytest.mark.parametrize("name", dumps())
def test_counts_of_real_dumps_are_as_known(shared_small: Path, name: str) -> None:
    entries = json.loads((shared_small / "MANIFEST.json").read_text())["entries"]
    expected = next(entry["expect"] for entry in entries if entry["path"] == name)
    corpus = read_source(shared_small / name, unit_bytes=200_000)
    found = counts(corpus)
    assert found == {key: expected[key] for key in found}
    assert set(corpus.reasons) <= {"not_wikitext"}
