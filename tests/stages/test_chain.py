from __future__ import annotations

import bz2
import gzip
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from premask._errors import RequestError, UnitError
from premask._format import Boundary
from premask.schemas.job import Job
from premask.schemas.unit import Ledger, Unit
from premask.stages import chain
from premask.stages.chain import (
    UnitProgress,
    UnitResult,
    Workbench,
    annotation_columns,
    build_chain,
    run_unit,
)
from premask.stages.compose import Clock, check_chain, compose
from premask.stages.count import Counter, count_tokens
from premask.stages.read import plan_source, read_unit

from tests.stages.vocabularies import REAL, tiny_bert

TEXT = "the cat sat on the mat\n\nthe dogs ran\n\nunhappy cats sat\n\n \n\nthe dog ran\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def options(tmp_path: Path, corpus: Path) -> dict[str, Any]:
    tiny_bert(tmp_path)
    return {
        "sources": [{"path": str(corpus), "document": "paragraph"}],
        "output": str(tmp_path / "out"),
        "tokenizer": str(tmp_path / "vocab.txt"),
        "rows": {"max_length": 10},
    }


def only_unit(job: Job) -> Unit:
    (piece,) = plan_source(job.sources[0], 0, job.unit_bytes)
    return Unit(slices=(piece,))


def run(options: dict[str, Any], path: Path) -> tuple[UnitResult, pa.Table]:
    job = Job.model_validate(options)
    result = run_unit(Workbench.open(job), only_unit(job), path)
    return result, pa.ipc.open_stream(path.read_bytes()).read_all()


def documents_of(table: pa.Table) -> set[str]:
    return {str(name) for name in table["document_id"].to_pylist()}


def test_a_unit_becomes_a_shard(tmp_path: Path, options: dict[str, Any]) -> None:
    result, table = run(options, tmp_path / "x.arrow")
    assert result.shard is not None
    assert table.num_rows == result.shard.num_rows == 3
    assert (result.ledger.documents_read, result.ledger.documents_kept) == (4, 4)


