"""Speed of a build without annotation against the tokenizer called by itself.

One process, one thread, CPU seconds; every line is the time of `encode_batch_fast` divided by
the line's own, so more is faster. ``unit`` reads JSONL, cleans, tokenizes, arranges, writes a
shard; ``cold`` begins with an empty cache of pieces, ``warm`` with that of the run before. The
ids of the tokenize stage are compared with those of `encode_batch_fast`, all of them.

    python benchmarks/build.py --text FILE [--text FILE ...] --tokenizer FILE --megabytes 30

Text files may be packed with gzip or zstd; six paragraphs make a document, none comes twice.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
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
from premask.schemas.unit import Ledger, Slice, Unit
from premask.stages.chain import UnitResult, Workbench, run_unit
from premask.stages.tokenize import tokenize
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

BATCH = 256
ROW = 512


def read_documents(files: list[Path], num_bytes: int) -> list[str]:
    """About `num_bytes` of documents of six paragraphs."""
    documents: list[str] = []
    size = 0
    for file in files:
        data = file.read_bytes()
        if file.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        elif file.suffix == ".gz":
            data = gzip.decompress(data)
        paragraphs = [p for p in data.decode(errors="replace").split("\n\n") if p.strip()]
        for first in range(0, len(paragraphs), 6):
            documents.append("\n\n".join(paragraphs[first : first + 6]))
            size += len(documents[-1].encode())
            if size >= num_bytes:
                return documents
    return documents


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def bare(documents: list[str], encode: Callable[..., Any]) -> np.ndarray[Any, Any]:
    """All ids, by batches."""
    parts = []
    for first in range(0, len(documents), BATCH):
        encodings = encode(documents[first : first + BATCH], add_special_tokens=False)
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


def stage(documents: list[str], loaded: LoadedTokenizer) -> np.ndarray[Any, Any]:
    """All ids of the tokenize stage."""

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, len(documents), 4096):
            texts = documents[first : first + 4096]
            numbers = list(range(first, first + len(texts)))
            yield pa.record_batch([list(map(str, numbers)), numbers, texts], schema=DOCUMENTS)

    tokens = tokenize(batches(), loaded, Ledger(unit="benchmark:0"))
    return np.concatenate([b.column("input_ids").flatten().to_numpy() for b in tokens])


def unit(documents: list[str], tokenizer: str, folder: str) -> Callable[[], UnitResult]:
    """What runs the whole corpus as one unit."""
    corpus = Path(folder) / "corpus.jsonl"
    with corpus.open("w", encoding="utf-8") as file:
        for number, text in enumerate(documents):
            file.write(json.dumps({"id": f"d{number}", "text": text}) + "\n")
    job = Job.model_validate(
        {
            "sources": [{"path": str(corpus), "format": "jsonl"}],
            "output": folder,
            "tokenizer": tokenizer,
            "rows": {"max_length": ROW},
        }
    )
    workbench = Workbench.open(job)
    size = corpus.stat().st_size
    piece = Slice(
        source=0,
        name=corpus.name,
        path=str(corpus),
        format="jsonl",
        start=0,
        end=size,
        size=size,
        num_bytes=size,
    )
    return lambda: run_unit(workbench, Unit(slices=(piece,)), Path(folder) / "shard")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, action="append", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--megabytes", type=int, default=30)
    arguments = parser.parse_args()
    documents = read_documents(arguments.text, arguments.megabytes * 10**6)
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    loaded = load_tokenizer(arguments.tokenizer)
    seconds: dict[str, float] = {}
    seconds["encode_batch_fast"], ids = timed(
        lambda: bare(documents, loaded.encoder.encode_batch_fast)
    )
    seconds["encode_batch"], _ = timed(lambda: bare(documents, loaded.encoder.encode_batch))
    with tempfile.TemporaryDirectory() as folder:
        seconds["datasets.map, grouped"], _ = timed(
            lambda: with_datasets(documents, loaded, folder)
        )
    for state in ("cold", "warm"):
        seconds[f"tokenize stage, {state}"], ours = timed(lambda: stage(documents, loaded))
        if not np.array_equal(ids, ours):
            raise SystemExit("the tokenize stage gives other ids than encode_batch_fast")
    with tempfile.TemporaryDirectory() as folder:
        run = unit(documents, arguments.tokenizer, folder)
        for state in ("cold", "warm"):
            seconds[f"unit, {state}"], result = timed(run)
    print(f"{megabytes:.1f} MB, {len(documents)} documents, {len(ids)} tokens, ids identical")
    for name, taken in seconds.items():
        ratio = seconds["encode_batch_fast"] / taken
        print(f"{name:24s} {ratio:6.2f} x  {megabytes / taken:7.2f} MB/s")
    total = sum(result.seconds.values())
    shares = (f"{name} {value / total:.0%}" for name, value in result.seconds.items())
    print(f"stages, warm: {', '.join(shares)}")


if __name__ == "__main__":
    main()
