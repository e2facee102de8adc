"""What Ray gains and costs: speed-up by workers, overhead against the local engine, memory.

The same job is built by the local engine and by 1, 2, ... Ray workers, in alternating order
over several repeats. Given are the seconds of the whole command, the seconds of work (start-up
left out, from the times in ``--log-json``), the speed-up over one worker and the overhead of
one worker over the local engine, as ratios of medians. While Ray runs, the memory of the
driver, of the workers and of the object store is sampled; a flat curve is the promise. Of the
store that is the shared memory that Ray's daemon holds, its own program included.

    python benchmarks/scaling.py --input FILE [--input FILE ...] --tokenizer FILE

Inputs are text files (.gz as well). They are repeated under new document ids until there are
``--megabytes`` of text: choose them so that a run takes a minute at least. Without ``--input``
a made-up text is repeated. Run it on a quiet machine with at least as many cores as workers.
With ``--results FILE`` every run is noted in that file, and the ratios are those of all runs
there: so they may be spread over several quiet spells, if the other options stay the same.
Options of the build itself stand last, behind ``--``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

PARAGRAPHS_PER_DOCUMENT = 6
INTERVAL_SECONDS = 1.0
MADE_UP = [
    f"Paragraph {k}: seven boats went past the green bridge number {k * k} where people sold "
    f"bread, tea and coffee; {k % 13} of them came back before the rain fell over the river."
    for k in range(5000)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Resident MiB of one moment, see above."""

    seconds: float
    driver: float
    workers: float
    store: float


@dataclass(slots=True, kw_only=True)
class Run:
    """One build: seconds in all and without start-up, the set's digest, memory."""

    workers: int
    seconds: float
    working: float
    digest: str
    samples: list[Sample] = field(default_factory=list)


