"""Shuffled reading by the loaders that people use, beside ours, as ratios from one run.

One set of rows of 512 token ids, in each loader's own format, in the page cache; every
contender delivers shuffled batches of [64, 512] as int64 on one thread, and they take turns:

- raw: ``memmap[index].astype(int64)`` on a plain matrix, the limit;
- premask: what `premask.Loader` reads with;
- datasets: ``Dataset.from_file``, NumPy format, lists of row numbers;
- litdata: ``TokensLoader`` behind ``StreamingDataset`` and ``StreamingDataLoader``;
- streaming (MosaicML): ``StreamingDataset`` behind a torch ``DataLoader``, and rows by number.

A peer that cannot be imported is named with the reason. litdata and MosaicML Streaming insist
on torchvision, which neither uses for tokens, and on old versions of others; so they are
installed without their dependencies, into an environment of their own, and this script gives
them an empty torchvision where there is none::

    python -m venv peers && . peers/bin/activate
    pip install . torch transformers datasets psutil
    pip install --no-deps litdata mosaicml-streaming
    pip install lightning-utilities boto3 obstore requests tifffile tqdm \
        catalogue xxhash zstd Brotli python-snappy
    python -m benchmarks.loader_peers [--rows 100000]

What each loader's order is worth, by the correlation of neighbours in it and by the chi-square
of (place in the epoch, place in the store) on a 16 x 16 grid, is printed beside its speed: a
random permutation has 0 and about 225.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from premask.batching.source import SetSource

from benchmarks.loader import (
    BATCH_SIZE,
    LENGTH,
    Contender,
    dataset_reading,
    measure,
    premask_reading,
    random_rows,
    raw_gather,
    report,
    write_dataset,
    write_set,
)

CHUNK_BYTES = 64 << 20
Batches = Callable[[], Iterator[np.ndarray]]  # int64 [64, 512], epoch after epoch


def marked_rows(num_rows: int) -> list[np.ndarray]:
    """Random rows whose first two ids are the row's number, to see the order by."""
    rows = random_rows(num_rows, ragged=False)
    for number, row in enumerate(rows):
        row[:2] = number >> 15, number & 0x7FFF
    return rows


def stub_torchvision() -> None:
    """An empty torchvision, so that what imports it without using it can be imported."""
    if importlib.util.find_spec("torchvision") is not None:
        return
    inside: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.datasets": {"VisionDataset": object},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {"to_tensor": None},
    }
    for name, names in inside.items():
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__dict__.update(names)
        sys.modules[name] = module


def litdata_batches(root: Path, rows: list[np.ndarray]) -> Batches:
    import litdata
    import torch
    from litdata.streaming import Cache
    from litdata.streaming.item_loader import TokensLoader

    cache = Cache(str(root), chunk_bytes=CHUNK_BYTES, item_loader=TokensLoader(LENGTH))
    for number, row in enumerate(rows):
        cache[number] = torch.from_numpy(row.astype(np.int32))  # it has no uint16
    cache.done()
    cache.merge()
    dataset = litdata.StreamingDataset(
        str(root), item_loader=TokensLoader(LENGTH), shuffle=True, drop_last=True
    )
    loader = litdata.StreamingDataLoader(dataset, batch_size=BATCH_SIZE, num_workers=0)

    def batches() -> Iterator[np.ndarray]:
        while True:
            for batch in loader:
                yield batch.long().numpy()

    return batches


def write_mds(root: Path, rows: list[np.ndarray]) -> Any:
    import streaming

    columns = {"ids": f"ndarray:uint16:{LENGTH}"}
    with streaming.MDSWriter(out=str(root), columns=columns, size_limit=CHUNK_BYTES) as writer:
        for row in rows:
            writer.write({"ids": row})
    return streaming.StreamingDataset(local=str(root), shuffle=True, batch_size=BATCH_SIZE)


