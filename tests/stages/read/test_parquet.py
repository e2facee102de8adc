from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from premask._errors import RequestError
from premask.stages.read import _reader, columns
from premask.stages.read.parquet_footer import DamagedFooter, RowGroup, read_footer

from tests.stages.read.reading import read_source


def write(folder: Path, table: pa.Table | dict[str, Any], **options: Any) -> Path:
    path = folder / "a.parquet"
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def test_rows_are_documents_with_their_id_or_their_row(tmp_path: Path) -> None:
    corpus = read_source(write(tmp_path, {"id": ["x", None], "text": ["one", "two"]}))
    assert corpus.documents == [("x", 0, "one"), ("a.parquet:1", 1, "two")]
    assert corpus.units[0].format == "parquet"


def test_numbers_serve_as_ids(tmp_path: Path) -> None:
    table = {"key": [7, 2**60], "body": ["one", "two"]}
    corpus = read_source(write(tmp_path, table), id_field="key", text_field="body")
    assert corpus.ids == ["7", str(2**60)]


@pytest.mark.parametrize("unit_bytes", [1, 200, 1 << 20])
def test_units_are_row_groups_and_positions_are_rows_of_the_file(
    tmp_path: Path, unit_bytes: int
) -> None:
    texts = [f"text {i}" for i in range(103)]
    path = write(tmp_path, {"text": texts}, row_group_size=10)
    corpus = read_source(path, unit_bytes=unit_bytes)
    assert corpus.texts == texts
    assert [position for _, position, _ in corpus.documents] == list(range(103))
    assert len(corpus.units) == {1: 11, 1 << 20: 1}.get(unit_bytes, len(corpus.units))


@pytest.mark.parametrize(
    "type_",
    [
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.binary(),
        pa.large_binary(),
    ],
    ids=str,
)
def test_every_kind_of_string_column_is_read(tmp_path: Path, type_: pa.DataType) -> None:
    column = pa.array(["ä", "b", None, "ä"]).cast(type_)
    corpus = read_source(write(tmp_path, pa.table({"text": column})))
    assert corpus.texts == ["ä", "b", "ä"]
    assert corpus.reasons == ["null_text"]


def test_nested_and_dotted_columns_are_found_by_their_path(tmp_path: Path) -> None:
    table = pa.table({"doc": [{"text": "inner", "n": 1}, None], "a.b": ["dotted", "x"]})
    path = write(tmp_path, table)
    corpus = read_source(path, text_field="doc.text", id_field="a.b")
    assert corpus.documents == [("dotted", 0, "inner")]
    assert corpus.reasons == ["null_text"]
    assert read_source(path, text_field="a.b").texts == ["dotted", "x"]


def test_invalid_utf8_is_replaced_and_counted(tmp_path: Path) -> None:
    column = pa.array([b"fine", b"bad \xff"], pa.binary())
    buffers = column.buffers()
    lying = pa.Array.from_buffers(pa.string(), 2, buffers)
    for array in (column, lying):
        corpus = read_source(write(tmp_path, pa.table({"text": array})))
        assert corpus.texts == ["fine", "bad \ufffd"]
        assert corpus.count("replaced_bytes") == 1


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"id": ["a"]}, {}, r"no column 'text': it has \['id'\]"),
        ({"text": [5]}, {}, "is of type int64, not of strings"),
        ({"text": [["a"]]}, {}, "not of strings"),
        ({"text": ["a"]}, {"id_field": "key"}, "no column 'key'"),
        ({"text": [{"a": "b"}]}, {"text_field": "text.c"}, "no column 'text.c'"),
    ],
)
def test_wrong_columns_are_refused_at_planning(
    tmp_path: Path, table: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        read_source(write(tmp_path, table), **options)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(RequestError, match="2 columns are called 'text'"):
        read_source(write(tmp_path, table))


def test_a_damaged_footer_rejects_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": ["a"] * 50})
    path.write_bytes(path.read_bytes()[:-9])
    corpus = read_source(path)
    assert corpus.reasons == ["damaged_file"]
    assert corpus.read == 1


def test_a_damaged_row_group_leaves_the_others(tmp_path: Path) -> None:
    texts = [f"some text {i * i}" for i in range(300)]
    path = write(tmp_path, {"text": texts}, row_group_size=100, compression="zstd")
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(content)
    corpus = read_source(path)
    assert corpus.texts == texts[:100] + texts[200:]
    assert corpus.reasons == ["damaged_row_group"] * 100
    assert [record["position"] for record in corpus.rejected] == list(range(100, 200))


def test_of_very_many_lost_rows_most_are_only_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MAX_LOST_ROWS", 10)
    path = write(tmp_path, {"text": [f"some text {i * i}" for i in range(300)]})
    content = bytearray(path.read_bytes())
    content[100:600] = bytes(500)
    path.write_bytes(content)
    corpus = read_source(path)
    assert corpus.read == 10
    assert corpus.count("lost_rows") == 290


def test_a_text_that_is_too_long_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "MAX_DOCUMENT_BYTES", 100)
    corpus = read_source(write(tmp_path, {"text": ["a", "b" * 101, "c"]}))
    assert corpus.texts == ["a", "c"]
    assert corpus.reasons == ["too_long"]


