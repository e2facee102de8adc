"""Opening shard sets, whole and damaged, and reading rows from them."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pyarrow as pa
import pytest
from premask.manifest import Manifest

from tests.loader.shardset import COLUMNS, entry, random_rows, write_set, write_shard

Write = Callable[..., Path]


def assert_equal_rows(found: premask.Rows, rows: dict[str, list[Any]], index: Any) -> None:
    for place, number in enumerate(index):
        for column in ("input_ids", "boundaries"):
            assert np.array_equal(found.row(place, column), rows[column][number])
        assert int(found.seed[place]) == rows["seed"][number]
        assert int(found.row_ids[place]) == number


def test_every_row_reads_back_as_it_was_written(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    assert_equal_rows(shards[:], rows, range(len(rows["seed"])))


def test_rows_come_in_the_order_asked_for_repeats_included(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    index = [102, 0, 55, 55, 19, 20, 101]
    assert_equal_rows(shards.rows(index), rows, index)


def test_positions_after_a_row_are_zero(shards: premask.ShardSet) -> None:
    found = shards[:]
    beyond = np.arange(found.lists["input_ids"].shape[1]) >= found.lengths["input_ids"][:, None]
    assert beyond.any()
    assert not found.lists["input_ids"][beyond].any()


@pytest.mark.parametrize("longer", range(1, 40))
def test_a_row_at_the_end_of_the_last_file_reads_beside_a_longer_one(
    tmp_path: Path, longer: int
) -> None:
    rows = random_rows([10 + longer, 10])
    columns = dict(reversed(COLUMNS.items()))  # the tokens are the last bytes of the file
    shards = premask.open_shards(write_set(tmp_path / "set", rows, columns=columns))
    assert_equal_rows(shards.rows([1, 0]), rows, [1, 0])


def test_a_single_row_is_a_dictionary_with_its_document(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    row = shards[-1]
    assert row["document_id"] == rows["document_id"][-1]
    assert np.array_equal(row["input_ids"], rows["input_ids"][-1])


def test_document_ids_are_read_on_request(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    assert shards.rows([3, 60]).document_ids is None
    assert shards.rows([3, 60], document_ids=True).document_ids == (
        rows["document_id"][3],
        rows["document_id"][60],
    )


def test_a_row_beyond_the_end_is_an_index_error(shards: premask.ShardSet) -> None:
    with pytest.raises(IndexError, match="103"):
        shards.rows([103])
    with pytest.raises(IndexError, match="103"):
        shards[-104]


def test_totals_and_counts_come_from_the_manifest(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    assert len(shards) == 103
    assert shards.num_tokens == sum(map(len, rows["input_ids"]))
    assert int(shards.counts.sum()) == shards.num_tokens
    assert "103 rows" in repr(shards)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_shards_read_the_same_within_their_memory(
    own_set: Write, rows: dict[str, list[Any]], compression: str
) -> None:
    path = own_set(compression=compression)
    shards = premask.open_shards(path, cache_bytes=1)
    index = np.random.default_rng(0).permutation(103)
    for part in np.array_split(index, 20):
        assert_equal_rows(shards.rows(part), rows, part)
    assert len(shards._open) <= 6


def test_fixed_size_lists_read_the_same(tmp_path: Path) -> None:
    rows = random_rows([32] * 50)
    columns = {
        **COLUMNS,
        "input_ids": pa.list_(pa.uint16(), 32),
        "boundaries": pa.list_(pa.uint8(), 32),
    }
    shards = premask.open_shards(write_set(tmp_path / "set", rows, columns=columns))
    assert_equal_rows(shards.rows([49, 0, 7]), rows, [49, 0, 7])


@pytest.mark.parametrize("last", [32, 31, 3])
def test_rows_of_one_length_come_in_any_parts(tmp_path: Path, last: int) -> None:
    """Where all rows are equally long they are found and copied in another way than else."""
    rows = random_rows([*[32] * 599, last])
    shards = premask.open_shards(write_set(tmp_path / "set", rows, shard_rows=250))
    index = np.random.default_rng(0).permutation(600)
    read = shards.located(index)
    for first, end in [(0, 64), (64, 128), (10, 20), (20, 20), (250, 600), (128, 200)]:
        assert_equal_rows(read(first, end), rows, index[first:end])


@pytest.mark.parametrize("lengths", [[3, 64, 10, 5], [40, 40, 41], [1500, 3, 900], [5]])
def test_rows_of_other_lengths_are_zero_after_their_ends(
    tmp_path: Path, lengths: list[int]
) -> None:
    rows = random_rows(lengths)
    shards = premask.open_shards(write_set(tmp_path / "set", rows, max_length=2048))
    for index in (range(len(lengths)), [len(lengths) - 1], []):
        found = shards.rows(list(index))
        assert_equal_rows(found, rows, index)
        for place, number in enumerate(index):
            assert not found.lists["boundaries"][place, lengths[number] :].any()


def test_a_batch_may_be_written_to_without_a_trace_in_others(tmp_path: Path) -> None:
    rows = random_rows([32] * 100)
    shards = premask.open_shards(write_set(tmp_path / "set", rows))
    read = shards.located(np.arange(100))
    read(0, 10).lists["input_ids"][:] = 9
    assert_equal_rows(read(10, 20), rows, range(10, 20))
    assert_equal_rows(shards.rows(range(10)), rows, range(10))


def test_tokens_above_sixteen_bits_read_the_same(tmp_path: Path) -> None:
    rows = random_rows([5, 9, 3])
    rows["input_ids"] = [ids + 100_000 for ids in rows["input_ids"]]
    columns = {**COLUMNS, "input_ids": pa.list_(pa.uint32())}
    shards = premask.open_shards(write_set(tmp_path / "set", rows, columns=columns))
    assert_equal_rows(shards[:], rows, range(3))


def test_a_pickled_set_opens_itself_again(
    shards: premask.ShardSet, rows: dict[str, list[Any]]
) -> None:
    again = pickle.loads(pickle.dumps(shards))
    assert_equal_rows(again.rows([90, 4]), rows, [90, 4])


FORK = """
import multiprocessing, sys
import premask

