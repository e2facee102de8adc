"""The loader beside a raw gather and beside what people use, as ratios from one run.

Two questions, each over one random set of rows in the page cache:

- shuffled reading alone: batches of [64, 512] token ids, widened and as stored, against
  ``memmap[index]`` on a plain matrix and Hugging Face ``Dataset.from_file``;
- rows to masked batches: `premask.Loader` with NumPy alone and with Numba, against Hugging
  Face ``datasets`` with ``DataLoader`` and its collator, called as its Trainer does.

The contenders take turns on one thread and CPU seconds are counted, so that a busy machine
moves the ratios little.

    python benchmarks/loader.py [--quick] [--rows 100000]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pyarrow as pa
from premask.batching.source import SetSource
from premask.manifest import Manifest, ShardEntry

LENGTH = 512
BATCH_SIZE = 64
VOCABULARY_SIZE = 30_000
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHARD_ROWS = 8192
RECORD_BATCH_ROWS = 1000
Contender = Callable[[], Iterator[int]]  # yields the tokens of each batch it made


def random_rows(num_rows: int, *, ragged: bool) -> list[np.ndarray]:
    """Rows ``[CLS] ids [SEP]``, with ids in the proportions of words."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(LENGTH // 4, LENGTH + 1, num_rows) if ragged else [LENGTH] * num_rows
    rows = []
    for length in lengths:
        ids = (np.minimum(rng.zipf(1.2, length), 20_000) + 4).astype(np.uint16)
        ids[0], ids[-1] = 2, 3
        rows.append(ids)
    return rows


def write_set(root: Path, rows: list[np.ndarray]) -> premask.ShardSet:
    """A dynamic set of `rows`, in shards as `premask build` writes them."""
    (root / "shards").mkdir(parents=True)
    columns = {
        "input_ids": pa.list_(pa.uint16()),
        "boundaries": pa.list_(pa.uint8()),
        "seed": pa.uint64(),
    }
    schema = pa.schema(list(columns.items()))
    entries = []
    for number, first in enumerate(range(0, len(rows), SHARD_ROWS)):
        part = rows[first : first + SHARD_ROWS]
        file = f"shards/{number:05d}.arrow"
        with pa.OSFile(str(root / file), "wb") as out, pa.ipc.new_stream(out, schema) as writer:
            for begin in range(0, len(part), RECORD_BATCH_ROWS):
                ids = part[begin : begin + RECORD_BATCH_ROWS]
                bits = [np.where(row < len(SPECIALS), 1, 2) for row in ids]
                seeds = np.arange(first + begin, first + begin + len(ids)) * 0x9E3779B1
                arrays = zip((ids, bits, seeds), columns.values(), strict=True)
                columns_of_batch = [pa.array(values, kind) for values, kind in arrays]
                writer.write_batch(pa.record_batch(columns_of_batch, schema=schema))
        entries.append(
            ShardEntry(
                file=file,
                num_rows=len(part),
                num_tokens=sum(map(len, part)),
                num_bytes=(root / file).stat().st_size,
                xxh3_64="",
                sha256="0" * 64,
                unit={},
            )
        )
    manifest = Manifest(
        mode="dynamic",
        job_fingerprint="",
        job={},
        columns={
            "input_ids": "list<uint16>",
            "boundaries": "list<uint8>",
            "seed": "uint64",
        },
        max_length=LENGTH,
        vocabulary=premask.Vocabulary(
            size=VOCABULARY_SIZE,
            pad_id=0,
            mask_id=4,
            bos_id=2,
            eos_id=3,
            cls_id=2,
            sep_id=3,
            unk_id=1,
            special_ids=(0, 1, 2, 3, 4),
            sentinel_ids=(),
            prefix_ids=(2,),
            suffix_ids=(3,),
            replacement_ranges=((5, VOCABULARY_SIZE),),
        ),
        tokenizer={"file": "tokenizer.json", "sha256": "0" * 64, "model": "none"},
        totals={},
        shards=tuple(entries),
    )
    (root / "manifest.json").write_bytes(manifest.to_bytes())
    return premask.open_shards(root)


def write_dataset(path: Path, rows: list[np.ndarray]) -> Any:
    """The rows as a Hugging Face data set that is mapped from a file."""
    from datasets import Dataset

    table = pa.table({"input_ids": pa.array(rows, pa.list_(pa.int32()))})
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=RECORD_BATCH_ROWS)
    return Dataset.from_file(str(path))


def shuffled_batches(num_rows: int) -> Iterator[np.ndarray]:
    """Row numbers of batches, epoch after epoch."""
    rng = np.random.default_rng(1)
    while True:
        order = rng.permutation(num_rows)
        for first in range(0, num_rows - BATCH_SIZE + 1, BATCH_SIZE):
            yield order[first : first + BATCH_SIZE]


def raw_gather(matrix: np.ndarray, kind: type = np.uint16) -> Contender:
    def batches() -> Iterator[int]:
        for index in shuffled_batches(len(matrix)):
            yield matrix[index].astype(kind, copy=False).size

    return batches


