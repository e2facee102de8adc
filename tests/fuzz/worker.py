"""Fuzzes one target in this process, for so many seconds of CPU time.

Guided by coverage where `atheris` is installed (libFuzzer for Python; Premask's own modules are
instrumented), by mutations alone where it is not. Before every input the input itself is
written to ``current``: when the process dies, that is what killed it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import logging
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

_STATE_SECONDS = 2.0


class Worker:
    """Runs inputs, keeps what they found, and stops when its time is over."""

    def __init__(self, name: str, folder: Path, cpu_seconds: float) -> None:
        from tests.fuzz.everything import TARGETS
        from tests.fuzz.watch import Watch

        self.target = TARGETS[name]
        self._folder, self._cpu_seconds = folder, cpu_seconds
        self._known = {path.name for path in (folder / "findings").iterdir()}
        self._num_inputs, self._saved = 0, 0.0
        self.watch = Watch(self.target, folder / "run")

    def one(self, data: bytes) -> None:
        """Runs one input."""
        (self._folder / "current").write_bytes(data)
        finding = self.watch.run(data)
        self._num_inputs += 1
        if finding is not None:
            self._keep(finding.kind, finding.detail, data)
        now = time.process_time()
        if now - self._saved > _STATE_SECONDS or now > self._cpu_seconds:
            self._save(now)
        if now > self._cpu_seconds:
            (self._folder / "current").unlink()
            os._exit(0)  # libFuzzer's own end would count as a crash

    def _keep(self, kind: str, detail: str, data: bytes) -> None:
        name = re.sub(r"[^\w.-]+", "-", kind)
        if name in self._known:
            return
        self._known.add(name)
        folder = self._folder / "findings" / name
        folder.mkdir()
        (folder / "input").write_bytes(data)
        (folder / "detail.txt").write_text(detail)
        print(f"FINDING {kind}: {detail.strip().splitlines()[-1][:300]}", file=sys.stderr)

    def _save(self, now: float) -> None:
        self._saved = now
        state = {"inputs": self._num_inputs, "cpu_seconds": now}
        (self._folder / "state.json").write_text(json.dumps(state))


def calm() -> None:
    """One thread, little noise, nothing kept outside."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    logging.disable(logging.CRITICAL)


def by_mutation(worker: Worker, words: Sequence[bytes], seed: int) -> None:
    """Runs mutated inputs until the time is over."""
    from tests.fuzz.mutation import mutate

    rng, pool = Random(seed), list(worker.watch.seeds)
    for data in pool:
        worker.one(data)
    while True:
        worker.one(mutate(rng.choice(pool), pool, words, rng))


def by_coverage(worker: Worker, folder: Path, words: Sequence[bytes], seed: int) -> None:
    """Runs what libFuzzer makes of the inputs that reached something new."""
    import atheris

    for data in worker.watch.seeds:
        (folder / "corpus" / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)
    dictionary = folder / "dictionary"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    dictionary.write_text("".join(f'"{word}"\n' for word in quoted))
    arguments: list[Any] = [
        *(sys.argv[0], str(folder / "corpus"), f"-dict={dictionary}", f"-seed={seed}"),
        *("-rss_limit_mb=0", "-max_len=16384", f"-artifact_prefix={folder}/log/"),
        f"-timeout={10**6}",  # of wall time; the watch has a limit of CPU time
    ]
    atheris.Setup(arguments, worker.one)
    atheris.Fuzz()


def main() -> None:
    """What ``python -m tests.fuzz`` starts for each target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu-seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    calm()
    if importlib.util.find_spec("atheris") is None:
        worker = Worker(given.target, given.folder, given.cpu_seconds)
        by_mutation(worker, worker.target.words, given.seed)
        return
    import atheris

    with atheris.instrument_imports(include=["premask"]):
        worker = Worker(given.target, given.folder, given.cpu_seconds)
    by_coverage(worker, given.folder, worker.target.words, given.seed)


if __name__ == "__main__":
    main()