def streaming_batches(root: Path, rows: list[np.ndarray]) -> Batches:
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(write_mds(root, rows), batch_size=BATCH_SIZE, drop_last=True)

    def batches() -> Iterator[np.ndarray]:
        while True:
            for batch in loader:
                yield batch["ids"].long().numpy()

    return batches


def streaming_rows(root: Path, rows: list[np.ndarray]) -> Batches:
    """Its random access, without its iteration."""
    dataset = write_mds(root, rows)
    rng = np.random.default_rng(1)

    def batches() -> Iterator[np.ndarray]:
        while True:
            for index in rng.permutation(len(rows)).reshape(-1, BATCH_SIZE):
                yield np.stack([dataset[i]["ids"] for i in index.tolist()]).astype(np.int64)

    return batches


PEERS: dict[str, tuple[str, Callable[[Path, list[np.ndarray]], Batches]]] = {
    "litdata": ("litdata", litdata_batches),
    "MosaicML Streaming": ("streaming", streaming_batches),
    "MosaicML Streaming, rows by number": ("streaming", streaming_rows),
}


def importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a peer fails with, the others are still compared
        print(f"{module} is left out: {type(error).__name__}: {error}")
        return False
    return True


def sizes(batches: Batches) -> Contender:
    return lambda: (batch.size for batch in batches())


def order_quality(places: np.ndarray) -> str:
    """How near an epoch's stored places, in the order of delivery, are to a random order."""
    size = len(places)
    neighbours = np.corrcoef(places[:-1], places[1:])[0, 1]
    cells = np.histogram2d(np.arange(size), places, bins=16, range=[[0, size]] * 2)[0]
    expected = size / 256
    return (
        f"neighbours {neighbours:6.3f}, cells {((cells - expected) ** 2 / expected).sum():.0f}"
    )


def places_of(batches: Batches, num_rows: int) -> np.ndarray:
    """The stored places of one epoch's rows in the order of delivery."""
    ids = [batch[:, :2] for batch in islice(batches(), num_rows // BATCH_SIZE)]
    return np.concatenate([(part[:, 0] << 15) + part[:, 1] for part in ids])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="rows of 512 tokens")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    num_rows = options.rows // BATCH_SIZE * BATCH_SIZE
    stub_torchvision()
    folder = Path(tempfile.mkdtemp())
    try:
        compare(folder, marked_rows(num_rows), options.rounds)
    finally:
        sys.stdout.flush()
        logging.disable()
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # MosaicML's threads read ahead for ever, and would complain of the folder


def compare(root: Path, rows: list[np.ndarray], rounds: int) -> None:
    np.stack(rows).tofile(root / "matrix.bin")
    matrix = np.memmap(root / "matrix.bin", np.uint16, "r", shape=(len(rows), LENGTH))
    shards = write_set(root / "set", rows)
    contenders: dict[str, tuple[Contender, int]] = {
        "raw gather": (raw_gather(matrix, np.int64), 400),
        "premask": (premask_reading(shards, np.int64), 400),
    }
    order = SetSource(shards=shards, seed=0).row_ids(0, np.arange(len(rows)))[0]
    orders = {"premask": order_quality(order)}
    if importable("datasets"):
        dataset = write_dataset(root / "dataset.arrow", rows)
        contenders["datasets, Dataset.from_file"] = dataset_reading(dataset), 20
    for name, (module, make) in PEERS.items():
        if importable(module):
            batches = make(root / name.replace(" ", "-"), rows)
            orders[name] = order_quality(places_of(batches, len(rows)))
            contenders[name] = sizes(batches), 20
    speeds = measure(contenders, rounds)
    report(f"Shuffled reading of [{BATCH_SIZE}, {LENGTH}] as int64", speeds, "raw gather")
    for name in list(speeds)[2:]:
        print(f"  premask / {name}: {speeds['premask'] / speeds[name]:.1f}")
    print("\nThe order of an epoch; a random permutation has neighbours 0.000, cells 225")
    for name, quality in orders.items():
        print(f"  {name:52} {quality}")


if __name__ == "__main__":
    main()
