"""Small files share a unit, and every document of theirs is told as if it had its own."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from premask.schemas.job import Source
from premask.schemas.records import MAX_BATCH_DOCUMENTS
from premask.schemas.unit import MAX_SLICES, Ledger, Slice, Unit
from premask.stages.read import group, plan_source, read_slice, read_unit


def piece(name: str, num_bytes: int, *, start: int = 0, **changes: Any) -> Slice:
    values: dict[str, Any] = {
        "source": 0,
        "name": name,
        "path": f"/corpus/{name}",
        "format": "text",
        "start": start,
        "end": start + num_bytes,
        "size": start + num_bytes,
        "num_bytes": num_bytes,
    }
    return Slice(**{**values, **changes})


def names(units: list[Unit]) -> list[list[str]]:
    return [[piece.label for piece in unit.slices] for unit in units]


def test_consecutive_files_fill_a_unit_up_to_its_bytes() -> None:
    slices = [piece("a", 40), piece("b", 60), piece("c", 1), piece("d", 100), piece("e", 0)]
    assert names(list(group(slices, 100))) == [["a:0", "b:0"], ["c:0"], ["d:0", "e:0"]]


def test_slices_of_a_large_file_stay_alone() -> None:
    slices = [piece("a", 5), piece("b", 90), piece("b", 8, start=90), piece("c", 5)]
    assert names(list(group(slices, 100))) == [["a:0"], ["b:0"], ["b:90"], ["c:0"]]


def test_formats_do_not_mix() -> None:
    slices = [piece("a", 1), piece("b", 1, format="mediawiki"), piece("c", 1)]
    assert names(list(group(slices, 100))) == [["a:0"], ["b:0"], ["c:0"]]


@pytest.mark.parametrize("changes", [{"path": "https://host/b"}, {"format": "datasets"}])
def test_what_tells_no_size_stays_alone(changes: dict[str, Any]) -> None:
    unknown = piece("b", 0, **changes)
    assert len(list(group([piece("a", 1, **changes), unknown, piece("c", 1)], 100))) == 3


def test_a_unit_has_a_bounded_number_of_files() -> None:
    slices = [piece(f"{number:06d}", 0) for number in range(MAX_SLICES + 2)]
    assert [len(unit.slices) for unit in group(slices, 100)] == [MAX_SLICES, 2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dozen small files, some of them hostile."""
    for number in range(8):
        lines = [json.dumps({"text": f"text {number} {line}"}) for line in range(3)]
        (tmp_path / f"{number}.jsonl").write_text("\n".join(lines))
    (tmp_path / "2.jsonl").write_bytes(b'{"text": "good"}\n{bad\n{"text": 5}\n\xff\xfe')
    (tmp_path / "3.jsonl").write_bytes(b"")
    packed = gzip.compress(b'{"text": "packed"}\n' * 400, mtime=0)
    (tmp_path / "4.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "5.jsonl").write_bytes('{"text": "wide"}\n'.encode("utf-16"))
    return tmp_path


def test_documents_and_rejects_are_those_of_each_file_alone(folder: Path) -> None:
    source = Source(path=str(folder), format="jsonl")
    slices = plan_source(source, 0, 1 << 20)
    (unit,) = group(slices, 1 << 20)
    ledger, documents, alone, rejected = Ledger.of(unit), [], [], []
    for batch in read_unit(unit, source, ledger):
        for row in batch.to_pylist():
            label, position = ledger.locate(row.pop("position"))
            documents.append({**row, "position": position, "unit": label})
    read = 0
    for single in slices:
        part = Ledger(unit=single.label)
        for batch in read_slice(single, source, part):
            alone += [{**row, "unit": single.label} for row in batch.to_pylist()]
        rejected += part.rejected
        read += part.documents_read
    assert documents == alone
    assert ledger.rejected == rejected
    assert ledger.documents_read == read == len(documents) + len(rejected)
    reasons = {(record["unit"], record["reason"]) for record in rejected}
    assert ("2.jsonl:0", "text_not_a_string") in reasons
    assert ("4.jsonl.gz:0", "truncated_stream") in reasons


def test_small_files_travel_in_common_batches(tmp_path: Path) -> None:
    for number in range(MAX_BATCH_DOCUMENTS + 10):
        (tmp_path / f"{number:04d}.txt").write_text("one document")
    source = Source(path=str(tmp_path))
    (unit,) = group(plan_source(source, 0, 1 << 20), 1 << 20)
    ledger = Ledger.of(unit)
    sizes, shares = [], []
    for batch in read_unit(unit, source, ledger):
        sizes.append(batch.num_rows)
        shares.append(ledger.share_read)
    assert sizes == [MAX_BATCH_DOCUMENTS, 10]
    assert 0.9 < shares[0] < shares[1] == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("text")
    source = Source(path=str(tmp_path))
    (unit,) = group(plan_source(source, 0, 1 << 20), 1 << 20)
    (tmp_path / "b.txt").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        list(read_unit(unit, source, Ledger.of(unit)))
    assert caught.value.__notes__ == [f"while {tmp_path / 'b.txt'} was read"]
