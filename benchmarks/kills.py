"""Kills builds at random and looks whether the finished set is the one of a quiet build.

Each round builds the same corpus on a Ray cluster of two nodes on this machine, from nothing.
Sentences are found in a pool of their own. At a random moment it kills, with SIGKILL and
without warning, the driver, a worker, a helper of that pool or a whole node; a killed driver is
started again, a killed node is replaced. After every round all files
of the set must be byte for byte those of an undisturbed build by the local engine, and the
documents read must be exactly those of the corpus, each once. Every fourth round and more, as
the seed has it, kills a second time. Ends with status 1 if a single round differs.

    python benchmarks/kills.py --kills 50 --seed 1

Takes about 15 seconds per kill on two cores. The corpus is made up and the tokenizer trained
on it, so nothing is needed but Premask.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from premask.manifest import Manifest
from premask.pipeline.verify import verify

KINDS = ("driver", "worker", "helper", "node")
UNIT_BYTES = 12_000
NUM_DOCUMENTS = 6_000
WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
]
STORE_BYTES = 80 << 20
LIMIT_SECONDS = 300


def write_corpus(folder: Path) -> None:
    """Six files of documents that no other document equals, one per line."""
    folder.mkdir()
    chosen = random.Random(0)
    for k in range(6):
        lines = []
        for number in range(k, NUM_DOCUMENTS, 6):
            words = [f"document{number}", *chosen.choices(WORDS, k=20 + number % 60)]
            lines.append(" ".join(words))
        (folder / f"part-{k}.txt").write_text("\n".join(lines) + "\n")


def write_tokenizer(path: Path, corpus: Path) -> None:
    command = [sys.executable, "-m", "premask.pipeline", "train-tokenizer"]
    command += ["--input", str(corpus), "--out", str(path), "--vocab-size", "800"]
    subprocess.run(command, check=True, capture_output=True)


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every file of a set, by name."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@dataclass(slots=True)
class Cluster:
    """Two Ray nodes, each for a worker and a helper, and a head that runs nothing."""

    handle: Any
    nodes: list[Any] = field(default_factory=list)

    def add(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.nodes.append(self.handle.add_node(num_cpus=2, object_store_memory=STORE_BYTES))

    def lose(self, chosen: random.Random) -> None:
        """Kills a node as a power cut would, and starts another."""
        node = self.nodes.pop(chosen.randrange(len(self.nodes)))
        with contextlib.redirect_stdout(io.StringIO()):
            self.handle.remove_node(node, allow_graceful=False)
        self.add()


@contextlib.contextmanager
def two_nodes() -> Iterator[Cluster]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as RayCluster

    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES}
    with contextlib.redirect_stdout(io.StringIO()):
        handle: Any = RayCluster(initialize_head=True, head_node_args=head)
    cluster = Cluster(handle)
    try:
        cluster.add()
        cluster.add()
        handle.wait_for_nodes()
        yield cluster
    finally:
        handle.shutdown()


def start(job: list[str], address: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*job, "--ray-address", address, "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def units_done(out: Path) -> int:
    return len(list(out.glob("journal/[0-9]*[0-9].json")))


def wait_for(out: Path, units: int, process: subprocess.Popen[str]) -> bool:
    """Whether the build is still running when so many units are complete."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while units_done(out) < units:
        if process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            raise SystemExit("a build hangs")
        time.sleep(0.002)
    return process.poll() is None


def processes_of(cluster: Cluster, kind: str) -> list[int]:
    """Workers or helpers: of the children of the two nodes' Ray daemons."""
    daemons = [
        str(info.process.pid)
        for node in cluster.nodes
        for infos in node.all_processes.values()
        for info in infos
    ]
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", ",".join(daemons)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    lines = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [int(pid) for pid, title in lines if title.startswith(f"ray::{kind.title()}")]


def kill(
    kind: str, cluster: Cluster, process: subprocess.Popen[str], chosen: random.Random
) -> None:
    if kind == "driver":
        process.kill()
    elif kind == "node":
        cluster.lose(chosen)
    else:
        pids = sorted(processes_of(cluster, kind))
        if not pids:
            raise ProcessLookupError(f"no {kind} runs")
        os.kill(chosen.choice(pids), signal.SIGKILL)


