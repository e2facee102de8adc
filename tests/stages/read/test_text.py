from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.stages.read import _reader

from tests.stages.read.reading import read_source


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_file_is_one_document_as_it_is(tmp_path: Path) -> None:
    corpus = read_source(write(tmp_path, b"one\r\n\r\ntwo\x00\n"))
    assert corpus.documents == [("a.txt:0", 0, "one\r\n\r\ntwo\x00\n")]


def test_an_empty_file_is_a_unit_without_documents(tmp_path: Path) -> None:
    corpus = read_source(write(tmp_path, b""))
    assert len(corpus.units) == 1
    assert corpus.read == 0


def test_blank_lines_separate_paragraphs(tmp_path: Path) -> None:
    content = b"\n \r\nfirst\nline two\r\n\r\n  second \n\t\n\nthird"
    corpus = read_source(write(tmp_path, content), document="paragraph")
    assert corpus.texts == ["first\nline two", "  second", "third"]
    assert [content[position:][:4] for _, position, _ in corpus.documents] == [
        b"firs",
        b"  se",
        b"thir",
    ]


def test_every_line_with_text_is_a_document(tmp_path: Path) -> None:
    corpus = read_source(write(tmp_path, b"a\r\n\n \t\r\nb c\nlast"), document="line")
    assert corpus.documents == [
        ("a.txt:0", 0, "a"),
        ("a.txt:8", 8, "b c"),
        ("a.txt:12", 12, "last"),
    ]


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven\rlast\n"
    corpus = read_source(write(tmp_path, text.encode()), document="line")
    assert corpus.texts == [text[:-1]]


@pytest.mark.parametrize("document", ["file", "paragraph", "line"])
def test_invalid_bytes_are_replaced_and_counted(tmp_path: Path, document: str) -> None:
    content = b"good \xef\xbf\xbd\nbad \xff\xfe\xc3( x\n\xed\xa0\x80 y\n\xe4\xb8"
    corpus = read_source(write(tmp_path, content), document=document)
    assert "".join(corpus.texts).replace("\n", "") == content.decode(
        "utf-8", "replace"
    ).replace("\n", "")
    assert corpus.count("replaced_bytes") == 8


@pytest.mark.parametrize("document", ["file", "line"])
@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-8"),
        ("utf-32", "utf-8"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16", "latin-1"),
        ("cp1252", "cp1252"),
        ("cp037", "cp037"),
    ],
)
def test_encodings_and_byte_order_marks_are_honoured(
    tmp_path: Path, encoding: str, declared: str, document: str
) -> None:
    text = "Café naïve\nzweite Zeile üß"
    corpus = read_source(
        write(tmp_path, text.encode(encoding)),
        encoding=declared,
        document=document,
        unit_bytes=5,
    )
    assert "\n".join(corpus.texts) == text


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis", "euc_kr", "big5"])
def test_multi_byte_encodings_are_cut_at_line_ends(tmp_path: Path, encoding: str) -> None:
    lines = ["中文文本", "第一行", "漢字", "一丁七"] * 9
    content = "\n".join(lines).encode(encoding, "ignore")
    corpus = read_source(
        write(tmp_path, content), encoding=encoding, document="line", unit_bytes=7
    )
    assert corpus.texts == content.decode(encoding).split("\n")
    assert len(corpus.units) > 10


def test_a_byte_order_mark_counts_for_every_unit_of_its_file(tmp_path: Path) -> None:
    text = "ä\n" * 40
    path = write(tmp_path, text.encode("utf-8-sig"))
    corpus = read_source(path, encoding="latin-1", document="line", unit_bytes=10)
    assert corpus.texts == ["ä"] * 40


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="unknown text encoding 'klingon'"):
        read_source(write(tmp_path, b"x"), encoding="klingon")


@pytest.mark.parametrize("document", ["file", "paragraph", "line"])
def test_a_document_that_is_too_long_is_rejected(
    tmp_path: Path, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "MAX_DOCUMENT_BYTES", 2 << 20)
    content = b"first\n\n" + b"x" * (5 << 20) + b"\n\nlast\n"
    corpus = read_source(write(tmp_path, content), document=document)
    assert corpus.reasons == ["too_long"]
    assert corpus.rejected[0]["position"] == (0 if document == "file" else 7)
    assert corpus.texts == ([] if document == "file" else ["first", "last"])


def test_gutenberg_files_lose_header_footer_and_credits(tmp_path: Path) -> None:
    content = (
        b"The Project Gutenberg EBook of X\r\n\r\n"
        b"*** START OF THIS PROJECT GUTENBERG EBOOK X ***\r\n\r\n\r\n"
        b"Produced by A. Person\r\nand others\r\n\r\n\r\nCHAPTER I.\r\n\r\nIt began.\r\n\r\n"
        b"*** END OF THIS PROJECT GUTENBERG EBOOK X ***\r\nLicence\r\n"
    )
    path = write(tmp_path, content)
    corpus = read_source(path, strip_gutenberg=True, document="paragraph", unit_bytes=20)
    assert corpus.texts == ["CHAPTER I.", "It began."]
    assert content[corpus.documents[1][1] :].startswith(b"It began.")


def test_real_gutenberg_books_keep_only_their_body(shared_small: Path) -> None:
    folder = shared_small / "books" / "gutenberg-boilerplate"
    corpus = read_source(folder, encoding="latin-1", strip_gutenberg=True)
    for text in corpus.texts:
        assert "Gutenberg" not in text
        assert "A Scandal in Bohemia" in text
    assert len(corpus.texts) == 2


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(
        st.sampled_from(["", " ", "\t\r", "a", "bb\r", "  ü x", "語語"]), max_size=40
    ),
    unit_bytes=st.integers(1, 60),
    document=st.sampled_from(["paragraph", "line"]),
)
def test_units_neither_lose_nor_double_a_document(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], unit_bytes: int, document: str
) -> None:
    path = tmp_path_factory.mktemp("units") / "a.txt"
    path.write_bytes("\n".join(lines).encode())
    whole = read_source(path, document=document)
    cut = read_source(path, document=document, unit_bytes=unit_bytes)
    assert cut.documents == whole.documents
    assert [unit.end for unit in cut.units][:-1] == [unit.start for unit in cut.units][1:]
    expected = re.split(
        r"\n(?:[ \t\r]*\n)+" if document == "paragraph" else "\n", "\n".join(lines)
    )
    assert [text.strip() for text in whole.texts] == [t.strip() for t in expected if t.strip()]


def test_books_of_any_size_keep_every_character(shared_small: Path) -> None:
    corpus = read_source(shared_small / "books" / "en" / "*.txt.gz", document="line")
    assert corpus.read > 1000
    assert corpus.rejected == []
