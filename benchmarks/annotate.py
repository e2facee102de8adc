"""The annotate stage, alignment to tokens included, against bare `nlp.pipe` on the same texts.

Both run in turns in one process on one core; the least CPU time of all rounds counts, since
other load can only add to it. `ratio` is the stage's words per second over those of `nlp.pipe`
with the same components and matrix library and a batch size that suits the texts;
`ratio_default` is over `spacy.load` and `nlp.pipe` as they come.

    OMP_NUM_THREADS=1 python benchmarks/annotate.py --text FILE [--text FILE ...] \
        --tokenizer tokenizer.json
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import spacy
from premask.schemas.job import Annotate
from premask.schemas.records import ANNOTATIONS, DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.align import align
from premask.stages.annotate import Annotator
from premask.stages.annotate_model import find_pipeline, load_pipeline
from thinc.api import NumpyOps, set_current_ops
from tokenizers import Tokenizer

CHARACTERS_PER_BATCH = 500_000


def documents(paths: list[Path], num_characters: int, document_size: int) -> list[str]:
    """Texts of about `document_size` characters, cut at blank lines."""
    texts, current, total = [], "", 0
    for path in paths:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        for paragraph in text.split("\n\n"):
            current += paragraph + "\n\n"
            if len(current) >= document_size:
                texts.append(current)
                total, current = total + len(current), ""
            if total >= num_characters:
                return texts
    return texts


def batches(texts: list[str]) -> list[pa.RecordBatch]:
    """The texts as the stages before would hand them on."""
    size = max(1, CHARACTERS_PER_BATCH * len(texts) // sum(map(len, texts)))
    return [
        pa.RecordBatch.from_pydict(
            {
                "document_id": [f"d{i + n}" for n in range(len(texts[i : i + size]))],
                "position": list(range(len(texts[i : i + size]))),
                "text": texts[i : i + size],
            },
            schema=DOCUMENTS,
        )
        for i in range(0, len(texts), size)
    ]


def token_offsets(tokenizer: Tokenizer, batch: pa.RecordBatch) -> tuple[Any, Any, Any]:
    encodings = tokenizer.encode_batch(batch.column("text").to_pylist())
    table = np.array([pair for e in encodings for pair in e.offsets], np.int64)
    splits = np.cumsum([0, *map(len, encodings)], dtype=np.int64)
    return table[:, 0], table[:, 1], splits


def staged(
    annotator: Annotator, inputs: list[pa.RecordBatch], offsets: list[tuple[Any, Any, Any]]
) -> None:
    for batch, tokens in zip(annotator(inputs, Ledger(unit="benchmark")), offsets, strict=True):
        columns = {n: batch.column(n) for n in ANNOTATIONS if n in batch.schema.names}
        align(batch.column("text").to_pylist(), *tokens, columns)


def piped(nlp: Any, texts: list[str], batch_size: int) -> None:
    for _ in nlp.pipe(texts, batch_size=batch_size):
        pass


def cpu_seconds(run: Callable[[], None]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, action="append", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--characters", type=int, default=1_000_000)
    parser.add_argument("--document-size", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts = documents(options.text, options.characters, options.document_size)
    inputs = batches(texts)
    tokenizer = Tokenizer.from_file(options.tokenizer)
    offsets = [token_offsets(tokenizer, batch) for batch in inputs]
    settings = Annotate()
    files = find_pipeline(settings.pipeline)
    set_current_ops(NumpyOps(use_blis=True))
    default = spacy.load(files.folder)
    same = load_pipeline(files, settings.tracks, gpu=False)
    annotator = Annotator(settings)
    words = sum(len(default.make_doc(text)) for text in texts)
    runs = {
        "stage": lambda: staged(annotator, inputs, offsets),
        "nlp.pipe": lambda: piped(same, texts, batch_size=16),
        "nlp.pipe as it comes": lambda: piped(default, texts, batch_size=default.batch_size),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            seconds[name].append(cpu_seconds(run))
    speed = {name: words / min(values) for name, values in seconds.items()}
    report = {
        "words": words,
        "documents": len(texts),
        "words_per_second": {name: round(value) for name, value in speed.items()},
        "ratio": round(speed["stage"] / speed["nlp.pipe"], 3),
        "ratio_default": round(speed["stage"] / speed["nlp.pipe as it comes"], 3),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
