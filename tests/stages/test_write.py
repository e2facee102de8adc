from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import datasets
import duckdb
import numpy as np
import polars
import pyarrow as pa
import pytest
import xxhash
from premask.masking._rows import Vocabulary
from premask.schemas.shard import shard_metadata
from premask.stages import write
from premask.stages.cut_rows import CutRows, Row
from premask.stages.row_frame import text_frame
from premask.stages.rows_table import RowTable
from premask.stages.token_stream import TokenStream
from premask.stages.write import dataset_info, dataset_state, write_shard

VOCABULARY = Vocabulary(size=1000, cls_id=1, sep_id=2, prefix_ids=(1,), suffix_ids=(2,))
METADATA = shard_metadata("ab" * 32, {"pos_tags": ("", "NOUN")})


def row_batches(
    num_rows: int, *, per_batch: int = 50, track: bool = True
) -> list[pa.RecordBatch]:
    """Rows of 1 to 20 tokens with random seeds."""
    rng = np.random.default_rng(5)
    tracks = ["pos_tags"] if track else []
    table = RowTable.of(VOCABULARY.size, text_frame(VOCABULARY, None), tracks)
    batches = []
    for start in range(0, num_rows, per_batch):
        count = min(per_batch, num_rows - start)
        borders = np.concatenate([[0], np.cumsum(rng.integers(1, 21, count))])
        size = int(borders[-1])
        names = ["input_ids", "boundaries", *tracks]
        stream = TokenStream(
            columns={name: rng.integers(1, 100, size, np.uint8) * 2 for name in names},
            document_starts=borders[:-1],
            document_ids=pa.array([f"d{start + i}" for i in range(count)], pa.large_string()),
            positions=np.arange(count),
            first_D=np.zeros(count, np.uint64),
            placed_D=np.zeros(count, bool),
            part_starts=np.zeros(0, np.int64),
        )
        seeds = rng.integers(2**63, size=count).tolist()
        stretches = pairwise(borders.tolist())
        rows = [Row((x,), seed) for x, seed in zip(stretches, seeds, strict=True)]
        batches.append(table.rows(stream, CutRows.of(stream, rows)))
    return batches


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "shards").mkdir(parents=True)
    path = folder / "shards/00000-a.arrow"
    assert write_shard(row_batches(300), path, metadata=METADATA, batch_bytes=4096)
    (folder / "dataset_info.json").write_bytes(dataset_info())
    state = dataset_state(["shards/00000-a.arrow"], "0123456789abcdef" * 4)
    (folder / "state.json").write_bytes(state)
    return path


def read(path: Path) -> pa.Table:
    return pa.ipc.open_stream(path.read_bytes()).read_all()


def by_document(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.to_pylist()
    return sorted(rows, key=lambda row: str(row["document_id"]))


def test_every_row_is_in_the_shard_unchanged(shard: Path) -> None:
    table = read(shard)
    table.validate(full=True)
    assert by_document(table) == by_document(pa.Table.from_batches(row_batches(300)))


def test_the_result_says_what_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    written = write_shard(row_batches(70), path, metadata=METADATA)
    assert written is not None
    data = path.read_bytes()
    assert written.num_bytes == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert written.xxh3_64 == xxhash.xxh3_64(data).hexdigest()
    assert written.num_rows == 70
    assert written.num_tokens == sum(len(row) for row in read(path)["input_ids"].to_pylist())


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1.arrow", tmp_path / "2.arrow"
    whole = row_batches(120)
    apart = [batch.slice(i, 1) for batch in whole for i in range(batch.num_rows)]
    write_shard(whole, first, metadata=METADATA)
    write_shard(apart, second, metadata=METADATA)
    assert first.read_bytes() == second.read_bytes()


def test_rows_are_shuffled(shard: Path) -> None:
    order = [int(name[1:]) for name in read(shard)["document_id"].to_pylist()]
    assert abs(np.corrcoef(order, np.arange(300))[0, 1]) < 0.2


def test_windows_bound_what_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "WINDOW_ROWS", 100)
    path = tmp_path / "x.arrow"
    write_shard(row_batches(300, per_batch=30), path, metadata=METADATA)
    order = [int(name[1:]) for name in read(path)["document_id"].to_pylist()]
    assert sorted(order) == list(range(300))
    assert max(order[:90]) < 90 <= min(order[90:180])
    assert order[:90] != sorted(order[:90])


def test_a_giant_batch_is_cut_into_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "WINDOW_ROWS", 100)
    path = tmp_path / "x.arrow"
    written = write_shard(row_batches(250, per_batch=250), path, metadata=METADATA)
    assert written is not None
    assert written.num_rows == 250
    assert max(batch.num_rows for batch in pa.ipc.open_stream(path.read_bytes())) <= 100