shards = premask.open_shards(sys.argv[1])
context = multiprocessing.get_context("fork")
receiver, sender = context.Pipe()
process = context.Process(target=lambda: sender.send_bytes(shards.rows([7, 80]).values()))
process.start()
found = receiver.recv_bytes()
process.join()
assert found == shards.rows([7, 80]).values().tobytes()
"""


def test_a_forked_process_reads_the_same_rows(small_set: Path) -> None:
    # In a process of its own: other tests here start threads, which a fork does not survive.
    subprocess.run([sys.executable, "-c", FORK, str(small_set)], check=True)


def test_many_shards_do_not_hold_file_descriptors(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    shards = premask.open_shards(
        write_set(tmp_path / "set", random_rows([4] * 60), shard_rows=1)
    )
    assert len(shards[:]) == 60
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def test_an_empty_shard_is_skipped(tmp_path: Path) -> None:
    rows = random_rows([5, 6, 7])
    path = write_set(tmp_path / "set", rows, shard_rows=2)
    empty = {name: column[:0] for name, column in rows.items()}
    write_shard(path / "shards/empty.arrow", empty, columns=COLUMNS)
    manifest = read_manifest(path)
    first, second = manifest.shards
    write_manifest(
        path,
        replace(manifest, shards=(first, entry(path, "shards/empty.arrow", empty), second)),
    )
    assert_equal_rows(premask.open_shards(path).rows([2, 1]), rows, [2, 1])


# What is damaged is refused by name, and never crashes the process.


def read_manifest(path: Path) -> Manifest:
    return Manifest.from_bytes((path / "manifest.json").read_bytes(), location=str(path))


def write_manifest(path: Path, manifest: Manifest) -> None:
    (path / "manifest.json").write_bytes(manifest.to_bytes())


def declare_size(path: Path, shard: Path) -> None:
    """Makes the manifest agree with the size of a damaged shard."""
    manifest = read_manifest(path)
    name = str(shard.relative_to(path))
    shards = tuple(
        replace(x, num_bytes=shard.stat().st_size) if x.file == name else x
        for x in manifest.shards
    )
    write_manifest(path, replace(manifest, shards=shards))


def test_a_missing_directory_is_a_request_error(tmp_path: Path) -> None:
    with pytest.raises(premask.RequestError, match="no directory"):
        premask.open_shards(tmp_path / "nowhere")


def test_a_directory_without_a_manifest_is_no_shard_set(tmp_path: Path) -> None:
    with pytest.raises(premask.FormatError, match=r"no manifest\.json"):
        premask.open_shards(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"format": "premask-shards", "format_version": 99}', b"\xff\xfe"],
)
def test_a_manifest_that_is_none_is_refused(own_set: Write, content: bytes) -> None:
    path = own_set()
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(premask.FormatError, match=r"manifest\.json"):
        premask.open_shards(path)


def test_a_missing_shard_is_named(own_set: Write) -> None:
    path = own_set()
    (path / "shards/00003.arrow").unlink()
    with pytest.raises(premask.FormatError, match=r"missing .*00003\.arrow"):
        premask.open_shards(path)


def test_a_shard_of_another_size_is_named(own_set: Write) -> None:
    path = own_set()
    with (path / "shards/00002.arrow").open("ab") as file:
        file.write(b"\0" * 8)
    with pytest.raises(premask.FormatError, match=r"bytes.*00002\.arrow"):
        premask.open_shards(path)


def test_a_shard_cut_at_a_batch_border_is_refused(
    own_set: Write, rows: dict[str, list[Any]]
) -> None:
    path = own_set()
    shard = path / "shards/00001.arrow"
    part = {name: column[20:34] for name, column in rows.items()}
    write_shard(shard, part, columns=COLUMNS)
    declare_size(path, shard)
    with pytest.raises(premask.FormatError, match=r"14 rows; the manifest says 20.*00001"):
        premask.open_shards(path)


@pytest.mark.parametrize("kept", [0, 4, 9, 100, 700, 1500])
def test_a_truncated_shard_is_refused(own_set: Write, kept: int) -> None:
    path = own_set()
    shard = path / "shards/00004.arrow"
    shard.write_bytes(shard.read_bytes()[:kept])
    declare_size(path, shard)
    with pytest.raises(premask.FormatError, match=r"00004\.arrow"):
        premask.open_shards(path)


def test_a_shard_with_other_columns_is_refused(
    own_set: Write, rows: dict[str, list[Any]]
) -> None:
    path = own_set()
    shard = path / "shards/00000.arrow"
    part = {name: column[:20] for name, column in rows.items()}
    write_shard(shard, part, columns={**COLUMNS, "input_ids": pa.list_(pa.uint32())})
    declare_size(path, shard)
    with pytest.raises(premask.FormatError, match=r"columns.*uint32.*00000\.arrow"):
        premask.open_shards(path)


def test_a_row_without_a_value_is_refused(own_set: Write, rows: dict[str, list[Any]]) -> None:
    path = own_set()
    shard = path / "shards/00000.arrow"
    part = {name: list(column[:20]) for name, column in rows.items()}
    part["input_ids"][3] = None
    write_shard(shard, part, columns=COLUMNS)
    declare_size(path, shard)
    with pytest.raises(premask.FormatError, match=r"nulls.*00000\.arrow"):
        premask.open_shards(path)


def damage_offsets(shard: Path, column: str, place: int, value: int) -> None:
    data = bytearray(shard.read_bytes())
    whole = pa.py_buffer(bytes(data))
    (batch, *_) = list(pa.ipc.open_stream(whole))
    start = batch.column(column).buffers()[1].address - whole.address
    offsets = np.frombuffer(data, np.int32, batch.num_rows + 1, start)
    offsets[place] = value
    shard.write_bytes(data)


@pytest.mark.parametrize("column", ["input_ids", "boundaries", "document_id"])
@pytest.mark.parametrize(
    ("place", "value"), [(0, -5), (0, 2**31 - 1), (2, -5), (2, 2**31 - 1), (-1, 2**30), (-1, 0)]
)
def test_wrong_offsets_are_refused(own_set: Write, column: str, place: int, value: int) -> None:
    path = own_set()
    damage_offsets(path / "shards/00005.arrow", column, place, value)
    with pytest.raises(premask.FormatError, match=r"(?i)offset.*00005\.arrow"):
        premask.open_shards(path)


def test_offsets_that_fit_but_disagree_are_refused(own_set: Write) -> None:
    path = own_set()
    damage_offsets(path / "shards/00005.arrow", "input_ids", 0, 1)
    with pytest.raises(premask.FormatError, match=r"disagree.*00005\.arrow"):
        premask.open_shards(path)


def test_flipped_bytes_are_refused_or_harmless(own_set: Write) -> None:
    """Whatever single byte of a shard is flipped: an error of ours, or readable rows."""
    path = own_set()
    shard = path / "shards/00000.arrow"
    whole = shard.read_bytes()
    refused = 0
    for at in range(0, 1800, 11):
        data = bytearray(whole)
        data[at] ^= 0xFF
        shard.write_bytes(data)
        try:
            premask.open_shards(path).rows(np.arange(20), document_ids=True)
        except premask.FormatError:
            refused += 1
    assert refused > 20


def test_verify_finds_a_flipped_token(own_set: Write) -> None:
    path = own_set()
    shard = path / "shards/00003.arrow"
    data = bytearray(shard.read_bytes())
    ids = premask.open_shards(path).rows([60]).values().tobytes()
    data[data.find(ids) + 2] ^= 1
    shard.write_bytes(data)
    premask.open_shards(path)
    with pytest.raises(premask.FormatError, match=r"SHA-256.*00003\.arrow"):
        premask.open_shards(path, verify=True)


def test_changed_counts_are_refused(own_set: Write) -> None:
    path = own_set()
    counts = path / "counts.arrow"
    counts.write_bytes(counts.read_bytes()[:-8])
    shards = premask.open_shards(path)
    with pytest.raises(premask.FormatError, match=r"table.*counts\.arrow"):
        _ = shards.counts


def test_a_moved_set_is_the_same_set(own_set: Write, tmp_path: Path) -> None:
    path = own_set()
    before = premask.open_shards(path).manifest.sha256
    shutil.move(path, tmp_path / "moved")
    assert premask.open_shards(tmp_path / "moved").manifest.sha256 == before
    assert json.loads((tmp_path / "moved/manifest.json").read_text())["mode"] == "dynamic"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("shards", 0, "file"), "../0.arrow"),
        (("shards", 0, "file"), "/etc/passwd"),
        (("shards", 0, "sha256"), "../../escaped"),
        (("shards", 0, "num_rows"), "20"),
        (("shards", 0, "num_rows"), -1),
        (("shards", 0, "num_bytes"), 1e99),
        (("shards", 0, "num_tokens"), True),
        (("shards", 0), 7),
        (("shards",), {}),
        (("tables", "counts", "file"), "a/../../b"),
        (("tables", "counts"), None),
        (("vocabulary", "size"), None),
        (("vocabulary", "special_ids"), [1, "2"]),
        (("vocabulary", "replacement_ranges"), [[1, 2, 3]]),
        (("vocabulary", "mask_id"), -4),
        (("columns",), ["input_ids"]),
        (("tracks",), {"pos_tags": [1]}),
        (("max_length",), "64"),
        (("mode",), "other"),
        (("policy",), "random"),
        (("totals",), {"documents_read": 3}),
        (("totals", "rows"), "many"),
        (("totals", "counters"), {"redirects": "3"}),
    ],
)
def test_a_manifest_with_a_value_of_a_wrong_kind_is_refused(
    own_set: Write, keys: tuple[str | int, ...], value: object
) -> None:
    path = own_set()
    manifest = json.loads((path / "manifest.json").read_text())
    *parents, last = keys
    reduce(lambda node, key: node[key], parents, manifest)[last] = value
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(premask.FormatError, match=f"manifest is damaged: .*{keys[0]}"):
        premask.open_shards(path)


def test_a_manifest_nested_too_deeply_is_refused(own_set: Write) -> None:
    path = own_set()
    (path / "manifest.json").write_text("[" * 200_000)
    with pytest.raises(premask.FormatError, match="not JSON"):
        premask.open_shards(path)
