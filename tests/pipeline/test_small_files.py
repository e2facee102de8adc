"""Many small files: few shards, and everything about each file as if it stood alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import premask
import pyarrow as pa
import pytest
from premask._errors import RequestError, UnitError
from premask.pipeline import build
from premask.pipeline.lineage import documents_of, rows_of
from premask.pipeline.plan import make_plan
from premask.pipeline.verify import verify
from premask.schemas.job import Job
from premask.stages import chain
from premask.stages.read import read_unit

from tests.pipeline.conftest import document, sentence
from tests.pipeline.sets import files_of, run_build

NUM_FILES = 200
MakeJob = Callable[..., Job]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of one document each, in folders; file 7 is empty, 8 holds only white space."""
    root = tmp_path / "many"
    for number in range(NUM_FILES):
        path = root / f"{number // 50}/{number:03d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(number))
    (root / "0/007.txt").write_text("")
    (root / "0/008.txt").write_text(" \n ")
    return root


@pytest.fixture
def values(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    return values | {"sources": [{"path": str(folder)}], "unit_bytes": 8192}


def test_files_share_shards_and_none_is_lost(values: dict[str, Any], folder: Path) -> None:
    job = Job.model_validate(values)
    total = sum(path.stat().st_size for path in folder.rglob("*.txt"))
    built, _ = run_build(job)
    shards = built.manifest.shards
    assert total / 8192 <= len(shards) < 1.1 * total / 8192 + 1
    files = [name for shard in shards for name in shard.unit["files"]]
    assert files == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.txt"))
    assert built.manifest.totals["documents_kept"] == NUM_FILES - 2
    assert verify(job.output)[1] == []


def test_rejected_documents_name_their_own_file(values: dict[str, Any]) -> None:
    values["clean"] = {"min_characters": 250}
    run_build(Job.model_validate(values))
    lines = (Path(values["output"]) / "rejected.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {"0/008.txt:0"} < {record["unit"] for record in records}
    for record in records:
        assert record["document_id"] == record["unit"]
        assert record["position"] == 0
    numbers = [record["unit"] for record in records]
    assert numbers == sorted(numbers)


def test_rows_lead_back_to_each_file(values: dict[str, Any]) -> None:
    run_build(Job.model_validate(values))
    shards = premask.open_shards(values["output"])
    several = Counter[int]()
    for row in range(len(shards)):
        places = documents_of(shards, row)
        several[len(places)] += 1
        for place in places:
            assert place.document_id == place.unit
            assert place.position == 0
            assert row in rows_of(shards, place.document_id)
    assert several[2] > NUM_FILES / 4  # rows do not end with a file


def test_one_and_two_workers_write_the_bytes_of_the_local_engine(
    values: dict[str, Any], tmp_path: Path
) -> None:
    values["clean"] = {"min_characters": 200, "drop_duplicates": True}
    run_build(Job.model_validate(values))
    ray = values | {"output": str(tmp_path / "ray"), "engine": "ray", "workers": 2}
    run_build(Job.model_validate(ray))
    assert files_of(values["output"]) == files_of(tmp_path / "ray")


@pytest.mark.parametrize("finished", [True, False])
def test_a_changed_file_is_refused_by_name(
    values: dict[str, Any], folder: Path, finished: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job.model_validate(values)
    if not finished:
        monkeypatch.setattr(build, "_finish", lambda *_: pytest.fail("stop here"))
        with pytest.raises(pytest.fail.Exception):
            run_build(job)
        monkeypatch.undo()
    else:
        run_build(job)
    path = folder / "1/077.txt"
    path.write_text(path.read_text().replace("a", "e"))
    with pytest.raises(RequestError, match=r"sources\.0/1/077\.txt is not what it was"):
        run_build(job)


def test_repeats_are_found_between_the_files_of_a_unit_and_of_others(
    values: dict[str, Any], folder: Path
) -> None:
    for name in ("0/003.txt", "3/190.txt"):
        (folder / name).write_text(document(1))
    values["clean"] = {"drop_duplicates": True}
    run_build(Job.model_validate(values))
    lines = (Path(values["output"]) / "rejected.jsonl").read_text().splitlines()
    repeats = [r["unit"] for r in map(json.loads, lines) if r["reason"] == "duplicate"]
    assert repeats == ["0/003.txt:0", "3/190.txt:0"]


def test_files_of_equal_length_are_not_treated_alike(
    values: dict[str, Any], folder: Path
) -> None:
    """What is drawn for a document depends on its file, not on its place in the file alone."""
    values["rows"] = {"max_length": 64, "arrangement": "documents"}
    values["rows"]["fill_in_middle"] = {"rate": 0.5, "sentinels": ["the", "cat", "on"]}
    for path in folder.rglob("*.txt"):
        path.write_text(sentence(5))
    run_build(Job.model_validate(values))
    table = pa.concat_tables(
        pa.ipc.open_stream(path.read_bytes()).read_all()
        for path in sorted(Path(values["output"]).glob("shards/*.arrow"))
    )
    kinds = Counter(tuple(ids) for ids in table["input_ids"].to_pylist())
    assert len(kinds) > 10


def test_the_dry_run_tells_files_and_units(values: dict[str, Any]) -> None:
    plan = make_plan(Job.model_validate(values))
    assert plan.units[0].label.startswith("0/000.txt to 0/0")
    assert sum(len(unit.slices) for unit in plan.units) == NUM_FILES
    assert plan.num_bytes == sum(p.num_bytes for unit in plan.units for p in unit.slices)


def test_a_file_that_vanishes_is_named_and_the_others_are_done(
    values: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_units = len(make_plan(Job.model_validate(values)).units)

    def read_and_remove(*arguments: Any) -> Any:
        (folder / "1/077.txt").unlink(missing_ok=True)
        yield from read_unit(*arguments)

    monkeypatch.setattr(chain, "read_unit", read_and_remove)
    with pytest.raises(UnitError, match="1 of") as caught:
        run_build(Job.model_validate(values))
    log = Path(str(caught.value).rsplit(" at ", 1)[-1]).read_text()
    assert "1/077.txt" in log.splitlines()[0]
    done = list(Path(values["output"]).glob("journal/[0-9]*[0-9].json"))
    assert len(done) == num_units - 1 > 1
