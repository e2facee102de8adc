"""Runs of several processes (gloo): every row once, and every batch the one it should be."""

from __future__ import annotations

import json
import os
import pickle
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.loader.ranks import CHECKPOINT, EPOCHS, make, signature

ROOT = Path(__file__).resolve().parents[2]
NUM_ROWS = 103

pytestmark = pytest.mark.slow


def free_port() -> int:
    """A port below those that the system hands out to whoever asks, and above Ray's."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def run(task: str, shards: Path, out: Path, world_size: int, **options: Any) -> list[Any]:
    """What each rank of a run saw."""
    out.mkdir()
    shared = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test",  # by this, Lightning knows that it was launched
    }
    command = [sys.executable, "-m", "tests.loader.ranks", task, str(shards), str(out)]
    processes = []
    for rank in range(world_size):
        with (out / f"errors-{rank}").open("wb") as errors:
            processes.append(
                subprocess.Popen(
                    [*command, json.dumps(options)],
                    env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
            )
    end_together(processes)
    for rank, process in enumerate(processes):
        assert process.returncode == 0, (out / f"errors-{rank}").read_text()[-2000:]
    return [pickle.loads((out / f"rank-{rank}").read_bytes()) for rank in range(world_size)]


def end_together(processes: list[subprocess.Popen[bytes]]) -> None:
    """Waits for all; where one fails, or takes too long, the others would wait for ever."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        codes = [process.poll() for process in processes]
        if None not in codes or any(codes):
            break
        time.sleep(0.05)
    for process in processes:
        process.kill()
        process.wait()


def assert_every_row_once(small_set: Path, rows: list[tuple[int, Any, Any]]) -> None:
    """All rows of epoch 0, each masked as it is when it is loaded alone."""
    assert sorted(row for row, _, _ in rows) == list(range(NUM_ROWS))
    alone = make(str(small_set), batch_size=1, shuffle=False, rank=0, world_size=1)
    for row, ids, labels in rows:
        batch = alone.batch(row)
        assert (batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) == (ids, labels)


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2)])
def test_a_stopped_run_resumes_on_other_processes_with_every_row_once(
    small_set: Path, tmp_path: Path, before: int, after: int
) -> None:
    first = run("torch_loop", small_set, tmp_path / "a", before, state=None, steps=3)
    states = [state for _, state in first]
    assert all(state == states[0] for state in states)
    second = run("torch_loop", small_set, tmp_path / "b", after, state=states[0], steps=-1)
    assert len({len(batches) for batches, _ in second}) == 1
    rows = [row for batches, _ in first + second for batch in batches for row in batch]
    assert_every_row_once(small_set, rows)


def test_accelerate_repeats_no_row_to_make_batches_even(
    small_set: Path, tmp_path: Path
) -> None:
    ranks = run("accelerate", small_set, tmp_path / "out", 2)
    assert len(ranks[0]) == len(ranks[1])
    assert_every_row_once(small_set, [row for rank in ranks for batch in rank for row in batch])


def truth(small_set: Path, rank: int) -> list[bytes]:
    """The batches of a rank of two, all epochs."""
    return [
        signature(batch)
        for epoch in range(EPOCHS)
        for batch in make(str(small_set), epoch=epoch, rank=rank, world_size=2)
    ]


@pytest.mark.parametrize("trainer", ["hugging_face", "lightning"])
def test_both_ranks_of_a_trainer_see_their_batches_and_resume(
    small_set: Path, tmp_path: Path, trainer: str
) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("lightning")
    ranks = run(trainer, small_set, tmp_path / "out", 2)
    for rank, (whole, resumed) in enumerate(ranks):
        wanted = truth(small_set, rank)
        assert len(wanted) == 2 * (NUM_ROWS // 8)
        assert whole == wanted
        assert resumed == wanted[CHECKPOINT:]