def premask_reading(
    shards: premask.ShardSet, kind: type = np.uint16, **order: Any
) -> Contender:
    """The reader alone: order, location and gather of rows."""
    source = SetSource(shards=shards, seed=0, columns=("input_ids",), **order)
    spans = [
        (first, first + BATCH_SIZE)
        for first in range(0, len(shards) - BATCH_SIZE + 1, BATCH_SIZE)
    ]

    def batches() -> Iterator[int]:
        epoch = 0
        while True:
            for rows, _ in source.stream(epoch, spans):
                yield rows.lists["input_ids"].astype(kind, copy=False).size
            epoch += 1

    return batches


def dataset_reading(dataset: Any) -> Contender:
    arrays = dataset.with_format("numpy")

    def batches() -> Iterator[int]:
        for index in shuffled_batches(len(dataset)):
            yield np.asarray(arrays[index]["input_ids"]).astype(np.int64).size

    return batches


def premask_masking(shards: premask.ShardSet, kernel: Any) -> Contender:
    loader = premask.Loader(
        shards, policy="random", batch_size=BATCH_SIZE, backend="numpy", kernel=kernel
    )

    def batches() -> Iterator[int]:
        while True:
            for batch in loader:
                yield int(batch["attention_mask"].sum())

    return batches


def collator_masking(dataset: Any) -> Contender:
    """What Trainer does: it drops `special_tokens_mask`, which no model takes."""
    from tokenizers import Tokenizer, models
    from torch import set_num_threads
    from torch.utils.data import DataLoader, RandomSampler
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    set_num_threads(1)
    words = [*SPECIALS, *(f"w{i}" for i in range(VOCABULARY_SIZE - len(SPECIALS)))]
    model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(
        tokenizer_object=Tokenizer(model), **dict(zip(names, SPECIALS, strict=True))
    )
    loader: Any = DataLoader(
        dataset,
        batch_size=BATCH_SIZE,
        sampler=RandomSampler(dataset),
        collate_fn=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        drop_last=True,
    )

    def batches() -> Iterator[int]:
        while True:
            for batch in loader:
                yield int(batch["attention_mask"].sum())

    return batches


def measure(contenders: dict[str, tuple[Contender, int]], rounds: int) -> dict[str, float]:
    """Tokens per CPU second of each contender, the median of rounds taken in turns."""
    running = {name: make() for name, (make, _) in contenders.items()}
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, (_, num_batches) in contenders.items():
            start = time.process_time()
            tokens = sum(islice(running[name], num_batches))
            seconds = time.process_time() - start
            if round_:  # the first round warms up
                speeds[name].append(tokens / seconds)
    return {name: statistics.median(found) for name, found in speeds.items()}


def report(title: str, speeds: dict[str, float], base: str) -> None:
    print(f"\n{title}")
    for name, speed in speeds.items():
        ratio = speed / speeds[base]
        print(f"  {name:52} {speed / 1e6:10.2f} M tokens/s   {ratio:8.4g} of {base}")


def reading(root: Path, num_rows: int, rounds: int) -> None:
    root.mkdir()
    rows = random_rows(num_rows, ragged=False)
    np.stack(rows).tofile(root / "matrix.bin")
    matrix = np.memmap(root / "matrix.bin", np.uint16, "r", shape=(num_rows, LENGTH))
    shards = write_set(root / "set", rows)
    dataset = write_dataset(root / "dataset.arrow", rows)
    del rows
    for kind in (np.int64, np.uint16):  # as trainers take them, and as they are stored
        contenders = {
            "raw gather": (raw_gather(matrix, kind), 400),
            "premask": (premask_reading(shards, kind), 400),
            "premask, shuffle='block'": (premask_reading(shards, kind, shuffle="block"), 400),
        }
        if kind is np.int64:
            contenders["datasets"] = dataset_reading(dataset), 20
        speeds = measure(contenders, rounds)
        report(f"Shuffled reading of [64, 512], {kind.__name__}", speeds, "raw gather")
        if kind is np.int64:
            print(f"  premask / datasets: {speeds['premask'] / speeds['datasets']:.1f}")


def masking(root: Path, num_rows: int, rounds: int, *, ragged: bool) -> None:
    root.mkdir()
    rows = random_rows(num_rows, ragged=ragged)
    shards = write_set(root / "set", rows)
    dataset = write_dataset(root / "dataset.arrow", rows)
    compiled: dict[str, tuple[Contender, int]] = {}
    if importlib.util.find_spec("numba") is not None:
        compiled["premask, compiled by Numba"] = premask_masking(shards, "numba"), 200
    speeds = measure(
        {
            "premask": (premask_masking(shards, "reference"), 40),
            **compiled,
            "datasets + DataLoader + collator": (collator_masking(dataset), 4),
        },
        rounds,
    )
    kind = "128 to 512" if ragged else "512"
    base = "datasets + DataLoader + collator"
    report(f"Rows of {kind} tokens to masked batches, one core", speeds, base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="rows of 512 tokens")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, 3 rounds")
    options = parser.parse_args()
    num_rows = options.rows // 10 if options.quick else options.rows
    rounds = 3 if options.quick else 9
    with tempfile.TemporaryDirectory() as folder:
        reading(Path(folder) / "reading", num_rows, rounds)
        for ragged in (False, True):
            root = Path(folder) / f"masking-{ragged}"
            masking(root, max(num_rows // 10, 4 * BATCH_SIZE), rounds, ragged=ragged)


if __name__ == "__main__":
    main()
