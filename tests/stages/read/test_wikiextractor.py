from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.read.reading import read_source

ARTICLE = '<doc id="{0}" url="?curid={0}" title="T &amp; {0}">\nT {0}\n\nBody {0}.\n\n</doc>\n'


def test_articles_keep_their_id_title_line_and_place(tmp_path: Path) -> None:
    path = tmp_path / "wiki_00"
    path.write_text(ARTICLE.format(7) + ARTICLE.format(8))
    corpus = read_source(path)
    assert corpus.units[0].format == "wikiextractor"
    assert corpus.documents == [
        ("7", 0, "T 7\n\nBody 7."),
        ("8", len(ARTICLE.format(7)), "T 8\n\nBody 8."),
    ]


def test_an_unclosed_article_is_rejected_and_stray_bytes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "wiki_00"
    path.write_text(ARTICLE.format(7).replace("</doc>\n", "") + ARTICLE.format(8) + "stray\n")
    corpus = read_source(path)
    assert corpus.ids == ["8"]
    assert [(r["document_id"], r["reason"]) for r in corpus.rejected] == [
        ("7", "unclosed_document")
    ]
    assert corpus.count("bytes_outside_documents") == 5


@pytest.mark.parametrize(
    ("content", "reasons"), [("", []), ("\n \n", []), ("x", ["no_documents"])]
)
def test_a_file_without_articles_is_rejected_unless_it_is_empty(
    tmp_path: Path, content: str, reasons: list[str]
) -> None:
    path = tmp_path / "wiki_00"
    path.write_text(content)
    assert read_source(path, format="wikiextractor").reasons == reasons


def test_windows_line_ends_and_invalid_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "wiki_00"
    path.write_bytes(
        ARTICLE.format(7).replace("\n", "\r\n").encode() + b'<doc id="8">\n\xff\n</doc>'
    )
    corpus = read_source(path)
    assert corpus.texts == ["T 7\r\n\r\nBody 7.", "\ufffd"]
    assert corpus.count("replaced_bytes") == 1


def test_an_article_without_an_id_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("<doc title='x'>\nbody\n</doc>\n")
    assert read_source(path, format="wikiextractor").ids == ["a:0"]


@settings(deadline=None, max_examples=50)
@given(
    bodies=st.lists(st.text("a<do c>/\nü", max_size=12), max_size=12),
    unit_bytes=st.integers(1, 300),
)
def test_units_neither_lose_nor_double_an_article(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[str], unit_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("units") / "wiki_00"
    path.write_text(
        "".join(f'<doc id="{i}">\n{body}\n</doc>\n' for i, body in enumerate(bodies)),
    )
    corpus = read_source(path, unit_bytes=unit_bytes, format="wikiextractor")
    assert corpus.documents == read_source(path, format="wikiextractor").documents
    if not any("<doc " in body for body in bodies):
        assert corpus.texts == [body.strip() for body in bodies]


@pytest.mark.parametrize(
    ("folder", "articles"),
    [("en", 3007), ("en-long", 118), ("de", 325), ("ko", 139), ("zh", 1045)],
)
def test_real_extracts_are_read_whole(shared_small: Path, folder: str, articles: int) -> None:
    corpus = read_source(shared_small / "wiki" / "extracted" / folder)
    assert len(corpus.documents) == corpus.read == articles
    assert len(set(corpus.ids)) == articles
    assert corpus.count("bytes_outside_documents") == 0


def test_every_line_of_a_tag_begins_an_article_wherever_the_file_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('<doc id="1">\nA\n<doc id="2">B.\n</doc>\n<doc id="3"\nC\n</doc>\n')
    whole = read_source(path, format="wikiextractor")
    assert (whole.texts, whole.reasons) == (["B.", 'id="3"\nC'], ["unclosed_document"])
    for unit_bytes in range(1, 60):
        parts = read_source(path, format="wikiextractor", unit_bytes=unit_bytes)
        assert (parts.documents, parts.reasons) == (whole.documents, whole.reasons)
