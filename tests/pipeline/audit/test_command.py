"""`premask audit` on shard sets and data sets that were really built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from premask.pipeline.cli import app
from typer.testing import CliRunner, Result

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _done(*arguments: str | Path) -> Result:
    result = _run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def _report(out: Path) -> Any:
    return json.loads((out / "audit.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample corpus as shards, and frozen with whole words for three epochs."""
    root = tmp_path_factory.mktemp("sets")
    inputs = [f"--input={SAMPLES / name}" for name in ("wiki", "books", "news")]
    tokenizer = root / "tokenizer.json"
    _done("train-tokenizer", *inputs, "--vocab-size", "3000", "--out", tokenizer, "-q")
    _done(
        "build", *inputs, "--tokenizer", tokenizer, "--out", root / "shards",
        "--max-length", "128", "--set", "unit_bytes=20KiB", "-q",
    )  # fmt: skip
    _done(
        "freeze", root / "shards", root / "static", "--policy", "whole_word",
        "--epochs", "3", "-q",
    )  # fmt: skip
    return root


def test_a_dynamic_set_keeps_the_promises_of_a_policy(folder: Path, tmp_path: Path) -> None:
    result = _done("audit", folder / "shards", "--policy", "whole_word", "--out", tmp_path)
    assert "promises hold" in result.output
    assert (tmp_path / "audit.html").exists()
    assert _report(tmp_path)["data"]["totals"]["documents_read"] == 81


def test_a_static_set_is_held_to_the_policy_it_was_frozen_with(
    folder: Path, tmp_path: Path
) -> None:
    _done("audit", folder / "static", "--out", tmp_path)
    report = _report(tmp_path)
    assert report["policy"]["name"] == "whole_word"
    assert "whole_word" in {promise["name"] for promise in report["promises"]}


def test_a_broken_promise_ends_with_one(folder: Path, tmp_path: Path) -> None:
    result = _run("audit", folder / "static", "--policy", "bert", "--set", "rate=0.3",
                  "--out", tmp_path)  # fmt: skip
    assert result.exit_code == 1
    assert not _report(tmp_path)["passed"]


def test_static_and_dynamic_masks_are_counted_alike(folder: Path, tmp_path: Path) -> None:
    _done("audit", folder / "static", "--out", tmp_path / "a")
    _done("audit", folder / "shards", "--policy", "whole_word", "--epochs", "3",
          "--out", tmp_path / "b")  # fmt: skip
    static, dynamic = _report(tmp_path / "a"), _report(tmp_path / "b")
    for name in ("split", "units", "runs", "word_runs", "rows_by_percent"):
        assert static["measures"][name] == dynamic["measures"][name], name


def test_static_span_corruption_is_taken_apart(folder: Path, tmp_path: Path) -> None:
    rows = _t5_set(folder, tmp_path)
    _done("freeze", rows, tmp_path / "t5-static", "--policy", "span_corruption",
          "--epochs", "2", "-q")  # fmt: skip
    _done("audit", tmp_path / "t5-static", "--out", tmp_path / "a")
    _done("audit", rows, "--policy", "span_corruption", "--epochs", "2",
          "--out", tmp_path / "b")  # fmt: skip
    static, dynamic = _report(tmp_path / "a"), _report(tmp_path / "b")
    assert static["totals"]["selected"] > 0
    for name in ("selected", "sentinels", "inputs", "targets"):
        assert static["totals"][name] == dynamic["totals"][name], name
    assert static["measures"]["runs"] == dynamic["measures"]["runs"]


def test_data_of_another_program_is_audited(folder: Path, tmp_path: Path) -> None:
    import datasets

    data = datasets.load_from_disk(str(folder / "static"))
    foreign = tmp_path / "foreign"
    data.select_columns(["input_ids", "labels"]).save_to_disk(str(foreign))
    _done("audit", foreign, "--out", tmp_path / "unknown")
    _done("audit", foreign, "--tokenizer", folder / "tokenizer.json", "--policy", "whole_word",
          "--out", tmp_path / "known")  # fmt: skip
    unknown, known = _report(tmp_path / "unknown"), _report(tmp_path / "known")
    assert unknown["policy"] is None
    assert unknown["measures"]["split"] == known["measures"]["split"]
    assert known["measures"]["units"]["word"]["part"] == 0


def test_two_policies_are_compared(folder: Path, tmp_path: Path) -> None:
    result = _done("audit", folder / "shards", "--policy", "random", "--policy", "whole_word",
                   "--out", tmp_path)  # fmt: skip
    assert result.output.count("promises hold") == 2
    assert set(_report(tmp_path)) == {"a", "b"}
    assert "Differences first" in (tmp_path / "audit.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_ray_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    asked = ("audit", folder / "shards", "--policy", "random", "--out")
    _done(*asked, tmp_path / "local")
    _done(*asked, tmp_path / "ray", "--engine", "ray", "--workers", "2")
    for name in ("audit.json", "audit.html"):
        local = (tmp_path / "local" / name).read_bytes()
        assert (tmp_path / "ray" / name).read_bytes() == local


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere",), "nowhere"),
        (("SHARDS", "--policy", "randomm"), "randomm"),
        (("SHARDS", "--set", "rate=0.3"), "--policy"),
        (("SHARDS", "--engine", "spark"), "spark"),
        (("SHARDS", "--tokenizer", "x.json"), "own tokenizer"),
        (("SHARDS", "--policy", "syntax"), "pos_tags"),
        (("STATIC", "--epochs", "2"), "epochs"),
        (("SHARDS", "SHARDS", "SHARDS"), "at most two"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    places = {"SHARDS": str(folder / "shards"), "STATIC": str(folder / "static")}
    given = [places.get(argument, argument) for argument in arguments]
    result = _run("audit", *given, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def _t5_set(folder: Path, tmp_path: Path) -> Path:
    """The sample corpus with a Unigram tokenizer, which has sentinels."""
    tokenizer, shards = tmp_path / "unigram.json", tmp_path / "t5"
    source = f"--input={SAMPLES / 'wiki'}"
    _done("train-tokenizer", source, "--kind", "unigram", "--vocab-size", "2000",
          "--out", tokenizer, "-q")  # fmt: skip
    _done("build", source, "--tokenizer", tokenizer, "--out", shards, "--max-length", "128",
          "-q")  # fmt: skip
    assert folder.exists()
    return shards


def test_what_static_rows_cannot_show_is_said(folder: Path, tmp_path: Path) -> None:
    _run("audit", folder / "static", "--policy", "entity", "--out", tmp_path)
    assert "entities are masked whole" in _report(tmp_path)["untested"][0]
    assert "Not tested" in (tmp_path / "audit.html").read_text(encoding="utf-8")
