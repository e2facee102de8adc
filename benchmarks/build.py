"""Speed of a build without annotation against the tokenizer called by itself.

One thread, CPU seconds; every line is the time of `encode_batch_fast` for as much text divided
by the line's own, so more is faster. ``build`` reads JSONL, cleans, tokenizes, arranges,
counts, and writes shards with checksums; it begins with nothing in any cache. The ids of the
first `--peer-megabytes` are compared with those of `encode_batch_fast`, all of them. The
tokenizer and the peers run on these alone (their cost per byte does not change), every size of
`--megabytes` is built whole. Documents are shuffled; a size beyond the text is reached by
repeating all of them, in another order every time. Peers that are not installed are left out.

    python benchmarks/build.py --text DIR [--text DIR ...] --tokenizer FILE --megabytes 10 120

Text files may be packed with gzip or zstd; WikiExtractor's documents are taken apart, of other
text six paragraphs make a document.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
import pyarrow as pa
import zstandard
from premask.schemas.job import Job
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger, Unit
from premask.stages.chain import Workbench, run_unit
from premask.stages.read import plan_source
from premask.stages.tokenize import tokenize
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

BATCH = 256
ROW = 512
UNIT_BYTES = 64 << 20  # about the job file's default


def read_documents(paths: list[Path]) -> list[str]:
    """All documents of the files, and of those in directories, shuffled."""
    files = [f for path in paths for f in ([path] if path.is_file() else path.rglob("*.*"))]
    documents: list[str] = []
    for file in sorted(f for f in files if f.is_file()):
        data = file.read_bytes()
        if file.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        elif file.suffix == ".gz":
            data = gzip.decompress(data)
        documents += split(data.decode(errors="replace"))
    random.Random(1).shuffle(documents)
    return documents


def split(text: str) -> Iterator[str]:
    if text.startswith("<doc"):
        articles = re.split(r"</doc>\n*", text)
        yield from (a.split(">\n", 1)[-1].strip() for a in articles if a.strip())
        return
    paragraphs = [p for p in text.split("\n\n") if p.strip()]
    for first in range(0, len(paragraphs), 6):
        yield "\n\n".join(paragraphs[first : first + 6])


def write_corpus(documents: list[str], path: Path, num_bytes: int) -> int:
    """JSON lines with `num_bytes` of text, the documents as often as it takes."""
    size = number = 0
    rng = random.Random(2)
    with path.open("w", encoding="utf-8") as file:
        while size < num_bytes:
            for text in documents:
                file.write(json.dumps({"id": f"d{number}", "text": text}) + "\n")
                number += 1
                size += len(text.encode())
                if size >= num_bytes:
                    return size
            documents = rng.sample(documents, len(documents))
    return size


def first_bytes(documents: list[str], num_bytes: int) -> list[str]:
    ends = np.cumsum([len(text.encode()) for text in documents])
    return documents[: int(np.searchsorted(ends, num_bytes)) + 1]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def bare(documents: list[str], loaded: LoadedTokenizer) -> np.ndarray[Any, Any]:
    """All ids, by batches."""
    parts = []
    for first in range(0, len(documents), BATCH):
        encodings = loaded.encoder.encode_batch_fast(
            documents[first : first + BATCH], add_special_tokens=False
        )
        parts.append(np.fromiter(chain.from_iterable(e.ids for e in encodings), np.uint32))
    return np.concatenate(parts)


def with_datasets(documents: list[str], loaded: LoadedTokenizer, folder: str) -> None:
    """The usual recipe: map a tokenizer, group the ids into rows, save."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        encodings = loaded.tokenizer.encode_batch(batch["text"], add_special_tokens=False)
        return {"input_ids": [encoding.ids for encoding in encodings]}

    def group(batch: dict[str, list[list[int]]]) -> dict[str, Any]:
        ids = list(chain.from_iterable(batch["input_ids"]))
        rows = [ids[i : i + ROW] for i in range(0, len(ids) - ROW + 1, ROW)]
        return {"input_ids": rows}

    data = Dataset.from_dict({"text": documents})
    data = data.map(encode, batched=True, remove_columns=["text"], load_from_cache_file=False)
    data.map(group, batched=True, load_from_cache_file=False).save_to_disk(folder)


DATATROVE = """
import sys, time
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
corpus, tokenizer, out = sys.argv[1:]
write = DocumentTokenizer(out + "/tokens", tokenizer_name_or_path=tokenizer)
steps = [JsonlReader(corpus, text_key="text", id_key="id"), write]
started = time.process_time()
LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=f"{out}/logs").run()
print("seconds", time.process_time() - started)
"""


def with_datatrove(python: str, corpus: Path, loaded: LoadedTokenizer, folder: str) -> float:
    """datatrove's own way from JSON lines to tokens, in the interpreter that has it."""
    tokenizer = Path(folder) / "tokenizer.json"
    tokenizer.write_bytes(loaded.json)
    command = [python, "-c", DATATROVE, str(corpus), str(tokenizer), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"datatrove failed: {done.stderr[-800:]}")
    return float(done.stdout.rsplit("seconds", 1)[1])


