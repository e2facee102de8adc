"""The command line: what it prints, where, and its exit status."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from premask.masking.presets import PRESETS
from premask.pipeline.verify import verify

from tests.pipeline.sets import files_of, premask


@pytest.fixture
def job_file(values: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_build_verify_info_show_freeze(job_file: Path, tmp_path: Path) -> None:
    out, static = str(tmp_path / "out"), str(tmp_path / "static")
    status, told, _ = premask("build", str(job_file))
    assert status == 0
    assert "documents: 120 read, 120 kept, 0 rejected" in told
    assert premask("verify", out)[0] == 0
    status, told, _ = premask("info", out)
    assert status == 0
    assert "120 read, 120 kept" in told
    status, told, _ = premask("info", out, "--json")
    assert json.loads(told)["mode"] == "dynamic"
    status, told, _ = premask("show", out, "--row", "3", "--policy", "random")
    assert status == 0
    assert "[MASK]" in told
    assert "to be predicted" in told
    status, told, _ = premask("freeze", out, static, "--policy", "random", "--epochs", "2")
    assert status == 0
    assert "policy random, 2 epochs" in told
    assert verify(static)[1] == []


def test_a_build_needs_no_job_file(values: dict[str, Any], tmp_path: Path) -> None:
    status, _, err = premask(
        "build",
        *("--input", values["sources"][0]["path"], "--tokenizer", values["tokenizer"]),
        *("--out", str(tmp_path / "out"), "--format", "text", "--max-length", "32"),
        *("--set", "sources.0.document=paragraph", "--set", "unit_bytes=4096"),
    )
    assert (status, "9/9 units" in err) == (0, True)
    assert "9 units; encoded by piece cache" in err
    assert verify(str(tmp_path / "out"))[1] == []


def test_a_dry_run_prints_the_plan_and_writes_nothing(job_file: Path, tmp_path: Path) -> None:
    status, told, _ = premask("build", str(job_file), "--dry-run")
    assert status == 0
    assert "3 files, 9 units" in told
    assert "chain: read > clean > tokenize" in told
    assert "encoded by: piece cache" in told
    assert "tokens" in told
    assert not (tmp_path / "out").exists()


def test_a_static_job_builds_and_freezes(job_file: Path, tmp_path: Path) -> None:
    status, told, _ = premask(
        "build", str(job_file), "--set", "mode=static", "--set", "policy=random"
    )
    assert (status, len(told.splitlines())) == (0, 2)
    assert verify(str(tmp_path / "out"))[1] == []
    assert verify(str(tmp_path / "out" / "static"))[1] == []


def test_json_lines_go_to_standard_output(job_file: Path) -> None:
    status, told, err = premask("build", str(job_file), "--log-json", "-", "--quiet")
    events = [json.loads(line) for line in told.splitlines()]
    assert (status, err) == (0, "")
    assert events[0]["event"] == "start"
    assert events[-1]["event"] == "finish"
    assert events[-1]["units_done"] == 9
    assert events[-1]["documents"] == 120
    assert sum(events[-1]["stage_shares"].values()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "rows.max_lenght=3"], "did you mean 'max_length'? - at rows.max_lenght"),
        (["--set", "sources.0.path=/nowhere"], "/nowhere does not exist"),
        (["--input", "x"], "a job file has its own sources"),
        (["--format", "text"], "--format belongs to --input"),
        (["--set", "mode=static", "--set", "policy=randm"], "randm"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(
    job_file: Path, arguments: list[str], expected: str
) -> None:
    status, told, err = premask("build", str(job_file), *arguments)
    assert (status, told) == (2, "")
    assert err.startswith("premask: ")
    assert expected in err
    assert err.count("\n") == 1


def test_a_traceback_is_shown_when_asked_for(job_file: Path) -> None:
    status, _, err = premask("--traceback", "build", str(job_file), "--set", "seed=-1")
    assert status == 1
    assert "Traceback" in err
    assert "at least 0, got -1 - at seed" in err


@pytest.mark.parametrize("arguments", [["biuld"], ["build", "--ouput", "x"], ["verify"]])
def test_a_misspelt_command_or_option_is_status_2(arguments: list[str]) -> None:
    status, _, err = premask(*arguments)
    assert status == 2
    assert "Traceback" not in err


def test_a_damaged_set_is_status_1(built_set: Path, tmp_path: Path) -> None:
    shutil.copytree(built_set, tmp_path / "out")
    (tmp_path / "out/shards/00004.arrow").unlink()
    status, _, err = premask("verify", str(tmp_path / "out"))
    assert status == 1
    assert "the shard is missing" in err
    assert "Traceback" not in err


def test_show_marks_targets_without_colour_and_writes_a_page(
    built_set: Path, tmp_path: Path
) -> None:
    page = tmp_path / "row.html"
    arguments = ("--policy", "random", "--set", "rate=0.4", "--epoch", "2", "--html", str(page))
    status, told, _ = premask("show", str(built_set), *arguments)
    assert status == 0
    assert told.count("«") > 5
    assert "epoch 2" in told
    assert "[MASK]" in page.read_text()


@pytest.mark.parametrize("row", ["-1", "100000"])
def test_a_row_that_is_not_there_is_refused(built_set: Path, row: str) -> None:
    status, _, err = premask("show", str(built_set), "--row", row)
    assert status == 2
    assert f"row {row} of a set of" in err


def test_policies_lists_every_preset_and_shows_one() -> None:
    listed = json.loads(premask("policies", "--json")[1])
    assert [each["name"] for each in listed] == list(PRESETS)
    assert all(each["law"] and each["source"] for each in listed)
    status, told, _ = premask("policies", "whole_word")
    assert status == 0
    assert "rate" in told
    assert premask("policies", "whole_wrod")[0] == 2


def test_train_tokenizer_makes_one_that_builds(
    values: dict[str, Any], tmp_path: Path, job_file: Path
) -> None:
    tokenizer = str(tmp_path / "own.json")
    arguments = ("--input", values["sources"][0]["path"], "--vocab-size", "400")
    status, told, _ = premask("train-tokenizer", *arguments, "--out", tokenizer, "--quiet")
    assert status == 0
    assert "WordPiece" in told
    assert premask("build", str(job_file), "--tokenizer", tokenizer)[0] == 0
    assert premask("train-tokenizer", *arguments, "--out", tokenizer)[0] == 2


def test_help_does_not_pay_for_the_heavy_libraries() -> None:
    code = (
        "import sys, premask.pipeline.cli as cli\n"
        "try:\n    cli.app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'ray', 'spacy', 'datasets', 'tokenizers', 'torch', 'pydantic', 'fsspec'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "train-tokenizer" in done.stdout


def test_a_decoy_in_the_working_directory_changes_nothing(
    job_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoy = tmp_path / "decoy"
    for name in ("schemas", "stages", "pipeline", "loader"):
        (decoy / name).mkdir(parents=True)
        (decoy / name / "__init__.py").write_text("raise ImportError('a decoy')")
    monkeypatch.chdir(decoy)
    assert premask("build", str(job_file), "--quiet")[0] == 0
    assert "manifest.json" in files_of(tmp_path / "out")


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_url_that_nothing_opens_is_refused(command: str) -> None:
    status, _, err = premask(command, "gopher://a/b")
    assert (status, err.count("\n")) == (2, 1)
    assert "Protocol not known" in err


def test_an_output_whose_name_is_no_text_is_refused(job_file: Path, tmp_path: Path) -> None:
    named = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    status, _, err = premask("verify", str(shutil.copytree(tmp_path, named)))
    assert status == 2
    status, _, err = premask("build", str(job_file), "--set", f"output={named}")
    assert status == 2
    assert "Traceback" not in err