def test_a_long_unit_tells_how_far_it_has_come(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("premask.stages.read.opening.BLOCK_BYTES", 500)
    words = ("cat", "dog", "mat", "sat")
    lines = [f"the {words[k % 4]} {words[k * k % 3]} {k}" for k in range(3000)]
    corpus = tmp_path / "long.txt.gz"
    corpus.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    source = {"path": str(corpus), "document": "line"}
    job = Job.model_validate({**options, "sources": [source]})
    told: list[UnitProgress] = []
    result = run_unit(Workbench.open(job), only_unit(job), tmp_path / "x.arrow", told.append)
    shares = [progress.share for progress in told]
    assert len(told) > 4
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5
    assert shares[-1] == 1
    assert [progress.documents for progress in told][-1] == 3000
    assert result.shard is not None
    assert 0 < told[0].tokens < told[-1].tokens <= result.shard.num_tokens


def test_the_columns_are_those_that_the_workbench_promises(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    workbench = Workbench.open(Job.model_validate(options))
    _, table = run(options, tmp_path / "x.arrow")
    found = {f.name: str(f.type).replace("item: ", "") for f in table.schema}
    assert found == workbench.columns
    assert workbench.columns["input_ids"] == "list<uint16>"


def test_the_counts_are_those_of_the_shard(tmp_path: Path, options: dict[str, Any]) -> None:
    result, table = run(options, tmp_path / "x.arrow")
    size = len(result.counts.counts_V)
    recount = np.sum([count_tokens(batch, size) for batch in table.to_batches()], axis=0)
    assert np.array_equal(recount, result.counts.counts_V)
    assert result.counts.num_documents == 4


def test_a_run_again_gives_the_same_bytes(tmp_path: Path, options: dict[str, Any]) -> None:
    first, _ = run(options, tmp_path / "1.arrow")
    second, _ = run(options, tmp_path / "2.arrow")
    assert first.shard == second.shard
    assert (tmp_path / "1.arrow").read_bytes() == (tmp_path / "2.arrow").read_bytes()


@pytest.mark.parametrize("rows", [{}, {"arrangement": "documents", "stride": 2}])
def test_a_unit_is_the_same_with_and_without_numba(
    tmp_path: Path,
    options: dict[str, Any],
    rows: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options["rows"] |= rows
    compiled, _ = run(options, tmp_path / "1.arrow")
    monkeypatch.setattr("premask.stages.loops.sys", SimpleNamespace(modules={}))
    plain, _ = run(options, tmp_path / "2.arrow")
    assert plain.shard == compiled.shard
    assert plain.ledger == compiled.ledger
    assert plain.counts.to_bytes() == compiled.counts.to_bytes()


def test_the_seed_of_the_job_changes_every_row(tmp_path: Path, options: dict[str, Any]) -> None:
    _, first = run(options, tmp_path / "1.arrow")
    _, second = run(options | {"seed": 1}, tmp_path / "2.arrow")
    assert not set(first["seed"].to_pylist()) & set(second["seed"].to_pylist())


def test_moving_the_corpus_changes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    run(options, tmp_path / "1.arrow")
    moved = tmp_path / "elsewhere" / "corpus.txt"
    moved.parent.mkdir()
    moved.write_text(TEXT)
    source = options["sources"][0] | {"path": str(moved)}
    run(options | {"sources": [source]}, tmp_path / "2.arrow")
    assert (tmp_path / "1.arrow").read_bytes() == (tmp_path / "2.arrow").read_bytes()


def test_a_unit_without_rows_has_no_shard(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "corpus.txt").write_text(" \n\n \n")
    job = Job.model_validate(options)
    result = run_unit(Workbench.open(job), only_unit(job), tmp_path / "x.arrow")
    assert result.shard is None
    assert not (tmp_path / "x.arrow").exists()
    assert result.ledger.documents_kept == 0


def test_time_is_told_for_every_stage(tmp_path: Path, options: dict[str, Any]) -> None:
    result, _ = run(options, tmp_path / "x.arrow")
    stages = "read, clean, tokenize, count documents, arrange, count rows, write"
    assert ", ".join(result.seconds) == stages
    assert all(seconds >= 0 for seconds in result.seconds.values())


def test_a_stage_that_loses_documents_is_found_out(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_lose(*arguments: Any) -> Any:
        for batch in read_unit(*arguments):
            yield batch.slice(1)

    monkeypatch.setattr(chain, "read_unit", read_and_lose)
    with pytest.raises(UnitError, match="4 documents were read, 3 tokenized and 0 rejected"):
        run(options, tmp_path / "x.arrow")


def test_rows_that_leave_no_room_for_text_are_refused(options: dict[str, Any]) -> None:
    job = Job.model_validate(options | {"rows": {"max_length": 8, "min_length": 6}})
    narrow = job.model_copy(update={"rows": job.rows.model_copy(update={"min_length": 7})})
    with pytest.raises(RequestError, match="leaves 6"):
        Workbench.open(narrow)


def test_a_job_that_needs_an_annotator_cannot_run_without(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    job = Job.model_validate(options | {"annotate": {}})
    workbench = Workbench.open(Job.model_validate(options))
    bare = Workbench(job=job, tokenizer=workbench.tokenizer, annotator=None, track_names={})
    with pytest.raises(RequestError, match=r"'tokenize' takes .*entity_codes"):
        run_unit(bare, only_unit(job), tmp_path / "x.arrow")


def test_only_dumps_are_stripped(options: dict[str, Any]) -> None:
    job = Job.model_validate(options)
    unit = only_unit(job)
    dump = Unit(slices=(replace(unit.first, format="mediawiki"),))
    for of_unit, expected in ((unit, ["read", "clean"]), (dump, ["read", "strip", "clean"])):
        stages = build_chain(Workbench.open(job), of_unit, Ledger(unit="u"), Counter(10))
        check_chain(stages)
        assert [stage.name for stage in stages][: len(expected)] == expected


def test_annotation_columns_follow_the_tracks() -> None:
    job = Job.model_validate(
        {
            "sources": [{"path": "x"}],
            "output": "y",
            "tokenizer": "z",
            "annotate": {"tracks": ["pos", "depth"]},
        }
    )
    assert annotation_columns(job.annotate) == (
        "annotated_word_starts",
        "annotated_word_ends",
        "pos_tags",
        "depth",
    )
    assert annotation_columns(None) == ()


# Real data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "t5"])
def test_a_dump_becomes_rows_of_its_articles(
    shared_small: Path, tmp_path: Path, name: str
) -> None:
    dump = shared_small / "dump/minidumps/simplewiki.xml.bz2"
    options = {
        "sources": [{"path": str(dump)}],
        "output": str(tmp_path),
        "tokenizer": str(shared_small / "tokenizers" / REAL[name]),
        "rows": {"max_length": 128},
    }
    result, table = run(options, tmp_path / "x.arrow")
    pages = bz2.decompress(dump.read_bytes()).decode().count("<page>")
    passed = result.ledger.counters["redirects"] + result.ledger.counters["other_namespaces"]
    assert result.ledger.documents_read + passed == pages
    assert table.num_rows > 0
    kept = [list(row) for row in table["boundaries"].to_pylist()]
    starts = sum(bool(bits & Boundary.DOCUMENT_START) for row in kept for bits in row)
    assert starts == result.ledger.documents_kept


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "t5"])
def test_a_row_holds_the_plain_encoding_of_its_document(
    shared_small: Path, tmp_path: Path, name: str
) -> None:
    options = {
        "sources": [{"path": str(shared_small / "dump/minidumps/frwiki.xml.bz2")}],
        "output": str(tmp_path),
        "tokenizer": str(shared_small / "tokenizers" / REAL[name]),
        "rows": {"arrangement": "documents", "max_length": 65536},
    }
    _, table = run(options, tmp_path / "x.arrow")
    job = Job.model_validate(options)
    workbench = Workbench.open(job)
    stages = build_chain(workbench, only_unit(job), Ledger(unit="u"), Counter(10))
    batches = compose(stages[:3], Clock())  # read, strip, clean
    texts = {row["document_id"]: row["text"] for batch in batches for row in batch.to_pylist()}
    assert sorted(texts) == sorted(table["document_id"].to_pylist())
    for row in table.to_pylist():
        expected = workbench.tokenizer.tokenizer.encode(texts[row["document_id"]]).ids
        assert row["input_ids"] == expected


def test_a_hostile_text_gives_no_special_token_inside_a_row(
    shared_small: Path, tmp_path: Path
) -> None:
    job = {
        "sources": [{"path": str(shared_small / "hostile/blns/blns.txt")}],
        "output": str(tmp_path),
        "tokenizer": str(shared_small / "tokenizers" / REAL["t5"]),
        "rows": {"max_length": 64},
    }
    _, table = run(job, tmp_path / "x.arrow")
    vocabulary = Workbench.open(Job.model_validate(job)).tokenizer.vocabulary
    for ids, bits in zip(
        table["input_ids"].to_pylist(), table["boundaries"].to_pylist(), strict=True
    ):
        for token, bit in zip(ids, bits, strict=True):
            assert (token in vocabulary.special_ids) == bool(bit & Boundary.SPECIAL)


def test_the_shard_names_its_tokenizer(tmp_path: Path, options: dict[str, Any]) -> None:
    _, table = run(options, tmp_path / "x.arrow")
    tokenizer = Workbench.open(Job.model_validate(options)).tokenizer
    assert table.schema.metadata[b"tokenizer_sha256"].decode() == tokenizer.sha256
    assert json.loads(table.schema.metadata[b"tracks"]) == {}
