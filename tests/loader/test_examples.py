"""Every example runs, in a process of its own, and prints what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pyarrow as pa
import pytest

from tests.loader.shardset import COLUMNS, write_set

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def static_set(
    tmp_path_factory: pytest.TempPathFactory,
    small_set: Path,
    rows: dict[str, list[Any]],
) -> Path:
    """`small_set`, masked and stored."""
    masked = premask.apply_policy(premask.policy("random"), premask.open_shards(small_set)[:])
    static = {**rows, "labels": [], "epoch": [0] * 103}
    lengths = [len(row) for row in rows["input_ids"]]
    for name in ("input_ids", "labels"):
        static[name] = [np.array(masked[name][i, :n]) for i, n in enumerate(lengths)]
    columns = {
        "input_ids": COLUMNS["input_ids"],
        "labels": pa.list_(pa.int32()),
        "epoch": pa.uint16(),
        "document_id": pa.string(),
    }
    static = {name: static[name] for name in columns}
    return write_set(
        tmp_path_factory.mktemp("static") / "set", static, columns=columns, mode="static"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "needs", "promise"),
    [
        ("torch_loop", "torch", r"24 steps.*\nresumed after 40 rows, 56 left"),
        ("torch_dataloader", "torch", r"epoch 1: 12 batches, loss \d"),
        ("hf_trainer", "transformers", r"24 steps, loss \d"),
        ("hf_collator", "transformers", r"26 steps, loss \d\.\d+, epoch 1"),
        ("accelerate_loop", "accelerate", r"epoch 1: 12 batches, loss \d"),
        ("lightning_fit", "lightning", r"24 steps, state 2"),
        ("composer_fit", "composer", r"24ba steps\nresumed for 19 steps.*: True"),
        ("stateful_steps", "torch", r"same: True"),
        ("jax_loop", "jax", r"epoch 1: loss \d.*\ntorch loaded: False"),
        ("static_without_premask", "datasets", r"103 masked rows, loss \d.*no Premask: True"),
    ],
)
def test_an_example_runs(
    small_set: Path, static_set: Path, name: str, needs: str, promise: str
) -> None:
    pytest.importorskip(needs)
    path = static_set if name.startswith("static") else small_set
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert re.search(promise, result.stdout), result.stdout


def test_a_loader_delivers_a_static_set_as_it_is_stored(
    static_set: Path, small_set: Path
) -> None:
    options: dict[str, Any] = {"batch_size": 9, "shuffle": False, "backend": "numpy"}
    stored = premask.Loader(static_set, drop_last=False, **options)
    masked = premask.Loader(small_set, policy="random", drop_last=False, **options)
    for left, right in zip(stored, masked, strict=True):
        assert set(left) == {"input_ids", "attention_mask", "labels"}
        assert all(np.array_equal(left[name], right[name]) for name in left)


def test_a_static_set_is_not_masked_again(static_set: Path) -> None:
    with pytest.raises(premask.RequestError, match="masked already"):
        premask.Loader(static_set, policy="random")
