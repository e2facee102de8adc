"""Kills: whatever ends a build, a rerun completes it to the same bytes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from premask.pipeline.verify import verify
from premask.schemas.job import Job

from tests.pipeline.conftest import job_values
from tests.pipeline.sets import files_of, premask, run_build, start

_TAG = "PREMASK_TEST_TAG"


@pytest.fixture
def job_file(values: dict[str, Any], tmp_path: Path) -> Path:
    """About a hundred units, so that there is time to kill something."""
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({**values, "unit_bytes": 300}))
    return path


@pytest.fixture(scope="module")
def expected(
    corpus: Path, tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The bytes that an undisturbed build writes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    values = {**job_values(corpus, tokenizer_file, out), "unit_bytes": 300}
    run_build(Job.model_validate(values))
    return files_of(out)


def wait_for_units(out: Path, number: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while len(list(out.glob("journal/[0-9]*[0-9].json"))) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def tagged(tag: str, title: str) -> Iterator[int]:
    """Processes that a test with this tag started, by the beginning of their title."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{_TAG}={tag}".encode() in (path / "environ").read_bytes()
            if ours and (path / "cmdline").read_bytes().startswith(title.encode()):
                yield int(path.name)
        except OSError:
            continue  # it has ended meanwhile


def shards_are_whole(out: Path) -> bool:
    """No temporary file, and every shard is one of the records'."""
    names = [path.name for path in out.rglob("*") if path.is_file()]
    return not any(name.count(".") > 1 and ".arrow." in name for name in names)


def test_a_killed_driver_is_resumed_to_the_same_bytes(
    job_file: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    for units in (3, 40):
        process = start("build", str(job_file))
        wait_for_units(out, units, process)
        process.kill()
        process.communicate()
        assert not (out / "manifest.json").exists()
    status, _, err = premask("build", str(job_file))
    assert status == 0
    assert "are complete already" in err
    assert files_of(out) == expected


def test_ctrl_c_ends_with_130_and_one_line(
    job_file: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    process = start("build", str(job_file), "--quiet")
    wait_for_units(out, 3, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "premask: interrupted; run the same command again to go on\n"
    assert shards_are_whole(out)
    assert not (out / ".premask.lock").exists()
    assert premask("build", str(job_file))[0] == 0
    assert files_of(out) == expected


def test_sigterm_ends_with_143(job_file: Path, tmp_path: Path) -> None:
    process = start("build", str(job_file), "--quiet")
    wait_for_units(tmp_path / "out", 2, process)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.count("\n") == 1


def test_a_full_disk_is_one_line_and_a_rerun_completes(
    values: dict[str, Any], tmp_path: Path, built_set: Path
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(values))
    limit = 5200  # between the smallest and the largest shard
    sizes = [len(data) for name, data in files_of(built_set).items() if "shards/" in name]
    assert min(sizes) < limit < max(sizes)
    process = subprocess.run(
        [sys.executable, "-m", "premask.pipeline", "build", str(path), "--quiet"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        check=False,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("premask: stopped: the output cannot be written")
    assert process.stderr.count("\n") == 1
    assert shards_are_whole(tmp_path / "out")
    assert premask("build", str(path))[0] == 0
    assert files_of(tmp_path / "out") == files_of(built_set)


@pytest.mark.slow
def test_ray_survives_killed_workers_and_a_killed_driver(
    job_file: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out, tag = tmp_path / "out", uuid.uuid4().hex
    arguments = ("build", str(job_file), "--engine", "ray", "--workers", "2")
    process = start(*arguments, **{_TAG: tag})
    wait_for_units(out, 2, process)
    killed = 0
    for pid in tagged(tag, "ray::Worker"):
        os.kill(pid, signal.SIGKILL)
        killed += 1
    assert killed
    wait_for_units(out, 30, process)
    process.kill()
    process.communicate()
    status, _, err = premask("build", str(job_file))  # by another engine
    assert status == 0
    assert "are complete already" in err
    assert files_of(out) == expected
    assert verify(str(out))[1] == []


@pytest.mark.slow
def test_ctrl_c_on_ray_leaves_no_process_and_no_half_file(
    job_file: Path, tmp_path: Path
) -> None:
    out, tag = tmp_path / "out", uuid.uuid4().hex
    process = start("build", str(job_file), "--workers", "2", "--quiet", **{_TAG: tag})
    wait_for_units(out, 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "premask: interrupted; run the same command again to go on\n"
    assert shards_are_whole(out)
    deadline = time.monotonic() + 20
    while list(tagged(tag, "")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(tagged(tag, "")) == []
