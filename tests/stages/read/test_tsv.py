"""Tables of tabs, and targets beside texts in every format that has fields."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.schemas.records import TARGETED_DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.read import plan_source, read_slice

Record = tuple[str, int, str, str | None]


def read(
    path: Path, *, unit_bytes: int = 1 << 20, **options: Any
) -> tuple[list[Record], list[Any]]:
    """Documents with their targets, and what was rejected."""
    source = Source(path=str(path), **options)
    found: list[Record] = []
    rejected: list[Any] = []
    for unit in plan_source(source, 0, unit_bytes):
        ledger = Ledger(unit=unit.name)
        for batch in read_slice(unit, source, ledger):
            if source.target_field:
                assert batch.schema.equals(TARGETED_DOCUMENTS)
            columns = [batch.column(name).to_pylist() for name in batch.schema.names]
            columns += [] if source.target_field else [[None] * batch.num_rows]
            found += zip(*columns, strict=True)
        rejected += ledger.rejected
        assert ledger.documents_read == ledger.documents_kept + len(ledger.rejected)
    return found, rejected


def table(folder: Path, *lines: str, end: str = "\n") -> Path:
    path = folder / "a.tsv"
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def test_columns_are_named_by_the_first_line(tmp_path: Path) -> None:
    path = table(tmp_path, "en\tid\tfr", "one\ta\tun", "two\tb\tdeux")
    found, _ = read(path, text_field="en", target_field="fr")
    assert found == [("a", 9, "one", "un"), ("b", 18, "two", "deux")]


def test_columns_may_be_numbered_where_there_is_no_such_line(tmp_path: Path) -> None:
    path = table(tmp_path, "one\tun", "", 'a "b\\c\t"', end="\r\n")
    found, _ = read(path, text_field="1", target_field="2")
    assert [(text, target) for _, _, text, target in found] == [("one", "un"), ('a "b\\c', '"')]
    assert [document_id for document_id, *_ in found] == ["a.tsv:0", "a.tsv:10"]


def test_a_text_alone_may_come_from_a_table(tmp_path: Path) -> None:
    path = table(tmp_path, "one\tun", "two\tdeux")
    found, _ = read(path, text_field="2")
    assert [text for _, _, text, _ in found] == ["un", "deux"]


def test_a_line_without_a_column_is_rejected(tmp_path: Path) -> None:
    path = table(tmp_path, "a\tb\tc", "a\tb", "x", "d\te\tf")
    found, rejected = read(path, text_field="2", target_field="3")
    assert [text for _, _, text, _ in found] == ["b", "e"]
    assert [(r["position"], r["reason"]) for r in rejected] == [
        (6, "missing_target"),
        (10, "missing_text"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_field": "english"}, r"no column 'english'.*sources\.text_field"),
        ({"text_field": "en", "target_field": "de"}, r"no column 'de'.*sources\.target_field"),
        ({"text_field": "1", "target_field": "7"}, r"no column '7'"),
        ({"text_field": "1", "target_field": "fr"}, r"no column 'fr'"),
    ],
)
def test_absent_columns_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    path = table(tmp_path, "en\tfr", "one\tun")
    with pytest.raises(RequestError, match=message):
        read(path, format="tsv", **options)


def test_a_table_of_unknown_columns_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be told"):
        read(table(tmp_path, "en\tfr", "one\tun"))


def test_an_empty_table_has_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"")
    assert read(tmp_path / "a.tsv", format="tsv", text_field="1") == ([], [])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab é", max_size=9), st.text("xy\u3000", max_size=9)), max_size=20
    ),
    st.sampled_from([16, 64, 1 << 20]),
    st.booleans(),
)
def test_units_of_any_size_give_every_line_once(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    unit_bytes: int,
    has_header: bool,
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    lines = [f"k\t{text}\t{target}" for text, target in pairs]
    path = table(folder, *(["id\ten\tfr"] if has_header else []), *lines)
    fields = ("en", "fr") if has_header else ("2", "3")
    if not path.stat().st_size:
        return
    try:
        found, _ = read(
            path, unit_bytes=unit_bytes, text_field=fields[0], target_field=fields[1]
        )
    except RequestError:
        assert not lines
        return
    assert [(text, target) for _, _, text, target in found] == pairs


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"one\tun\n", mtime=0))
    found, _ = read(tmp_path / "a.tsv.gz", text_field="1", target_field="2")
    assert found == [("a.tsv.gz:0", 0, "one", "un")]


def test_targets_of_json_lines_are_checked_as_texts_are(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"text": "a", "to": {"fr": "b"}},
        {"text": "a"},
        {"text": "a", "to": {"fr": None}},
        {"text": "a", "to": {"fr": 7}},
        {"text": "a", "to": {"fr": "\ud800"}},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    found, rejected = read(path, target_field="to.fr")
    assert [target for *_, target in found] == ["b", "\ufffd"]
    assert [record["reason"] for record in rejected] == [
        "missing_target",
        "null_target",
        "target_not_a_string",
    ]


def test_targets_of_columns_may_be_nested_and_must_not_be_null(tmp_path: Path) -> None:
    rows = [{"text": "a", "to": {"fr": "b"}}, {"text": "c", "to": {"fr": None}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found, rejected = read(tmp_path / "a.parquet", target_field="to.fr")
    assert [(text, target) for *_, text, target in found] == [("a", "b")]
    assert [record["reason"] for record in rejected] == ["null_target"]
    with pytest.raises(RequestError, match=r"no column 'fr'.*sources\.target_field"):
        read(tmp_path / "a.parquet", target_field="fr")
    with pytest.raises(RequestError, match=r"not of strings.*target_field"):
        read(tmp_path / "a.parquet", target_field="to")


def test_formats_without_fields_have_no_targets(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(RequestError, match=r"format text, which has no field 'fr'"):
        read(tmp_path / "a.txt", target_field="fr")


def test_a_first_record_longer_than_what_is_looked_at_shows_not_all_columns(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"{'long ' * 20_000}\tshort\nb\tc\n")
    found, _ = read(path, format="tsv", text_field="1", target_field="2")
    assert [(record[2][:5], record[3]) for record in found] == [("long ", "short"), ("b", "c")]


@pytest.mark.parametrize("number", ["0", "²", "9" * 5000])
def test_what_is_no_number_of_a_column_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n")
    with pytest.raises(RequestError, match="has no column"):
        read(path, format="tsv", text_field=number)
