"""Resident memory of `premask build` over a large corpus, sampled while it runs.

The corpus is made by repeating text files under new document ids until it has ``--megabytes``
of text. The figure that counts is the last quarter's median against the first quarter's: a
build that streams holds no more memory at the end than near the start.

    python benchmarks/memory.py --text FILE [--text FILE ...] --tokenizer FILE --megabytes 300
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE_KIB = 4


def write_corpus(texts: list[Path], target: Path, num_bytes: int) -> int:
    """Writes a JSONL corpus of about `num_bytes` of text; returns the number of documents."""
    paragraphs = [
        paragraph
        for path in texts
        for paragraph in path.read_text(encoding="utf-8", errors="replace").split("\n\n")
        if len(paragraph) > 40
    ]
    documents = ["\n\n".join(paragraphs[i : i + 6]) for i in range(0, len(paragraphs), 6)]
    written = number = 0
    with target.open("w", encoding="utf-8") as file:
        while written < num_bytes:
            text = documents[number % len(documents)]
            record = {"id": f"d{number}", "text": f"Copy {number // len(documents)}. {text}"}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            written += len(text.encode())
            number += 1
    return number


def process_tree(pid: int) -> list[int]:
    """`pid` and all its descendants that are alive."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        try:
            children = Path(f"/proc/{current}/task/{current}/children").read_text()
        except OSError:
            continue
        todo.extend(int(child) for child in children.split())
    return found


def resident_mib(pid: int) -> float:
    """Resident memory of the process tree below `pid`, in MiB."""
    pages = 0
    for member in process_tree(pid):
        try:
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * PAGE_KIB / 1024


def watch(command: list[str], interval: float) -> list[tuple[float, float]]:
    """Runs `command` and returns (seconds, MiB) samples."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    samples = []
    while process.poll() is None:
        samples.append((time.perf_counter() - start, resident_mib(process.pid)))
        time.sleep(interval)
    if process.returncode:
        raise SystemExit(f"premask build ended with {process.returncode}")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, action="append", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--interval", type=float, default=0.5)
    parser.add_argument("options", nargs="*", help="further options of premask build")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        num_documents = write_corpus(arguments.text, corpus, arguments.megabytes * 10**6)
        out = Path(folder) / "out"
        command = [sys.executable, "-m", "premask.pipeline", "build", "--input", str(corpus)]
        command += ["--tokenizer", arguments.tokenizer, "--out", str(out), *arguments.options]
        samples = watch(command, arguments.interval)
    seconds = samples[-1][0]
    for step in range(0, len(samples), max(1, len(samples) // 24)):
        at, mib = samples[step]
        print(f"{at:7.1f} s {mib:8.1f} MiB {'#' * round(mib / 10)}")
    quarter = max(1, len(samples) // 4)
    first = statistics.median(mib for _, mib in samples[quarter // 2 : quarter + quarter // 2])
    last = statistics.median(mib for _, mib in samples[-quarter:])
    peak = max(mib for _, mib in samples)
    print(
        f"{arguments.megabytes} MB, {num_documents} documents, {seconds:.1f} s, "
        f"{arguments.megabytes / seconds:.2f} MB/s; resident: early {first:.0f} MiB, "
        f"late {last:.0f} MiB (x{last / first:.2f}), peak {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