def stage(documents: list[str], loaded: LoadedTokenizer) -> np.ndarray[Any, Any]:
    """All ids of the tokenize stage."""

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, len(documents), 512):
            texts = documents[first : first + 512]
            numbers = list(range(first, first + len(texts)))
            yield pa.record_batch([list(map(str, numbers)), numbers, texts], schema=DOCUMENTS)

    tokens = tokenize(batches(), loaded, Ledger(unit="benchmark:0"))
    return np.concatenate([b.column("input_ids").flatten().to_numpy() for b in tokens])


def build(corpus: Path, tokenizer: str, shard: Path) -> dict[str, Any]:
    """Builds all units of a corpus here, one after the other; what it took, by stage."""
    job = Job.model_validate(
        {
            "sources": [{"path": str(corpus), "format": "jsonl"}],
            "output": str(shard.parent),
            "tokenizer": tokenizer,
            "rows": {"max_length": ROW},
        }
    )
    workbench = Workbench.open(job)
    seconds: dict[str, float] = {}
    tokens = 0
    start = time.process_time()
    for piece in plan_source(job.sources[0], 0, UNIT_BYTES):
        result = run_unit(workbench, Unit(slices=(piece,)), shard)
        tokens += result.shard.num_tokens if result.shard else 0
        for name, value in result.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
    taken = time.process_time() - start
    return {"seconds": taken, "tokens": tokens, "stages": seconds, "peak_mib": peak_mib()}


def peak_mib() -> int:
    """The most memory that this process held; `getrusage` counts that of its parent, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def in_process(corpus: Path, tokenizer: str, folder: Path) -> dict[str, Any]:
    """`build` in a process of its own, so that its memory is its own and its caches empty."""
    command = [
        sys.executable,
        __file__,
        "--child",
        str(corpus),
        tokenizer,
        str(folder / "shard"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def on_ray(corpus: Path, tokenizer: str, folder: Path, workers: int) -> float:
    """Wall-clock seconds of the command with so many workers."""
    command = [sys.executable, "-m", "premask.pipeline", "build", "--engine", "ray"]
    command += ["--input", str(corpus), "--tokenizer", tokenizer, "--workers", str(workers)]
    command += ["--out", str(folder / f"set{workers}"), "--max-length", str(ROW), "--quiet"]
    command += ["--set", f"unit_bytes={16 << 20}"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def print_line(name: str, size: int, taken: float, base: float, more: str = "") -> None:
    """`base` is seconds of `encode_batch_fast` per byte."""
    print(
        f"| {name} | {size / 1e6:.0f} MB | {size / 1e6 / taken:.2f} MB/s | "
        f"{base * size / taken:.1f} | {more} |",
        flush=True,
    )


def peers(documents: list[str], loaded: LoadedTokenizer, arguments: Any, folder: Path) -> float:
    """Measures and prints the tokenizer itself and the peers; seconds per byte of the first."""
    size = sum(len(text.encode()) for text in documents)
    taken, ids = timed(lambda: bare(documents, loaded))
    base = taken / size
    if not np.array_equal(ids, stage(documents, loaded)):
        raise SystemExit("the tokenize stage gives other ids than encode_batch_fast")
    print(f"ids identical: {len(ids):,} tokens of {len(documents):,} documents")
    print(f"encoded by: {loaded.fast}\n")
    print("| | text | speed | × `encode_batch_fast` | |\n|---|---|---|---|---|")
    print_line("`encode_batch_fast`", size, taken, base, f"{len(ids) / taken / 1e6:.2f} Mtok/s")
    if arguments.peers:
        taken, _ = timed(lambda: with_datasets(documents, loaded, str(folder / "hf")))
        print_line("`datasets.map`, grouped, saved", size, taken, base)
    if arguments.datatrove:
        corpus = folder / "peer.jsonl"
        write_corpus(documents, corpus, size)
        taken = with_datatrove(arguments.datatrove, corpus, loaded, str(folder))
        print_line("datatrove, JSONL to tokens", size, taken, base)
    return base


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        corpus, tokenizer, shard = sys.argv[2:]
        print(json.dumps(build(Path(corpus), tokenizer, Path(shard))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, action="append", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10])
    parser.add_argument("--peer-megabytes", type=int, default=10)
    parser.add_argument("--peers", action="store_true", help="also measure datasets.map")
    parser.add_argument("--datatrove", help="a Python that has datatrove")
    parser.add_argument("--workers", type=int, nargs="*", default=[], help="also on Ray")
    arguments = parser.parse_args()
    documents = read_documents(arguments.text)
    loaded = load_tokenizer(arguments.tokenizer)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        few = first_bytes(documents, arguments.peer_megabytes * 10**6)
        base = peers(few, loaded, arguments, folder)
        for megabytes in arguments.megabytes:
            path = folder / "corpus.jsonl"
            size = write_corpus(documents, path, megabytes * 10**6)
            made = in_process(path, arguments.tokenizer, folder)
            total = sum(made["stages"].values())
            shares = ", ".join(f"{k} {v / total:.0%}" for k, v in made["stages"].items())
            speed = f"{made['tokens'] / made['seconds'] / 1e6:.2f} Mtok/s"
            more = f"{speed}, peak {made['peak_mib']} MiB; {shares}"
            print_line("build", size, made["seconds"], base, more)
            for workers in arguments.workers:
                taken = on_ray(path, arguments.tokenizer, folder, workers)
                print(f"| build on Ray, {workers} workers | | {taken:.1f} s wall | | |")
                shutil.rmtree(folder / f"set{workers}")


if __name__ == "__main__":
    main()