def read_text(path: Path) -> str:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def write_corpus(inputs: list[Path], target: Path, num_bytes: int) -> None:
    """JSON lines of documents of a few paragraphs, `num_bytes` of text in all."""
    paragraphs = [p for path in inputs for p in read_text(path).split("\n\n") if len(p) > 40]
    paragraphs = paragraphs or MADE_UP
    step = PARAGRAPHS_PER_DOCUMENT
    texts = ["\n\n".join(paragraphs[i : i + step]) for i in range(0, len(paragraphs), step)]
    written = 0
    with target.open("w", encoding="utf-8") as file:
        for number in count():
            text = texts[number % len(texts)]
            line = json.dumps({"id": f"d{number}", "text": text}, ensure_ascii=False)
            file.write(line + "\n")
            written += len(text.encode())
            if written >= num_bytes:
                return


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, by asking every process for its parent."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def resident(pid: int) -> tuple[float, float]:
    """MiB that a process has for itself, and that it shares; zeros when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0.0, 0.0
    all_of_it, shared = (int(x) * os.sysconf("SC_PAGE_SIZE") / 2**20 for x in fields[1:3])
    return all_of_it - shared, shared


def sample(pid: int, start: float) -> Sample:
    workers = store = 0.0
    for child in descendants(pid):
        try:
            title = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue
        if title.startswith(b"ray::Worker"):
            workers += resident(child)[0]
        elif title.endswith(b"/raylet"):
            store += resident(child)[1]
    now = time.perf_counter() - start
    return Sample(seconds=now, driver=resident(pid)[0], workers=workers, store=store)


def digest(out: Path) -> str:
    """SHA-256 over all files of a set and their names."""
    sha = hashlib.sha256()
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        sha.update(path.relative_to(out).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def build(command: list[str], workers: int, folder: Path) -> Run:
    """One build by so many Ray workers; 0 is the local engine."""
    out, log = folder / f"out-{workers}-{time.time_ns()}", folder / "log.json"
    log.unlink(missing_ok=True)
    options = ["--engine", "ray", "--workers", str(workers)] if workers else []
    start, samples = time.perf_counter(), []
    process = subprocess.Popen(
        [*command, *options, "--out", str(out), "--log-json", str(log), "--quiet"],
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if workers:
            samples.append(sample(process.pid, start))
        try:
            process.wait(INTERVAL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"premask build ended with {process.returncode}")
    made = digest(out)
    shutil.rmtree(out)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return Run(
        workers=workers,
        seconds=seconds,
        working=working_seconds(events, max(workers, 1)),
        digest=made,
        samples=samples,
    )


def working_seconds(events: list[dict[str, Any]], workers: int) -> float:
    """Seconds for the units that ended after every worker had ended its first one.

    Scaled to all units, so that neither starting Ray nor loading tokenizers is in it.
    """
    ends = [event for event in events if event["event"] == "unit"]
    first, last = ends[min(workers, len(ends) - 1) - 1], ends[-1]
    share = 1 - first["bytes_done"] / last["bytes_done"]
    if share <= 0:
        raise SystemExit("too few units to leave start-up out: give more --megabytes")
    return float((last["seconds"] - first["seconds"]) / share)


def show_memory(run: Run) -> None:
    print(f"memory of one run with {run.workers} workers, MiB:")
    print(f"{'s':>8} {'driver':>8} {'workers':>8} {'store':>8}")
    for s in run.samples[:: max(1, len(run.samples) // 16)]:
        print(f"{s.seconds:>8.1f} {s.driver:>8.1f} {s.workers:>8.1f} {s.store:>8.1f}")
    quarter = max(1, len(run.samples) // 4)
    for name in ("driver", "store"):
        early = statistics.median(getattr(s, name) for s in run.samples[quarter : 2 * quarter])
        late = statistics.median(getattr(s, name) for s in run.samples[-quarter:])
        print(f"{name}: second quarter {early:.1f} MiB, last quarter {late:.1f} MiB")


def show_times(runs: dict[int, list[Run]]) -> None:
    whole = {w: statistics.median(r.seconds for r in found) for w, found in runs.items()}
    working = {w: statistics.median(r.working for r in found) for w, found in runs.items()}
    ray = [workers for workers in runs if workers]
    print(f"{'engine':>10} {'command s':>10} {'working s':>10} {'speed-up':>9} {'range':>14}")
    for workers, found in runs.items():
        name = f"ray {workers}" if workers else "local"
        ratio = f"{working[min(ray)] / working[workers]:.2f}" if workers else ""
        spread = f"{min(r.working for r in found):.1f}-{max(r.working for r in found):.1f}"
        print(
            f"{name:>10} {whole[workers]:>10.1f} {working[workers]:>10.1f} {ratio:>9} "
            f"{spread:>14}"
        )
    if 1 in working:
        overhead = working[1] / working[0] - 1
        print(f"overhead of Ray with one worker after start-up: {overhead:+.1%}")
    equal = len({run.digest for found in runs.values() for run in found}) == 1
    print(f"all sets {'equal' if equal else 'DIFFER'}, byte for byte")
    if not equal:
        sys.exit(1)


def earlier(results: Path | None) -> dict[int, list[Run]]:
    """The runs that a file of results holds, by their workers."""
    runs: dict[int, list[Run]] = {}
    if results is not None and results.exists():
        for value in map(json.loads, results.read_text().splitlines()):
            samples = [Sample(**sample) for sample in value.pop("samples")]
            runs.setdefault(value["workers"], []).append(Run(**value, samples=samples))
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, action="append", default=[])
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--unit-megabytes", type=float, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, help="file of the runs, read and appended to")
    parser.add_argument("options", nargs="*", help="further options of premask build")
    arguments = parser.parse_args()
    # The parallelism compared is that of units; a tokenizer with threads would hide it.
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus.jsonl"
        write_corpus(arguments.input, corpus, arguments.megabytes * 10**6)
        unit_bytes = round(arguments.unit_megabytes * 10**6)
        command = [sys.executable, "-m", "premask.pipeline", "build", "--input", str(corpus)]
        command += ["--tokenizer", arguments.tokenizer, "--set", f"unit_bytes={unit_bytes}"]
        command += arguments.options
        engines = [0, *arguments.workers]
        runs = earlier(arguments.results)
        done = min((len(runs.get(workers, ())) for workers in engines), default=0)
        for repeat in range(done, done + arguments.repeats):
            for workers in engines if repeat % 2 == 0 else engines[::-1]:
                run = build(command, workers, folder)
                runs.setdefault(workers, []).append(run)
                if arguments.results is not None:
                    with arguments.results.open("a") as file:
                        print(json.dumps(asdict(run)), file=file)
        show_times(dict(sorted(runs.items())))
        show_memory(runs[max(arguments.workers)][-1])


if __name__ == "__main__":
    main()
