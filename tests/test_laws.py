"""The laws of the design on shard sets that were really built, for every preset."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask._errors import PolicyError
from premask.masking.presets import PRESETS
from premask.pipeline.engine import Engine
from premask.pipeline.freeze import freeze
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.ray_engine import RayEngine
from premask.schemas.job import Job
from premask.stages.freeze import check_freezable

from tests.conftest import ROOT
from tests.pipeline.sets import files_of, run_build

EPOCHS = 2
SAMPLES = ROOT / "samples"
PAIRS = {"seq2seq"}  # needs rows of pairs
# What static rows cannot hold: losses of a model, several numbers per token.
DYNAMIC_ONLY = {"adaptive", "permutation", "future_ngram"}
HANDFUL = ["whole_word", "entity", "pmi", "span", "contextual", "ul2", "denoising", "mixture"]


def can_be_frozen(name: str) -> bool:
    try:
        check_freezable(premask.policy(name))
    except PolicyError:
        return False
    return True


FROZEN = [name for name in PRESETS if name not in PAIRS and can_be_frozen(name)]


def run_freeze(shards: Path, out: Path, name: str, engine: Engine) -> Path:
    policy, quiet = premask.policy(name), Reporters(reporters=())
    freeze(str(shards), str(out), policy, epochs=EPOCHS, engine=engine, reporter=quiet)
    return out


@cache
def opened(path: Path) -> premask.ShardSet:
    return premask.open_shards(path)


def batches(path: Path, **options: Any) -> list[dict[str, Any]]:
    """One epoch of a loader that keeps the order of the rows."""
    usual: dict[str, Any] = {"batch_size": 64, "backend": "numpy", "rank": 0, "world_size": 1}
    usual |= {"shuffle": False, "drop_last": False, "audit": True}
    loader = premask.Loader(opened(path), **{**usual, **options})
    return [{name: np.asarray(x) for name, x in batch.items()} for batch in loader]


def rows_of(parts: list[dict[str, Any]], width: int = 256) -> dict[str, np.ndarray]:
    """Batches as one, in the order of row numbers, on a width of their own."""
    found = {}
    for name in parts[0]:
        fill = -100 if name == "labels" else 0
        arrays = [
            x
            if x.ndim == 1
            else np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=fill)
            for x in (part[name] for part in parts)
        ]
        found[name] = np.concatenate(arrays).astype(np.int64)
    order = np.argsort(found["row_ids"], kind="stable")
    return {name: array[order] for name, array in found.items()}


def assert_same(
    found: dict[str, np.ndarray], expected: dict[str, np.ndarray], names: tuple[str, ...]
) -> None:
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_what_cannot_be_frozen_is_known() -> None:
    assert set(PRESETS) - set(FROZEN) == DYNAMIC_ONLY | PAIRS


@pytest.mark.parametrize("name", FROZEN)
def test_law_1_static_equals_dynamic(annotated_set: Path, tmp_path: Path, name: str) -> None:
    """Epoch e of the frozen set is what the loader makes of the unfrozen set at epoch e."""
    frozen = run_freeze(annotated_set, tmp_path / "static", name, LocalEngine())
    for epoch in range(EPOCHS):
        static = rows_of(batches(frozen, epoch=epoch))
        dynamic = rows_of(batches(annotated_set, policy=name, epoch=epoch))
        assert len(dynamic["input_ids"]) == len(opened(annotated_set))
        assert_same(static, dynamic, premask.policy(name).outputs)


def test_law_1_holds_for_pairs(annotated_set: Path, tmp_path: Path) -> None:
    source = {"path": str(SAMPLES / "news"), "text_field": "text", "target_field": "title"}
    values = {
        "sources": [source],
        "output": str(tmp_path / "pairs"),
        "tokenizer": str(annotated_set / "tokenizer.json"),
        "rows": {"arrangement": "pairs", "max_length": 256},
    }
    run_build(Job.model_validate(values))
    (name,) = PAIRS
    frozen = run_freeze(tmp_path / "pairs", tmp_path / "static", name, LocalEngine())
    static = rows_of(batches(frozen, epoch=1))
    dynamic = rows_of(batches(tmp_path / "pairs", policy=name, epoch=1))
    assert len(dynamic["labels"]) == len(
        (SAMPLES / "news" / "news.jsonl").read_text().splitlines()
    )
    assert_same(static, dynamic, premask.policy(name).outputs)


def test_law_1_holds_for_the_pure_function(annotated_set: Path, tmp_path: Path) -> None:
    frozen = run_freeze(annotated_set, tmp_path / "static", "entity", LocalEngine())
    shards, num_rows = opened(annotated_set), len(opened(annotated_set))
    for row in (0, 5, num_rows - 1):
        made = premask.apply_policy("entity", shards.rows([row]), 1)
        stored = opened(frozen)[num_rows + row]
        for name in ("input_ids", "labels"):
            np.testing.assert_array_equal(stored[name], made[name][0])


def test_law_1_holds_on_either_engine(annotated_set: Path, tmp_path: Path) -> None:
    here = run_freeze(annotated_set, tmp_path / "local", "pmi", LocalEngine())
    engine = RayEngine(workers=2, address=None, unit_timeout=300, retries=1)
    there = run_freeze(annotated_set, tmp_path / "ray", "pmi", engine)
    assert files_of(here) == files_of(there)


@pytest.mark.parametrize("name", HANDFUL)
def test_law_2_every_backend_gives_the_same_bits(annotated_set: Path, name: str) -> None:
    """NumPy, torch and compiled JAX, through the loader."""
    outputs = premask.policy(name).outputs
    expected = rows_of(batches(annotated_set, policy=name, epoch=3))
    for backend in ("torch", "jax"):
        made = batches(annotated_set, policy=name, epoch=3, backend=backend, pad_to="max")
        assert_same(rows_of(made), expected, outputs)


@pytest.mark.parametrize("name", HANDFUL)
def test_law_3_placement_never_matters(annotated_set: Path, name: str) -> None:
    """Batch size, order, padding and ranks: none of them changes a row."""
    outputs = premask.policy(name).outputs
    expected = rows_of(batches(annotated_set, policy=name, epoch=1))
    placements: list[dict[str, Any]] = [
        {"batch_size": 7},
        {"batch_size": 20, "shuffle": True, "seed": 5},
        {"shuffle": "block", "block_rows": 16, "bucket_rows": 64},
        {"pad_to": 32},
        {"pad_to": "max", "max_tokens": 1024},
    ]
    for options in placements:
        made = batches(annotated_set, policy=name, epoch=1, **options)
        assert_same(rows_of(made), expected, outputs)
    ranks = [
        batch
        for rank in range(3)
        for batch in batches(
            annotated_set, policy=name, epoch=1, rank=rank, world_size=3, batch_size=9
        )
    ]
    assert_same(rows_of(ranks), expected, outputs)
