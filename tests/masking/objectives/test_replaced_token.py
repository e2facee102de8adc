"""The data side of ELECTRA."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from premask.masking.objectives.replaced_token import OPERATION, discriminator_inputs

from tests.masking.objectives.support import (
    MASK,
    assert_law,
    binding,
    compiled,
    ragged_rows,
    run,
    text_rows,
)


def test_the_number_of_masked_positions_is_exact() -> None:
    for length, expected in ((1, 1), (3, 1), (10, 2), (50, 8), (510, 76)):
        rows = text_rows(length, 20, prefix=1, suffix=1)
        out = run(compiled(OPERATION, binding(512)), rows)
        assert (out["masked_positions"].sum(-1) == expected).all()


def test_every_subset_is_equally_likely() -> None:
    rows = text_rows(6, 9000, prefix=1, suffix=1)
    out = run(compiled(OPERATION, rate=1 / 3), rows)
    found = [tuple(np.flatnonzero(row).tolist()) for row in out["masked_positions"]]
    counts = [found.count(pair) for pair in combinations(range(1, 7), 2)]
    assert_law(counts, [1] * 15)


def test_85_percent_become_mask_and_the_others_stay() -> None:
    rows = text_rows(60, 3000)
    out = run(compiled(OPERATION), rows)
    chosen = out["masked_positions"] == 1
    masks = int((out["input_ids"][chosen] == MASK).sum())
    kept = int((out["input_ids"][chosen] == rows.input_ids[chosen]).sum())
    assert masks + kept == chosen.sum()
    assert_law([masks, kept], [0.85, 0.15])


def test_specials_are_neither_masked_nor_judged() -> None:
    rows = ragged_rows(3, num_rows=80)
    out = run(compiled(OPERATION), rows)
    special = (rows.boundaries & 1) != 0
    assert not (out["masked_positions"].astype(bool) & special).any()
    assert not (out["discriminator_mask"].astype(bool) & special).any()
    assert ((out["labels"] != -100) == out["masked_positions"]).all()


def test_the_discriminator_must_find_what_the_generator_changed() -> None:
    rows = text_rows(20, 50, prefix=1, suffix=1)
    batch = run(compiled(OPERATION), rows)
    samples = np.full_like(rows.input_ids, 105)
    found = discriminator_inputs(batch, samples)
    chosen = batch["masked_positions"] == 1
    assert (found["input_ids"][chosen] == 105).all()
    assert (found["input_ids"][~chosen] == rows.input_ids[~chosen]).all()
    # A sample that equals the original is no replacement.
    assert ((found["labels"] == 1) == (chosen & (rows.input_ids != 105))).all()
    assert (found["labels"][:, [0, -1]] == -100).all()
