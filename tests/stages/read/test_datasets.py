from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from premask._errors import RequestError

from tests.stages.read.reading import read_source

TEXTS = [f"text number {i}" for i in range(1234)]


def save(folder: Path, **options: Any) -> Path:
    dataset = datasets.Dataset.from_dict({"id": list(range(1234)), "text": TEXTS})
    dataset.save_to_disk(folder, **options)
    return folder


@pytest.fixture(autouse=True)
def quiet_and_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


@pytest.mark.parametrize("format_", ["auto", "datasets"])
@pytest.mark.parametrize("unit_bytes", [1, 20_000, 1 << 30])
def test_a_saved_data_set_is_read_in_row_order(
    tmp_path: Path, format_: str, unit_bytes: int
) -> None:
    path = save(tmp_path / "saved", num_shards=3)
    corpus = read_source(path, format=format_, unit_bytes=unit_bytes)
    assert corpus.texts == TEXTS
    assert corpus.ids == [str(i) for i in range(1234)]
    assert {unit.name for unit in corpus.units} == {
        f"data-0000{i}-of-00003.arrow" for i in range(3)
    }
    assert len(corpus.units) == 3


def test_the_split_of_a_saved_dictionary_is_chosen(tmp_path: Path) -> None:
    parts = {"train": ["a"], "test": ["b", "c"]}
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict({"text": texts}) for name, texts in parts.items()}
    ).save_to_disk(tmp_path / "saved")
    assert read_source(tmp_path / "saved", split="test").texts == ["b", "c"]
    with pytest.raises(RequestError, match="no split 'dev': it has"):
        read_source(tmp_path / "saved", split="dev")


def test_a_saved_index_of_rows_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "saved")
    state = json.loads((path / "state.json").read_text())
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(RequestError, match="save it again"):
        read_source(path)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_local_folder_goes_through_the_library(tmp_path: Path, streaming: bool) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for part in range(3):
        lines = [json.dumps({"text": text}) for text in TEXTS[part * 400 : part * 400 + 400]]
        (folder / f"part-{part}.jsonl").write_text("\n".join(lines))
    corpus = read_source(folder, format="datasets", streaming=streaming, unit_bytes=9_000)
    assert corpus.texts == TEXTS[:1200]
    assert len(set(corpus.ids)) == 1200
    assert all(identity.startswith("corpus:") for identity in corpus.ids)
    assert len(corpus.units) == (3 if streaming else len(corpus.units)) > 1


def test_a_wrong_split_is_refused_with_what_was_asked(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(RequestError, match="split 'dev'"):
        read_source(tmp_path, format="datasets", split="dev")


@pytest.mark.parametrize("writer", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_arrow_files_of_both_formats_are_read(
    tmp_path: Path, writer: Any, compression: str | None
) -> None:
    table = pa.table({"text": pa.array(TEXTS).dictionary_encode()})
    path = tmp_path / "a.arrow"
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with writer(str(path), table.schema, options=options) as sink:
        sink.write_table(table, max_chunksize=100)
    corpus = read_source(path, unit_bytes=1)
    assert corpus.texts == TEXTS
    assert corpus.ids[-1] == "a.arrow:1233"
    assert len(corpus.units) == 13


def stream(path: Path, column: pa.Array, rows: int) -> Path:
    table = pa.table({"text": column})
    with pa.ipc.new_stream(str(path), table.schema) as sink:
        sink.write_table(table, max_chunksize=rows)
    return path


def test_a_cut_file_keeps_the_batches_before_the_cut(tmp_path: Path) -> None:
    path = stream(tmp_path / "a.arrow", pa.array(TEXTS), 100)
    path.write_bytes(path.read_bytes()[:20_000])
    corpus = read_source(path, unit_bytes=1)
    assert corpus.texts == TEXTS[: len(corpus.texts)]
    assert len(corpus.texts) in range(100, 1200, 100)
    assert corpus.reasons == ["damaged_file"]


def test_bad_offsets_reject_their_batch_only(tmp_path: Path) -> None:
    texts = ["aaaa", "bbbb", "cccc", "dddd"]
    path = stream(tmp_path / "a.arrow", pa.array(texts), 2)
    content = path.read_bytes()
    good = b"\0\0\0\0\4\0\0\0\x08\0\0\0"
    assert content.count(good) == 2
    path.write_bytes(content.replace(good, b"\0\0\0\0\xff\xff\0\0\x08\0\0\0", 1))
    corpus = read_source(path)
    assert corpus.texts == ["cccc", "dddd"]
    assert corpus.reasons == ["damaged_batch"] * 2


def test_a_batch_that_reads_as_the_end_is_damage(tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS})
    path = tmp_path / "a.arrow"
    for writer in (pa.ipc.new_file, pa.ipc.new_stream):
        with writer(str(path), table.schema) as sink:
            sink.write_table(table, max_chunksize=100)
        content = bytearray(path.read_bytes())
        message = -1
        for _ in range(4):  # the schema and three batches
            message = content.index(b"\xff\xff\xff\xff", message + 1)
        content[message : message + 8] = bytes(8)
        path.write_bytes(content)
        corpus = read_source(path)
        assert corpus.texts == TEXTS[:200]
        assert corpus.reasons == ["damaged_file"]


def test_the_size_of_a_damaged_batch_is_not_asked_for_before_it_is_checked(
    tmp_path: Path,
) -> None:
    # `RecordBatch.nbytes` follows the offsets: a batch without them ended the process.
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["a", "b", "c"], "other": ["x", "y", "z"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    sound = path.read_bytes()
    text_offsets = struct.pack("<qq", 0, 16)  # the place and the length of their buffer
    assert sound.count(text_offsets) == 1
    path.write_bytes(sound.replace(text_offsets, struct.pack("<qq", 0, 0)))
    corpus = read_source(path)
    assert [(r["position"], r["reason"]) for r in corpus.rejected] == [
        (row, "damaged_batch") for row in range(3)
    ]
    assert read_source(path, text_field="other").texts == ["x", "y", "z"]


def test_columns_whose_names_are_no_text_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    table = pa.table({"name": ["a"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    path.write_bytes(path.read_bytes().replace(b"name", b"n\xe5me"))
    assert read_source(path).reasons == ["damaged_file"]
