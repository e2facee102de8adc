from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.stages.read import _reader

from tests.stages.read.reading import Corpus, read_source


def read_lines(folder: Path, *lines: str, **options: Any) -> Corpus:
    path = folder / "a.jsonl"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return read_source(path, **options)


def test_the_id_is_the_records_own_or_its_place(tmp_path: Path) -> None:
    corpus = read_lines(
        tmp_path,
        '{"id": "x", "text": "one"}',
        '{"id": 18446744073709551616, "text": "two"}',
        '{"text": "three"}',
        '{"id": null, "text": "four"}',
        '{"id": [1], "text": "five"}',
        '{"id": 1.5, "text": "six"}',
    )
    assert corpus.ids[:2] == ["x", "18446744073709551616"]
    assert corpus.ids[2] == f"a.jsonl:{corpus.documents[2][1]}"
    assert corpus.ids[5] == "1.5"
    assert corpus.texts == ["one", "two", "three", "four", "five", "six"]


def test_other_fields_may_hold_text_and_id(tmp_path: Path) -> None:
    corpus = read_lines(
        tmp_path, '{"key": "k", "body": "b"}', text_field="body", id_field="key"
    )
    assert corpus.documents == [("k", 0, "b")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "bad_json"),
        ('{"text": "a"} {"text": "b"}', "bad_json"),
        ('{"meta": ' + "[" * 100_000 + "]" * 100_000 + ', "text": "a"}', "bad_json"),
        ('["text"]', "not_an_object"),
        ("7", "not_an_object"),
        ('{"content": "a"}', "missing_text"),
        ('{"text": null}', "null_text"),
        ('{"text": 5}', "text_not_a_string"),
        ('{"text": ["a"]}', "text_not_a_string"),
        ('{"text": NaN}', "text_not_a_string"),
    ],
)
def test_a_bad_line_is_rejected_with_its_place(tmp_path: Path, line: str, reason: str) -> None:
    corpus = read_lines(tmp_path, '{"text": "before"}', line, '{"text": "after"}')
    assert corpus.texts == ["before", "after"]
    assert corpus.read == 3
    record = corpus.rejected[0]
    assert (record["reason"], record["position"], record["stage"]) == (reason, 19, "read")


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "first", "text": "ok"}',
        '{"score": NaN, "other": -Infinity, "big": 1e999, "text": "ok"}',
        '{"n": ' + "9" * 5000 + ', "text": "ok"}',
        '\t {"text": "ok"} \r',
    ],
)
def test_odd_json_is_read(tmp_path: Path, line: str) -> None:
    assert read_lines(tmp_path, line).texts == ["ok"]


def test_lone_surrogates_are_replaced_and_counted(tmp_path: Path) -> None:
    corpus = read_lines(
        tmp_path,
        r'{"id": "\ud800", "text": "a \ud800 \udc00\ud800"}',
        r'{"text": "fine \ud83d\ude00"}',
    )
    assert corpus.texts == ["a \ufffd \ufffd\ufffd", "fine 😀"]
    assert corpus.ids[0] == "\ufffd"
    assert corpus.count("replaced_surrogates") == 4


def test_nul_and_carriage_returns_pass_as_they_are(tmp_path: Path) -> None:
    assert read_lines(tmp_path, r'{"text": "a\u0000b\r\nc"}').texts == ["a\0b\r\nc"]


def test_a_line_that_is_too_long_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "MAX_DOCUMENT_BYTES", 1 << 20)
    long = json.dumps({"text": "x" * (3 << 20)})
    corpus = read_lines(tmp_path, '{"text": "a"}', long, '{"text": "b"}')
    assert corpus.texts == ["a", "b"]
    assert [(r["reason"], r["position"]) for r in corpus.rejected] == [("too_long", 14)]


def test_a_dotted_path_leads_into_objects(tmp_path: Path) -> None:
    corpus = read_lines(
        tmp_path,
        '{"doc": {"body": "one", "key": 7}}',
        '{"doc.body": "two", "doc": 1}',
        '{"doc": []}',
        text_field="doc.body",
        id_field="doc.key",
    )
    assert corpus.texts == ["one", "two"]
    assert corpus.ids[0] == "7"
    assert corpus.reasons == ["missing_text"]


def test_a_field_that_no_line_has_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"a field 'text': there are \['content', 'id'\]"):
        read_lines(tmp_path, '{"content": "a", "id": 1}')


def test_an_array_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"text": "a"}]')
    with pytest.raises(RequestError, match="a JSON array, not one object per line"):
        read_source(path)


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(st.text(max_size=30), max_size=30),
    unit_bytes=st.integers(1, 200),
    separator=st.sampled_from(["\n", "\r\n", "\n\n \n"]),
    ascii_only=st.booleans(),
)
def test_units_neither_lose_nor_double_a_line(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    unit_bytes: int,
    separator: str,
    ascii_only: bool,
) -> None:
    path = tmp_path_factory.mktemp("units") / "a.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=ascii_only) for text in texts]
    path.write_bytes(separator.join(lines).encode())
    corpus = read_source(path, unit_bytes=unit_bytes)
    assert corpus.texts == texts
    assert corpus.documents == read_source(path).documents
    content = path.read_bytes()
    for position, line in zip((d[1] for d in corpus.documents), lines, strict=True):
        assert content[position:].startswith(line.encode())


def test_real_json_lines_are_all_read(shared_small: Path) -> None:
    folder = shared_small / "wiki" / "extracted" / "vi-jsonl"
    corpus = read_source(folder)
    assert corpus.read == len(corpus.documents) > 100
    assert corpus.ids[0] == "320621"
