"""What small files cost: the same documents in many files, in one file, and a unit per file.

Every paragraph of the inputs becomes a document. They are built once from a file each, once
from one file of JSON lines, and, a tenth of them, from a file each with a unit for every file,
which is what a plan without grouping would do. Given are seconds of the whole command per
thousand documents, and shards.

    python benchmarks/small_files.py --input FILE [--input FILE ...] --tokenizer FILE

Inputs are text files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES_PER_FOLDER = 500


def write_files(texts: list[str], folder: Path) -> None:
    for number, text in enumerate(texts):
        path = folder / f"{number // FILES_PER_FOLDER:04d}" / f"{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def build(source: Path, out: Path, tokenizer: str, *options: str) -> tuple[float, int]:
    """Seconds of one build, and its shards."""
    command = [sys.executable, "-m", "premask.pipeline", "build", "--input", str(source)]
    command += ["--tokenizer", tokenizer, "--out", str(out), "--quiet", *options]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, len(list(out.glob("shards/*.arrow")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, action="append", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    texts: list[str] = []
    for path in arguments.input:
        text = path.read_text("utf-8", "replace").replace("\r\n", "\n")
        texts += [paragraph for paragraph in text.split("\n\n") if len(paragraph) > 40]
    if len(texts) < arguments.files:
        raise SystemExit(
            f"the inputs have {len(texts)} paragraphs; give more, or fewer --files"
        )
    texts = texts[: arguments.files]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = texts[: max(1, len(texts) // 10)]
        write_files(texts, folder / "many")
        write_files(few, folder / "few")
        lines = (json.dumps({"text": text}) + "\n" for text in texts)
        (folder / "one.jsonl").write_text("".join(lines))
        runs = (
            ("one file", "one.jsonl", texts, ()),
            ("a file each", "many", texts, ()),
            ("a unit each", "few", few, ("--set", "unit_bytes=1")),
        )
        print(f"{'':14} {'documents':>10} {'s':>8} {'s/1000':>8} {'shards':>8}")
        for what, source, documents, options in runs:
            out = folder / f"out-{what.replace(' ', '-')}"
            seconds, shards = build(folder / source, out, arguments.tokenizer, *options)
            number = len(documents)
            each = 1000 * seconds / number
            print(f"{what:14} {number:>10,} {seconds:>8.1f} {each:>8.2f} {shards:>8,}")


if __name__ == "__main__":
    main()
