"""A build on Ray from the command line: quiet, and with a log that machines can read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.conftest import job_values
from tests.pipeline.sets import ROOT, files_of, premask

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(
    corpus: Path, tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """A normal build by two workers: its folder, standard output and standard error."""
    folder = tmp_path_factory.mktemp("ray")
    values = job_values(corpus, tokenizer_file, folder / "out")
    (folder / "job.yaml").write_text(yaml.safe_dump(values))
    arguments = ("--workers", "2", "--log-json", str(folder / "log.json"))
    status, out, err = premask("build", str(folder / "job.yaml"), *arguments)
    assert status == 0, err
    return folder, out, err


@pytest.fixture(scope="module")
def events(finished: tuple[Path, str, str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (finished[0] / "log.json").read_text().splitlines()]


def test_it_builds_the_bytes_of_the_local_engine(
    finished: tuple[Path, str, str], built_set: Path
) -> None:
    assert files_of(finished[0] / "out") == files_of(built_set)


def test_nothing_of_ray_reaches_the_user(finished: tuple[Path, str, str]) -> None:
    _, out, err = finished
    first, *others = err.splitlines()
    assert first.startswith("9 units; encoded by ")
    assert all(re.match(r"\d/9 units; ", line) for line in others)
    assert re.fullmatch(r".*/out: 9 shards, .* 0 rejected\n", out)


def test_the_log_for_machines_tells_every_unit(events: list[dict[str, Any]]) -> None:
    kinds = [event["event"] for event in events if event["event"] != "progress"]
    assert kinds == ["start", *["unit"] * 9, "finish"]
    assert [e["units_done"] for e in events if e["event"] == "unit"] == list(range(1, 10))
    assert events[-1]["documents"] == 120
    assert events[-1]["bytes_done"] == events[-1]["bytes"] > 0


def test_the_log_for_machines_is_as_documented(events: list[dict[str, Any]]) -> None:
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/log.md").read_text(), re.M)
    always = set(documented) - {"message", "traceback"}
    assert {"message", "traceback"} < set(documented)
    for event in events:
        assert set(event) - {"message", "traceback"} == always
