"""Verify: every kind of damage is found, and named with its place."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from premask._errors import FormatError, RequestError
from premask.pipeline.verify import verify


@pytest.fixture
def out(built_set: Path, tmp_path: Path) -> Path:
    """A set to damage."""
    return Path(shutil.copytree(built_set, tmp_path / "out"))


def faults(out: Path) -> str:
    return "\n".join(verify(str(out))[1])


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_good_set_has_no_faults(out: Path) -> None:
    assert faults(out) == ""


def test_a_flipped_bit_is_found_by_both_checksums(out: Path) -> None:
    flip(out / "shards/00002.arrow", -300)
    found = faults(out)
    assert "xxh3" in found
    assert "SHA-256" in found
    assert f"at {out}/shards/00002.arrow" in found


def test_a_shard_cut_at_a_record_batch_is_found(out: Path) -> None:
    path = out / "shards/00000.arrow"
    reader = pa.ipc.open_stream(path.read_bytes())
    schema, batches = reader.schema, list(reader)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
        stream.write_batch(batches[0].slice(0, 10))
    assert "10 rows; the manifest says" in faults(out)


def test_bad_offsets_are_found_before_they_are_followed(out: Path) -> None:
    path = out / "shards/00000.arrow"
    (batch,) = pa.ipc.open_stream(path.read_bytes())
    offsets = batch.column("input_ids").buffers()[1].to_pybytes()[:40]
    place = path.read_bytes().index(offsets)
    data = bytearray(path.read_bytes())
    data[place + 4 : place + 8] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    assert "not a readable Arrow stream" in faults(out)


def test_a_missing_and_a_foreign_shard_are_found(out: Path) -> None:
    (out / "shards/00001.arrow").rename(out / "shards/00099.arrow")
    found = faults(out)
    assert f"the shard is missing - at {out}/shards/00001.arrow" in found
    assert f"does not know this file - at {out}/shards/00099.arrow" in found


def test_changed_counts_are_found(out: Path) -> None:
    flip(out / "counts.arrow", -100)
    assert f"at {out}/counts.arrow" in faults(out)


def test_a_changed_tokenizer_is_found(out: Path) -> None:
    flip(out / "tokenizer.json", -20)
    assert f"not the tokenizer of the manifest - at {out}/tokenizer.json" in faults(out)


def test_a_lost_reject_is_found(out: Path) -> None:
    with (out / "rejected.jsonl").open("a") as file:
        file.write("{}\n")
    assert "1 lines; the manifest says 0 documents rejected" in faults(out)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("tokens", "tokens in all"), ("documents_kept", "documents were read")],
)
def test_totals_that_do_not_add_up_are_found(out: Path, key: str, expected: str) -> None:
    path = out / "manifest.json"
    value = json.loads(path.read_text())
    value["totals"][key] += 1
    path.write_text(json.dumps(value))
    assert expected in faults(out)


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no shard set"):
        verify(str(tmp_path))


def test_an_unfinished_set_says_how_to_finish_it(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "plan.json").touch()
    with pytest.raises(RequestError, match="run it again to finish it"):
        verify(str(tmp_path))


def test_a_damaged_manifest_is_named(out: Path) -> None:
    (out / "manifest.json").write_text("{")
    with pytest.raises(FormatError, match=r"not JSON.*manifest\.json"):
        verify(str(out))


def test_a_table_of_documents_that_is_none_is_a_fault(out: Path) -> None:
    (out / "documents.arrow").write_bytes(b"no stream")
    manifest = json.loads((out / "manifest.json").read_text())
    digest = hashlib.sha256(b"no stream").hexdigest()
    manifest["tables"]["documents"]["sha256"] = digest
    (out / "manifest.json").write_text(json.dumps(manifest))
    found = faults(out)
    assert "not a readable Arrow stream: Expected to read" in found
    assert f"at {out}/documents.arrow" in found
