"""What the maskings of others got wrong, each as something that holds here."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch
from premask.masking.policy import policy

from tests.masking.batches import (
    BINDING,
    MASK,
    PAD,
    assert_same,
    on,
    pick,
    random_keys,
    random_rows,
    selected,
    text_of,
    text_rows,
)

EVERY_KIND = [
    *("random", "roberta", "whole_word", "entity"),
    *("span", "ngram", "frequency", "mixture"),
]


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    return float((first == second).mean())


def test_pitfall_1_rows_of_one_length_never_share_a_mask() -> None:
    rows = text_rows(50_000, [2] * 96)
    hits = selected(policy("random").bind(BINDING)(rows))
    assert len(np.unique(np.packbits(hits, axis=1), axis=0)) == 50_000


@pytest.mark.parametrize("name", EVERY_KIND)
def test_pitfalls_2_4_and_6_global_generators_and_repeats_change_nothing(name: str) -> None:
    rows = random_rows(np.random.default_rng(0), 12, 60)
    function = policy(name).bind(BINDING)
    first = function(on(rows, "torch"), 1)
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)
    policy(name).bind(BINDING)(rows, 7)
    assert_same({k: np.asarray(v) for k, v in first.items()}, function(rows, 1))


@pytest.mark.parametrize("name", EVERY_KIND)
def test_pitfall_2_single_rows_in_any_order_equal_the_batch(name: str) -> None:
    rows = random_rows(np.random.default_rng(1), 6, 50)
    function = policy(name).bind(BINDING)
    together = function(rows, 2)
    for index in (4, 0, 3, 4):
        alone = function(pick(rows, [index]), 2)
        for output, array in together.items():
            np.testing.assert_array_equal(array[index], alone[output][0])


def test_pitfall_3_neighbouring_seeds_rows_and_epochs_are_independent() -> None:
    rows = text_rows(3000, [2] * 90)
    keys = np.stack([np.full(3000, 1234), np.arange(3000)], axis=1).astype(np.int32)
    function = policy("bernoulli").bind(BINDING)

    def masks(keys: np.ndarray, epoch: int) -> np.ndarray:
        return selected(function(dataclasses.replace(rows, keys=keys), epoch))

    base = masks(keys, 0)
    chance = 0.15**2 + 0.85**2
    for seed, row in ((1, 0), (1, -1), (0, 1)):
        other = masks(keys + np.array([seed, row], np.int32), 0)
        assert agreement(base, other) == pytest.approx(chance, abs=0.005)
    assert agreement(base, masks(keys, 1)) == pytest.approx(chance, abs=0.005)
    # seed + 1 in epoch 0 is not seed in epoch 1
    later = masks(keys + np.array([1, 0], np.int32), 0)
    assert agreement(later, masks(keys, 1)) == pytest.approx(chance, abs=0.005)


def test_policies_that_differ_in_anything_mask_independently() -> None:
    rows = text_rows(3000, [2] * 90)
    first = selected(policy("bernoulli").bind(BINDING)(rows))
    second = selected(policy("bernoulli", mask=0.81).bind(BINDING)(rows))
    assert agreement(first, second) == pytest.approx(0.15**2 + 0.85**2, abs=0.005)


@pytest.mark.parametrize("name", [*EVERY_KIND, "bernoulli", "ernie", "bert", "macbert"])
def test_pitfalls_7_and_8_specials_and_padding_are_never_selected_nor_changed(
    name: str,
) -> None:
    rows = random_rows(np.random.default_rng(2), 100, 60)
    outputs = policy(name).bind(BINDING)(rows)
    text = text_of(rows)
    inside = np.arange(60) < rows.lengths[:, None]
    assert not (selected(outputs) & ~text).any()
    kept = inside & ~text
    np.testing.assert_array_equal(outputs["input_ids"][kept], rows.input_ids[kept])
    assert (outputs["input_ids"][~inside] == PAD).all()


def test_pitfall_7_random_ids_do_not_depend_on_the_batch() -> None:
    rows = text_rows(2000, [2] * 40, ids=[11] * 40)
    outputs = policy("random", mask=0.0, random=1.0).bind(BINDING)(rows)
    assert outputs["input_ids"].max() == 199


def test_pitfall_9_the_attention_mask_comes_from_lengths_not_from_ids() -> None:
    rows = text_rows(5, [2] * 20, ids=[PAD] * 20)
    outputs = policy("random").bind(BINDING)(rows)
    assert (outputs["attention_mask"] == 1).all()
    assert set(np.unique(outputs["labels"])) == {-100, PAD}


def test_quirk_1_replacements_are_ordinary_even_where_the_ranges_hold_specials() -> None:
    vocabulary = dataclasses.replace(
        BINDING.vocabulary, replacement_ranges=((0, 30),), special_ids=(0, 2, 3, 4, 17)
    )
    binding = dataclasses.replace(BINDING, vocabulary=vocabulary)
    rows = text_rows(3000, [2] * 40)
    outputs = policy("random", mask=0.0, random=1.0, rate=0.5).bind(binding)(rows)
    drawn = set(np.unique(outputs["input_ids"][selected(outputs)]).tolist())
    assert drawn == set(range(30)) - {0, 2, 3, 4, 17}


def test_quirk_2_a_mask_token_in_the_text_is_protected_by_its_bit_alone() -> None:
    rows = text_rows(200, [1, 2, 1, 2, 1], ids=[2, 50, MASK, 51, 3])
    assert not selected(policy("random", rate=1.0).bind(BINDING)(rows))[:, [0, 2, 4]].any()
    rows = text_rows(200, [1, 2, 2, 2, 1], ids=[2, 50, 1, 51, 3])
    assert selected(policy("random", rate=1.0).bind(BINDING)(rows))[:, 2].all()


def test_quirk_12_every_batch_has_an_attention_mask() -> None:
    for name in EVERY_KIND:
        assert "attention_mask" in policy(name).outputs


def test_quirk_13_labels_are_int32_and_hold_minus_100_whatever_the_ids() -> None:
    rows = random_rows(np.random.default_rng(2), 8, 96)
    for backend in ("numpy", "torch", "jax"):
        outputs = policy("random").bind(BINDING)(on(rows, backend))
        assert {str(array.dtype).split(".")[-1] for array in outputs.values()} == {"int32"}
        assert int(np.asarray(outputs["labels"]).min()) == -100


@pytest.mark.parametrize("name", ["random", "whole_word"])
def test_pitfall_22_the_rate_is_flat_over_positions(name: str) -> None:
    rows = text_rows(20_000, [2] * 40)
    rows = dataclasses.replace(rows, keys=random_keys(np.random.default_rng(9), 20_000))
    shares = selected(policy(name).bind(BINDING)(rows)).mean(axis=0)
    np.testing.assert_allclose(shares, 0.15, atol=0.012)


def test_pitfall_22_spans_spare_the_left_edge_as_published() -> None:
    rows = text_rows(20_000, [2] * 90)
    shares = selected(policy("span").bind(BINDING)(rows)).mean(axis=0)
    assert shares[0] < 0.1
    np.testing.assert_allclose(shares[20:80], shares[20:80].mean(), rtol=0.06)
