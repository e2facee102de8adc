"""Three defects of the usual collator stack: reproduced, and absent here.

Each test shows the defect first, so it fails when the peer has mended it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from premask import MaskCollator
from torch.utils.data import DataLoader

from tests.loader.tokenizer import wordpiece

# JAX, which other tests load, warns of every fork; these workers never touch it.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
ROWS = [
    {"input_ids": [2, *row.tolist(), 3]}
    for row in np.random.default_rng(0).integers(5, 40, (32, 30))
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return wordpiece()


def peer(tokenizer: Any, seed: int | None = None) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.DataCollatorForLanguageModeling(tokenizer, seed=seed)


def masked(batches: Iterable[dict[str, Any]]) -> list[bytes]:
    """The masked positions of each batch."""
    return [(batch["labels"] != -100).numpy().tobytes() for batch in batches]


def batches_of(collator: Any, **options: Any) -> Any:
    return DataLoader(ROWS, batch_size=8, collate_fn=collator, **options)  # type: ignore[arg-type]


def test_both_ranks_of_a_default_trainer_mask_the_same_positions(tokenizer: Any) -> None:
    def rank(collator: Any, number: int) -> list[bytes]:
        torch.manual_seed(42)  # what Trainer does in every process
        return masked([collator(ROWS[number * 8 : number * 8 + 8])])

    assert rank(peer(tokenizer), 0) == rank(peer(tokenizer), 1)
    assert rank(MaskCollator(tokenizer), 0) != rank(MaskCollator(tokenizer), 1)


def test_a_seeded_collator_with_workers_repeats_its_masks_every_epoch(tokenizer: Any) -> None:
    batches = batches_of(peer(tokenizer, seed=42), num_workers=2)
    assert masked(batches) == masked(batches)
    collator = MaskCollator(tokenizer, seed=42)
    batches = batches_of(collator, num_workers=2)
    first = masked(batches)
    collator.set_epoch(1)
    assert all(a != b for a, b in zip(first, masked(batches), strict=True))


def test_a_resumed_run_replays_the_masks_of_the_first_batches(tokenizer: Any) -> None:
    accelerate = pytest.importorskip("accelerate")

    def resumed(collator: Any) -> list[bytes]:
        return masked(accelerate.skip_first_batches(batches_of(collator), 2))

    whole = masked(batches_of(peer(tokenizer, seed=42)))
    assert resumed(peer(tokenizer, seed=42)) == whole[:2]
    whole = masked(batches_of(MaskCollator(tokenizer)))
    assert resumed(MaskCollator(tokenizer)) == whole[2:]