def one_round(
    job: list[str], out: Path, kinds: list[str], num_units: int, cluster: Cluster, seed: str
) -> tuple[list[str], float]:
    """Builds under fire; gives what was killed and when, and the seconds it took."""
    chosen = random.Random(seed)
    shutil.rmtree(out, ignore_errors=True)
    began, done = time.perf_counter(), []
    process = start(job, cluster.handle.address)
    moments = sorted(chosen.sample(range(1, num_units - 1), len(kinds)))
    for kind, moment in zip(kinds, moments, strict=True):
        if not wait_for(out, moment, process):
            continue
        time.sleep(chosen.random() * 0.05)
        with contextlib.suppress(ProcessLookupError):
            before = units_done(out)
            kill(kind, cluster, process, chosen)
            done.append(f"{kind}@{before}")
        if kind == "driver":
            process.communicate()
            process = start(job, cluster.handle.address)
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    if process.returncode:
        raise SystemExit(f"the build ended with {process.returncode}: {err}")
    return done, time.perf_counter() - began


def faults_of(out: Path, expected: dict[str, str]) -> list[str]:
    """In what a set differs from the undisturbed one."""
    found = digests(out)
    names = sorted(found.keys() | expected.keys())
    faults = [f"{name} differs" for name in names if found.get(name) != expected.get(name)]
    manifest, errors = verify(str(out))
    faults += errors
    if manifest.totals["documents_read"] != NUM_DOCUMENTS:
        faults.append(f"{manifest.totals['documents_read']} documents")
    return faults


def plan_rounds(num_kills: int, chosen: random.Random) -> list[list[str]]:
    """Kinds of kills by round, in turn, so that each comes as often as the others."""
    kinds = [KINDS[k % len(KINDS)] for k in range(num_kills)]
    chosen.shuffle(kinds)
    rounds = []
    while kinds:
        size = min(len(kinds), 2 if chosen.random() < 0.4 else 1)
        rounds.append([kinds.pop() for _ in range(size)])
    return rounds


def prepare(folder: Path) -> tuple[list[str], Path, dict[str, str], int]:
    """The command, its output, and what the undisturbed build makes."""
    corpus, tokenizer = folder / "corpus", folder / "tokenizer.json"
    write_corpus(corpus)
    write_tokenizer(tokenizer, corpus)
    out, quiet = folder / "out", folder / "quiet"
    build = [sys.executable, "-m", "premask.pipeline", "build", "--input", str(corpus)]
    build += ["--tokenizer", str(tokenizer), "--max-length", "64"]
    build += ["--set", "sources.0.document=line", "--set", f"unit_bytes={UNIT_BYTES}"]
    build += ["--set", "annotate.pipeline=premask/rules"]
    build += ["--set", "annotate.tracks=[sentences]"]
    subprocess.run([*build, "--out", str(quiet), "--quiet"], check=True, capture_output=True)
    path = quiet / "manifest.json"
    manifest = Manifest.from_bytes(path.read_bytes(), location=str(path))
    build += ["--workers", "2", "--set", "annotate.workers=2"]
    return [*build, "--out", str(out)], out, digests(quiet), len(manifest.shards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    bad = number = 0
    chosen = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder, two_nodes() as cluster:
        job, out, expected, num_units = prepare(Path(folder))
        print(f"{num_units} units, {NUM_DOCUMENTS} documents, {len(expected)} files")
        print(f"{'round':>5}  {'killed at unit':<24}  {'s':>6}  result", flush=True)
        while sum(total.values()) < arguments.kills:
            for kinds in plan_rounds(arguments.kills - sum(total.values()), chosen):
                number += 1
                seed = f"{arguments.seed}:{number}"
                done, seconds = one_round(job, out, kinds, num_units, cluster, seed)
                total.update(name.split("@")[0] for name in done)
                faults = faults_of(out, expected)
                bad += bool(faults)
                result = "; ".join(faults[:3]) or "the same bytes"
                print(
                    f"{number:>5}  {', '.join(done):<24}  {seconds:>6.1f}  {result}", flush=True
                )
    kinds_told = ", ".join(f"{total[kind]} {kind}" for kind in KINDS)
    print(f"{sum(total.values())} kills ({kinds_told}) in {number} rounds; {bad} rounds differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
