"""Builds on the local engine: complete, reproducible, resumable, and refusing what changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pyarrow as pa
import pytest
from premask._errors import RequestError, UnitError
from premask.pipeline.build import build_plan, without_effect
from premask.pipeline.lock import locked
from premask.pipeline.output import Output
from premask.pipeline.plan import make_plan
from premask.pipeline.verify import verify
from premask.schemas.job import Job

from tests.pipeline.sets import files_of, manifest_of, run_build

MakeJob = Callable[..., Job]


def read(path: Path) -> pa.Table:
    return pa.ipc.open_stream(path.read_bytes()).read_all()


def test_a_build_accounts_for_every_document(make_job: MakeJob) -> None:
    job = make_job(clean={"min_characters": 250})
    run_build(job)
    manifest, faults = verify(job.output)
    rejected = (Path(job.output) / "rejected.jsonl").read_text().splitlines()
    assert faults == []
    assert manifest.totals["documents_read"] == 120
    assert manifest.totals["documents_rejected"] == len(rejected) > 0
    assert manifest.totals["rejected_by_reason"] == {"clean: too_short": len(rejected)}
    units = [json.loads(line)["unit"] for line in rejected]
    assert units == sorted(
        units, key=lambda name: (name.split(":")[0], int(name.split(":")[1]))
    )


def test_the_set_opens_in_the_light_package(make_job: MakeJob) -> None:
    job = make_job()
    built, _ = run_build(job)
    shards = premask.open_shards(job.output, verify=True)
    assert shards.num_rows == built.manifest.num_rows > 100
    assert 0 < shards.counts.sum() < shards.num_tokens


def test_two_builds_write_the_same_bytes(make_job: MakeJob, tmp_path: Path) -> None:
    first, second = make_job(), make_job(output=str(tmp_path / "again"))
    run_build(first)
    run_build(second)
    assert files_of(first.output) == files_of(second.output)


def test_a_moved_corpus_gives_the_same_shards(
    make_job: MakeJob, corpus: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in corpus.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    sources = [{"path": str(moved), "document": "paragraph"}]
    first, second = make_job(), make_job(sources=sources, output=str(tmp_path / "again"))
    run_build(first)
    run_build(second)
    assert files_of(Path(first.output) / "shards") == files_of(Path(second.output) / "shards")


def test_sources_that_share_a_file_name_get_seeds_of_their_own(
    make_job: MakeJob, corpus: Path
) -> None:
    source = {"path": str(corpus), "document": "paragraph"}
    job = make_job(sources=[source, source])
    run_build(job)
    tables = [read(path) for path in sorted((Path(job.output) / "shards").iterdir())]
    seeds = np.concatenate([table.column("seed").to_numpy() for table in tables])
    assert len(np.unique(seeds)) == len(seeds)


def test_the_resolved_job_builds_the_same_set_again(make_job: MakeJob, tmp_path: Path) -> None:
    from premask.pipeline.load import load_job

    job = make_job()
    run_build(job)
    again = load_job(Path(job.output) / "job.yaml", [f"output={tmp_path / 'again'}"])
    run_build(again)
    assert files_of(job.output) == files_of(again.output)


def test_a_finished_set_is_left_alone(make_job: MakeJob) -> None:
    job = make_job()
    run_build(job)
    before = {p: p.stat().st_mtime_ns for p in Path(job.output).rglob("*")}
    built, told = run_build(job)
    assert not built.fresh
    assert told == ""
    assert {p: p.stat().st_mtime_ns for p in Path(job.output).rglob("*")} == before


def test_a_unit_without_rows_makes_no_shard(make_job: MakeJob, tmp_path: Path) -> None:
    corpus = tmp_path / "sparse"
    corpus.mkdir()
    (corpus / "a.txt").write_text("   \n\n  ")
    (corpus / "b.txt").write_text("the cat sat on a mat")
    job = make_job(sources=[{"path": str(corpus)}], unit_bytes=20)
    built, _ = run_build(job)
    assert [shard.unit["name"] for shard in built.manifest.shards] == ["b.txt"]
    assert verify(job.output)[1] == []


def test_what_the_local_engine_does_not_heed_is_told(make_job: MakeJob) -> None:
    job = make_job(workers=3, annotate={"workers": 2})
    assert without_effect(job).startswith("workers, annotate.workers: without effect")
    assert without_effect(make_job(workers=3, engine="ray")) == ""
    assert without_effect(make_job(annotate={})) == ""


def test_a_changed_job_is_refused_by_field(make_job: MakeJob) -> None:
    run_build(make_job())
    with pytest.raises(RequestError, match=r"rows\.max_length \(was 32, is 64\)") as caught:
        run_build(make_job(rows={"max_length": 64}))
    assert "--restart" in str(caught.value)


def test_a_job_that_completed_nothing_may_be_changed(make_job: MakeJob) -> None:
    refused = make_job(engine="ray", ray_address="127.0.0.1:1")
    with pytest.raises(RequestError, match="no Ray cluster answers"):
        run_build(refused)
    built, _ = run_build(make_job(rows={"max_length": 64}))
    assert built.manifest.max_length == 64


@pytest.mark.parametrize("finished", [True, False])
def test_a_changed_file_is_refused_by_name(
    make_job: MakeJob, tmp_path: Path, finished: bool
) -> None:
    corpus = tmp_path / "own"
    corpus.mkdir()
    for name in ("a.txt", "b.txt"):
        (corpus / name).write_text("the cat sat on a mat")
    job = make_job(sources=[{"path": str(corpus)}])
    run_build(job)
    if not finished:
        _unfinish(job)
    (corpus / "b.txt").write_text("the cat sat on a hat")
    with pytest.raises(RequestError, match=r"sources\.0/b\.txt is not what it was"):
        run_build(job)


@pytest.mark.parametrize("finished", [True, False])
def test_an_added_file_is_refused_by_name(
    make_job: MakeJob, tmp_path: Path, finished: bool
) -> None:
    corpus = tmp_path / "own"
    corpus.mkdir()
    (corpus / "a.txt").write_text("the cat sat on a mat")
    job = make_job(sources=[{"path": str(corpus)}])
    run_build(job)
    if not finished:
        _unfinish(job)
    (corpus / "b.txt").write_text("the cat sat on a mat")
    with pytest.raises(RequestError, match=r"sources\.0/b\.txt is new"):
        run_build(job)


def test_a_changed_tokenizer_is_refused(
    make_job: MakeJob, tokenizer_file: Path, tmp_path: Path
) -> None:
    own = tmp_path / "tokenizer.json"
    own.write_bytes(tokenizer_file.read_bytes())
    job = make_job(tokenizer=str(own))
    run_build(job)
    own.write_bytes(own.read_bytes() + b"\n")
    with pytest.raises(RequestError, match="tokenizer is not what it was"):
        run_build(job)


def _unfinish(job: Job) -> None:
    """Turns a finished set into one that was killed just before its manifest."""
    from premask.pipeline import journal

    output = Output.at(job.output)
    manifest = manifest_of(job.output)
    header = make_plan(job).header
    output.write(journal.PLAN, header.to_bytes())
    for index, shard in enumerate(manifest.shards):
        record = journal.UnitRecord(index=index, fingerprint=header.fingerprint, shard=shard)
        output.write(journal.record_name(index), record.to_bytes())
    output.remove("manifest.json")


def test_restart_makes_the_changed_set(make_job: MakeJob, tmp_path: Path) -> None:
    run_build(make_job())
    changed = make_job(rows={"max_length": 64})
    run_build(changed, restart=True)
    fresh = make_job(rows={"max_length": 64}, output=str(tmp_path / "fresh"))
    run_build(fresh)
    assert files_of(changed.output) == files_of(fresh.output)


@pytest.mark.parametrize("restart", [False, True])
def test_a_directory_with_other_files_is_never_touched(
    make_job: MakeJob, tmp_path: Path, restart: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.doc").write_text("mine")
    with pytest.raises(RequestError, match=r"no shard set: thesis\.doc"):
        run_build(make_job(), restart=restart)
    assert files_of(out) == {"thesis.doc": b"mine"}


def test_two_builds_on_one_output_are_refused(make_job: MakeJob) -> None:
    job = make_job()
    with locked(Output.at(job.output)), pytest.raises(RequestError, match="another build"):
        run_build(job)
    run_build(job)
    assert ".premask.lock" not in files_of(job.output)


def test_a_failing_unit_is_listed_and_the_others_finish(
    make_job: MakeJob, tmp_path: Path
) -> None:
    corpus = tmp_path / "own"
    corpus.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (corpus / name).write_text("the cat sat on a mat")
    job = make_job(sources=[{"path": str(corpus)}], unit_bytes=20)
    blocked = Path(job.output) / "shards" / "00001.arrow"
    blocked.mkdir(parents=True)
    (Path(job.output) / "journal").mkdir()
    Output.at(job.output).write("journal/plan.json", make_plan(job).header.to_bytes())
    with pytest.raises(UnitError, match=r"1 of 3 units failed: b\.txt:0; the others") as caught:
        run_build(job)
    assert "IsADirectoryError" in Path(caught.value.location).read_text()
    blocked.rmdir()
    built, told = run_build(job)
    assert "2 are complete already" in told
    assert len(built.manifest.shards) == 3
    assert verify(job.output)[1] == []


def test_input_that_changes_during_the_build_fails_it(
    make_job: MakeJob, tmp_path: Path
) -> None:
    from premask.pipeline.local import LocalEngine
    from premask.pipeline.progress import Reporters

    corpus = tmp_path / "own"
    corpus.mkdir()
    (corpus / "a.txt").write_text("the cat sat on a mat")
    plan = make_plan(make_job(sources=[{"path": str(corpus)}]))
    (corpus / "a.txt").write_text("the cat sat on a hat")
    with pytest.raises(UnitError, match=r"changed during the build: sources\.0/a\.txt"):
        build_plan(plan, Reporters(reporters=()), LocalEngine())


def test_an_output_in_memory_works_like_a_directory(make_job: MakeJob, tmp_path: Path) -> None:
    import fsspec

    job, local = make_job(output="memory://premask-test/out"), make_job()
    run_build(job)
    run_build(local)
    files = fsspec.filesystem("memory")
    files.get("/premask-test/out", str(tmp_path / "copy"), recursive=True)
    assert files_of(tmp_path / "copy") == files_of(local.output)
    assert not run_build(job)[0].fresh
    files.rm("/premask-test", recursive=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sources": [{"path": "/nowhere/at/all"}]}, "does not exist"),
        ({"tokenizer": "/nowhere/tokenizer.json"}, "no tokenizer"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_work(
    make_job: MakeJob, tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RequestError, match=expected):
        run_build(make_job(**changes))
    assert not (tmp_path / "out").exists()


def test_an_empty_corpus_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(RequestError, match="empty"):
        run_build(make_job(sources=[{"path": str(tmp_path / "empty")}]))
