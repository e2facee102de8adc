"""Repeats of documents in a whole build, whatever its units and wherever they run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from premask.pipeline import duplicates
from premask.pipeline.build import build_plan
from premask.pipeline.journal import begin
from premask.pipeline.local import LocalEngine
from premask.pipeline.output import Output
from premask.pipeline.plan import make_plan
from premask.pipeline.progress import Reporters
from premask.schemas.job import Job
from premask.shards import open_shards

from tests.pipeline.conftest import sentence
from tests.pipeline.sets import files_of, manifest_of, run_build

# Document numbers per file: 3 and 5 come again within a file, 1, 3 and 8 in later ones.
FILES = [[0, 1, 2, 3, 4, 3, 5, 5], [6, 1, 7, 8, 3, 9], [8, 10, 1, 3, 8, 11]]


@pytest.fixture
def values(tmp_path: Path, tokenizer_file: Path) -> dict[str, Any]:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, documents in enumerate(FILES):
        text = "\n\n".join(sentence(document) for document in documents)
        (folder / f"part-{number}.txt").write_text(text)
    return {
        "sources": [{"path": str(folder), "document": "paragraph"}],
        "output": str(tmp_path / "out"),
        "tokenizer": str(tokenizer_file),
        "rows": {"max_length": 64, "arrangement": "documents"},
        "clean": {"drop_duplicates": True},
    }


def kept(out: str | Path) -> list[str]:
    rows = open_shards(out).rows(slice(None), document_ids=True)
    return sorted(rows.document_ids or ())


def first_occurrences() -> list[str]:
    seen: set[int] = set()
    found = []
    for number, documents in enumerate(FILES):
        position = 0
        for document in documents:
            if document not in seen:
                found.append(f"part-{number}.txt:{position}")
            seen.add(document)
            position += len(sentence(document).encode()) + 2
    return sorted(found)


@pytest.mark.parametrize("unit_bytes", [100, 400, 1 << 20])
def test_the_first_of_equal_documents_stays_whatever_the_units(
    values: dict[str, Any], unit_bytes: int
) -> None:
    run_build(Job.model_validate(values | {"unit_bytes": unit_bytes}))
    assert kept(values["output"]) == first_occurrences()
    totals = manifest_of(values["output"]).totals
    assert totals["rejected_by_reason"] == {"clean: duplicate": 8}
    assert totals["documents_read"] == totals["documents_kept"] + 8 == sum(map(len, FILES))


def test_one_file_alone_needs_no_pass_before(values: dict[str, Any]) -> None:
    values["sources"][0]["path"] += "/part-0.txt"
    _, told = run_build(Job.model_validate(values))
    assert "duplicates" not in told
    assert len(kept(values["output"])) == 6


def test_repeats_in_another_source_are_dropped(values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "more.jsonl"
    path.write_text("".join(json.dumps({"text": sentence(n)}) + "\n" for n in (4, 20, 20, 6)))
    values["sources"].append({"path": str(path)})
    run_build(Job.model_validate(values))
    assert len(kept(values["output"])) == len(first_occurrences()) + 1


def test_pairs_repeat_when_both_sides_do(values: dict[str, Any], tmp_path: Path) -> None:
    pairs = [("a cat", "un"), ("a cat", "deux"), ("a mat", "un"), ("a cat", "un")]
    for name in ("a", "b"):
        lines = [json.dumps({"text": text, "target": target}) for text, target in pairs]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    values["sources"] = [
        {"path": str(tmp_path / f"{name}.jsonl"), "target_field": "target"} for name in "ab"
    ]
    run_build(Job.model_validate(values | {"rows": {"max_length": 64, "arrangement": "pairs"}}))
    assert len(kept(values["output"])) == 3


def test_ray_writes_the_same_bytes(values: dict[str, Any], tmp_path: Path) -> None:
    run_build(Job.model_validate(values))
    ray = values | {"output": str(tmp_path / "ray"), "engine": "ray", "workers": 2}
    run_build(Job.model_validate(ray))
    assert files_of(values["output"]) == files_of(tmp_path / "ray")


def test_a_build_that_was_cut_off_goes_on_with_what_it_found(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = values | {"output": str(tmp_path / "whole")}
    run_build(Job.model_validate(whole))
    plan, quiet = make_plan(Job.model_validate(values)), Reporters(reporters=())
    output = Output.at(values["output"])
    begin(output, plan.header)
    duplicates.find_repeats(plan, output, LocalEngine(), quiet)
    hashed = Counter[int]()
    monkeypatch.setattr(duplicates, "_hash_unit", lambda *_: hashed.update([1]))
    build_plan(plan, quiet, LocalEngine())
    assert not hashed
    assert files_of(tmp_path / "whole") == files_of(values["output"])
