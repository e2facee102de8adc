"""Fuzzes Premask: ``python -m tests.fuzz --cpu-seconds 60 jsonl shards``; without names, all.

Targets run one after the other, in slices, each in a process of its own that is started again
when it dies. Inputs that reached something new are kept in ``OUT/TARGET/corpus`` for the next
time; every kind of finding once, in ``OUT/TARGET/findings``, with its input. The exit status is
1 if there is any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fuzz.everything import TARGETS

_ROOT = Path(__file__).resolve().parents[2]
_MAX_SILENT_SECONDS = 4 * 3600  # of wall time: a hang that CPU time does not show


def main() -> int:
    """Runs the targets and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--cpu-seconds", type=float, default=60, help="for each target")
    parser.add_argument("--slice-seconds", type=float, default=60, help="at one go")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    given = parser.parse_args()
    wrong = sorted(set(given.targets) - set(TARGETS))
    if wrong:
        parser.error(f"no target {', '.join(wrong)}; there are {', '.join(TARGETS)}")
    names = given.targets or list(TARGETS)
    total = dict.fromkeys(names, 0.0)
    while pending := [name for name in names if total[name] < given.cpu_seconds]:
        for name in pending:
            left = given.cpu_seconds - total[name]
            folder = given.out.absolute() / name
            total[name] += run_slice(name, folder, min(given.slice_seconds, left))
            print(_line(name, folder), flush=True)
    return int(any(list((given.out / name / "findings").iterdir()) for name in names))


def run_slice(name: str, folder: Path, cpu_seconds: float) -> float:
    """Fuzzes one target in a process of its own; gives the CPU seconds that it took."""
    for part in ("corpus", "findings", "log"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    history = _history(folder)
    seed = len(history["slices"]) + 1
    (folder / "state.json").unlink(missing_ok=True)
    log = folder / "log" / f"{seed:04d}.txt"
    before = _children_seconds()
    command = [*(sys.executable, "-m", "tests.fuzz.worker", name, str(folder))]
    command += ["--cpu-seconds", str(cpu_seconds), "--seed", str(seed)]
    with log.open("wb") as stream:
        done = subprocess.run(
            command,
            stdout=stream,
            stderr=stream,
            cwd=_ROOT,
            env=_environment(folder),
            timeout=_MAX_SILENT_SECONDS,
            check=False,
        )
    seconds = _children_seconds() - before
    current = folder / "current"
    if done.returncode and current.exists():
        _keep_death(folder, done.returncode, log)
    elif done.returncode:
        raise SystemExit(f"{name} did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
    _remember(folder, history, seconds, log)
    return seconds


def _environment(folder: Path) -> dict[str, str]:
    """One thread, and every place to write inside the run's own folder."""
    scratch = folder / "run" / "scratch"
    places = dict.fromkeys(("HOME", "TMPDIR", "HF_HOME"), str(scratch))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **places, **threads, **offline, "PYTHONDONTWRITEBYTECODE": "1"}


def _keep_death(folder: Path, status: int, log: Path) -> None:
    """A process that died keeps its last input and what it said."""
    data = (folder / "current").read_bytes()
    digest = hashlib.sha256(data).hexdigest()[:8]
    found = folder / "findings" / f"died-{status}-{digest}"
    found.mkdir(exist_ok=True)
    (found / "input").write_bytes(data)
    (found / "detail.txt").write_bytes(log.read_bytes()[-20_000:])


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _history(folder: Path) -> dict[str, Any]:
    path = folder / "history.json"
    empty: dict[str, Any] = {"slices": []}
    return dict(json.loads(path.read_text())) if path.exists() else empty


def _remember(folder: Path, history: dict[str, Any], seconds: float, log: Path) -> None:
    state = folder / "state.json"
    inputs = json.loads(state.read_text())["inputs"] if state.exists() else 0
    text = log.read_bytes()
    covered = re.findall(rb"\bcov: (\d+)", text)
    counted = re.findall(rb"^#(\d+)\t", text, re.MULTILINE)  # of a process that died
    inputs = max([inputs, *map(int, counted[-1:])])
    history["slices"].append(
        {"cpu_seconds": seconds, "inputs": inputs, "edges": int(covered[-1]) if covered else 0}
    )
    (folder / "history.json").write_text(json.dumps(history))


def _line(name: str, folder: Path) -> str:
    slices = _history(folder)["slices"]
    seconds = sum(each["cpu_seconds"] for each in slices)
    inputs = sum(each["inputs"] for each in slices)
    edges = max(each["edges"] for each in slices)
    findings = sorted(path.name for path in (folder / "findings").iterdir())
    return f"{name:14} {seconds:7.0f} CPU s {inputs:9,} inputs {edges:6} edges  {findings}"


if __name__ == "__main__":
    sys.exit(main())
