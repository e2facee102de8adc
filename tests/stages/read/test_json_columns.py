"""Blocks parsed by Arrow give what reading them line by line gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from premask.stages.read import jsonl
from premask.stages.read.json_columns import MOST_BRACKETS, ColumnParser

from tests.stages.read.reading import Corpus, read_source

PLAIN = (b'{"id": "a", "text": "one"}', b'{"text": "two"}', b'{"id": "", "text": ""}')
UNUSUAL = (
    *(b'{"text":"a\\ud800b"}', b'{"text":"a\\udc00b"}', b'{"text":"\\ud83d\\ude00"}'),
    *(b'{"text":"a","text":"b"}', b'{"id":5,"text":"a"}', b'{"id":-0,"text":"a"}'),
    *(b'{"id":12345678901234567890,"text":"a"}', b'{"id":1.50,"text":"a"}', b'{"id":true}'),
    *(
        b'{"text":"a\xff"}',
        b'{"text":"a\\u0000b"}',
        b'{"text":"a\tb"}',
        b'{"text":null}',
        b"{}",
    ),
    *(
        b'{"text":5}',
        b'{"a":NaN,"text":"a"}',
        b'{"a":01,"text":"a"}',
        b'{"a":1e999,"text":"x"}',
    ),
    *(b'{"text":"a"}{"text":"b"}', b'{"text":', b'"a"}', b'{"x":{}', b'{"text":"a"} x', b"[1]"),
    *(b'\xef\xbb\xbf{"text":"a"}', b"", b"  \t\r", b"\x0b", b' {"text":"a"}', b'{"text":"a"} '),
    *(b'{"text":"a"}\r', b'{"text":"a\r"}', b'{"text":"\\x41"}', b'{"text":"a",}', b"null"),
    b'{"a":' + b"[" * 3000 + b"]" * 3000 + b',"text":"a"}',
    b'{"text":"' + b"[" * (MOST_BRACKETS + 5) + b'"}',
)


def line_by_line(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Corpus:
    with monkeypatch.context() as patch:
        patch.setattr(jsonl, "_column_parser", lambda _source: None)
        return read_source(path, **options)


def assert_same(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    ours = read_source(path, format="jsonl", **options)
    plain = line_by_line(path, monkeypatch, format="jsonl", **options)
    assert ours.documents == plain.documents
    assert ours.ledgers == plain.ledgers


@pytest.mark.parametrize("line", UNUSUAL, ids=lambda line: repr(line[:40]))
def test_an_unusual_line_is_read_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([PLAIN[0], line, *PLAIN]))
    assert_same(path, monkeypatch)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lines=st.lists(st.sampled_from([*PLAIN, *UNUSUAL[:-2]]), max_size=6),
    hurt=st.none() | st.tuples(st.integers(0, 200), st.binary(max_size=2)),
)
def test_any_lines_are_read_as_before(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[bytes],
    hurt: tuple[int, bytes] | None,
) -> None:
    data = b"\n".join([PLAIN[0], *lines])
    if hurt is not None:
        data = data[: hurt[0]] + hurt[1] + data[hurt[0] + len(hurt[1]) :]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": ""}\n' + data)
    assert_same(path, monkeypatch)


@pytest.mark.parametrize("ids", [["a", "b", ""], [1, 2, 0], [1, None, 7]])
def test_plain_lines_are_taken_as_columns(ids: list[str | int | None]) -> None:
    lines = [json.dumps({"id": name, "text": "é😀"}).encode() for name in ids]
    found = ColumnParser("id", ["text"]).parse(b"\n".join(lines) + b"\n")
    assert found is not None
    assert found.texts[0].to_pylist() == ["é😀"] * 3
    named = [None if name is None else str(name) for name in ids]
    assert found.ids.to_pylist() == named


def test_targets_and_other_fields_are_columns_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    rows: list[dict[str, Any]] = [
        {"key": f"k{i}", "body": f"b{i}", "meta": {"text": [1]}} for i in range(1200)
    ]
    rows[700] = {"key": "k", "body": None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert_same(path, monkeypatch, text_field="body", id_field="key")
    found = ColumnParser("key", ["body", "meta"]).parse(b'{"body": "a", "meta": "b"}')
    assert found is not None
    assert [text.to_pylist() for text in found.texts] == [["a"], ["b"]]
    missing = ColumnParser("key", ["body", "meta"]).parse(b'{"body": "a"}')
    assert missing is not None
    assert missing.exact.to_pylist() == [False]