def test_record_batches_have_about_the_size_asked_for(shard: Path) -> None:
    batches = list(pa.ipc.open_stream(shard.read_bytes()))
    sizes = [batch.nbytes for batch in batches]
    assert len(batches) > 4
    assert all(0.8 * 4096 < size <= 4096 for size in sizes[:-1])


def test_a_row_longer_than_a_record_batch_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    write_shard(row_batches(5), path, metadata=METADATA, batch_bytes=1)
    assert [batch.num_rows for batch in pa.ipc.open_stream(path.read_bytes())] == [1] * 5


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_shards_hold_the_same_rows(
    tmp_path: Path, compression: write.Compression
) -> None:
    plain, packed = tmp_path / "1.arrow", tmp_path / "2.arrow"
    write_shard(row_batches(200), plain, metadata=METADATA)
    written = write_shard(row_batches(200), packed, metadata=METADATA, compression=compression)
    assert read(plain).equals(read(packed))
    assert written is not None
    assert written.num_bytes < plain.stat().st_size


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    empty = [row_batches(5)[0].slice(0, 0)]
    assert write_shard([], tmp_path / "x.arrow", metadata=METADATA) is None
    assert write_shard(empty, tmp_path / "x.arrow", metadata=METADATA) is None
    assert not list(tmp_path.iterdir())


def test_a_failing_chain_leaves_no_file(tmp_path: Path) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield from row_batches(60)
        raise OSError(errno.EIO, "the disk went away")

    with pytest.raises(OSError, match="went away"):
        write_shard(rows(), tmp_path / "x.arrow", metadata=METADATA)
    assert not list(tmp_path.iterdir())


def test_a_failure_after_the_first_window_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "WINDOW_ROWS", 20)

    def rows() -> Iterator[pa.RecordBatch]:
        yield from row_batches(60, per_batch=20)
        raise ValueError("a bad row")

    with pytest.raises(ValueError, match="bad row"):
        write_shard(rows(), tmp_path / "x.arrow", metadata=METADATA)
    assert not list(tmp_path.iterdir())


def test_the_metadata_is_in_the_file(shard: Path) -> None:
    metadata = pa.ipc.open_stream(shard.read_bytes()).schema.metadata
    assert metadata[b"tokenizer_sha256"] == b"ab" * 32
    assert json.loads(metadata[b"tracks"]) == {"pos_tags": ["", "NOUN"]}


# Readers of others --------------------------------------------------------------------------


def test_datasets_loads_the_set_from_disk(shard: Path) -> None:
    data = datasets.load_from_disk(str(shard.parent.parent))
    assert isinstance(data, datasets.Dataset)
    assert data.to_list() == read(shard).to_pylist()
    assert data.features["input_ids"].feature.dtype == "uint16"


def test_the_fingerprint_in_datasets_follows_the_state_file(shard: Path) -> None:
    folder = shard.parent.parent

    def fingerprint() -> str:
        return str(datasets.load_from_disk(str(folder))._fingerprint)

    first, again = fingerprint(), fingerprint()
    (folder / "state.json").write_bytes(dataset_state(["shards/00000-a.arrow"], "f" * 64))
    assert first == again != fingerprint()


def test_datasets_opens_a_single_shard(shard: Path) -> None:
    data = datasets.Dataset.from_file(str(shard))
    assert data[0] == read(shard).slice(0, 1).to_pylist()[0]


def test_datasets_loads_arrow_files(shard: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    data = datasets.load_dataset("arrow", data_files=str(shard), cache_dir=cache, split="train")
    assert data.to_list() == read(shard).to_pylist()


def test_datasets_streams_arrow_files(shard: Path) -> None:
    data = datasets.load_dataset("arrow", data_files=str(shard), split="train", streaming=True)
    assert list(data) == read(shard).to_pylist()


def test_polars_reads_the_stream(shard: Path) -> None:
    frame = polars.read_ipc_stream(shard)
    assert frame.schema["input_ids"] == polars.List(polars.UInt16)
    assert frame.to_dicts() == read(shard).to_pylist()


def test_duckdb_queries_the_rows(shard: Path) -> None:
    table = read(shard)
    connection = duckdb.connect()
    connection.register("rows", table)
    found = connection.execute("select sum(len(input_ids)), max(seed) from rows").fetchall()
    tokens = sum(len(row) for row in table["input_ids"].to_pylist())
    assert found == [(tokens, max(table["seed"].to_pylist()))]


def test_uncompressed_rows_are_mapped_without_a_copy(shard: Path) -> None:
    before = pa.total_allocated_bytes()
    table = pa.ipc.open_stream(pa.memory_map(str(shard))).read_all()
    assert table.num_rows == 300
    assert pa.total_allocated_bytes() - before < 1000