def test_a_file_without_rows_is_a_unit_without_documents(tmp_path: Path) -> None:
    corpus = read_source(write(tmp_path, pa.table({"text": pa.array([], pa.string())})))
    assert (len(corpus.units), corpus.read) == (1, 0)


def _columns_of(footer: pq.FileMetaData) -> list[RowGroup]:
    """What pyarrow says of a sound file."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return [
        RowGroup(
            num_rows=group.num_rows,
            column_bytes={
                group.column(k).path_in_schema: group.column(k).total_uncompressed_size
                for k in range(group.num_columns)
            },
        )
        for group in groups
    ]


def test_the_footer_says_what_pyarrow_says_of_a_sound_file(shared_small: Path) -> None:
    files = sorted((shared_small / "hostile" / "synthetic" / "parquet").iterdir())
    compared = 0
    for path in files:
        with path.open("rb") as file:
            try:
                expected = _columns_of(pq.ParquetFile(path).metadata)
            except (pa.ArrowException, OSError):
                continue
            if "duplicate" not in path.name:
                assert read_footer(file) == expected
                compared += 1
    assert compared > 10


def test_a_wide_table_of_many_kinds_has_a_footer_that_is_read(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["a", "b"] * 50,
            "flag": [True, None] * 50,
            "number": [1.5] * 100,
            "nested": [{"inner": [{"x": 1}], "other": b"\0"}] * 100,
            **{f"column {k}": [k] * 100 for k in range(40)},
        }
    )
    path = write(tmp_path, table, row_group_size=30, version="1.0", use_dictionary=False)
    with path.open("rb") as file:
        assert read_footer(file) == _columns_of(pq.ParquetFile(path).metadata)


def _damaged(path: Path, place: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)


def test_no_byte_of_a_footer_ends_the_process(tmp_path: Path) -> None:
    # pyarrow raises C++ exceptions over sizes that do not fit their levels, and Python cannot
    # catch them; a path that is no UTF-8 is another error that it makes.
    path = write(tmp_path, {"text": ["one", None, "three"], "id": [1, 2, 3]})
    sound = path.read_bytes()
    start = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    for place in range(start, len(sound)):
        for value in {sound[place] ^ 1, 0}:
            path.write_bytes(sound)
            _damaged(path, place, value)
            with suppress(RequestError):
                corpus = read_source(path, format="parquet")
                assert corpus.read == len(corpus.documents) + len(corpus.rejected)


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x15",
        b"\x49\xfc\xff\xff\xff\x0f" + b"\0" * 9,  # a list longer than the file
        b"\x1c" * 5000,  # one structure in another
        b"\x15" + b"\xff" * 40,  # a number without an end
        b"\x1e\0",  # a type that there is not
    ],
)
def test_a_footer_that_is_none_is_refused(footer: bytes) -> None:
    file = io.BytesIO(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DamagedFooter):
        read_footer(file)
