"""Comparing shard sets, and running builds in tests."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from premask.manifest import Manifest
from premask.pipeline.build import build
from premask.pipeline.progress import LineReporter
from premask.pipeline.session import Built
from premask.schemas.job import Job

ROOT = Path(__file__).resolve().parents[2]


def files_of(root: Path | str) -> dict[str, bytes]:
    """Every file below `root` by name, hidden ones included."""
    found = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def run_build(job: Job, *, restart: bool = False) -> tuple[Built, str]:
    """Builds a job; gives what was built and what was told."""
    stream = io.StringIO()
    return build(job, LineReporter(stream=stream), restart=restart), stream.getvalue()


def manifest_of(root: Path | str) -> Manifest:
    path = Path(root) / "manifest.json"
    return Manifest.from_bytes(path.read_bytes(), location=str(path))


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "premask.pipeline", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment},
        # Tests that run in the background of a shell inherit a SIGINT that is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def premask(*arguments: str, timeout: float = 100) -> tuple[int, str, str]:
    """Runs the command line; gives status, standard output and standard error."""
    process = start(*arguments)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def as_sets(values: Sequence[str]) -> list[str]:
    """``--set`` options of these assignments."""
    return [part for value in values for part in ("--set", value)]
