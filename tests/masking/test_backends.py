"""Laws 2 and 3 for every preset: same bits on every backend, whatever the batch."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.masking._rows import PaddedRows
from premask.masking.composite import COMPOSITES
from premask.masking.masker import Masker
from premask.masking.policy import policy
from premask.masking.presets import PRESETS

from tests.masking.batches import BINDING, assert_same, on, pick, random_rows, widen

STRATEGIES = sorted(
    name
    for name, preset in PRESETS.items()
    if preset.operation.startswith("mask_") or preset.operation in COMPOSITES
)


def masker(name: str) -> Masker:
    return policy(name).bind(BINDING)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), num_rows=st.integers(1, 9), epoch=st.integers(0, 40))
def test_law_2_torch_gives_the_bits_of_numpy(
    name: str, seed: int, num_rows: int, epoch: int
) -> None:
    rows = random_rows(np.random.default_rng(seed), num_rows, 48)
    function = masker(name)
    assert_same(function(rows, epoch), function(on(rows, "torch"), epoch))


@pytest.mark.parametrize("name", STRATEGIES)
def test_law_2_jax_gives_the_bits_of_numpy(name: str) -> None:
    # The shape of the other tests on JAX: it compiles every operation once per shape.
    rows = random_rows(np.random.default_rng(5), 8, 96)
    function = masker(name)
    assert_same(function(rows, 2), function(on(rows, "jax"), 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", STRATEGIES)
def test_law_2_cuda_gives_the_bits_of_numpy(name: str) -> None:
    rows = random_rows(np.random.default_rng(5), 64, 96)
    moved = on(rows, "torch")
    on_device = PaddedRows(
        input_ids=moved.input_ids.cuda(),
        lengths=moved.lengths.cuda(),
        boundaries=moved.boundaries.cuda(),
        keys=moved.keys.cuda(),
        tracks={track: array.cuda() for track, array in moved.tracks.items()},
    )
    function = masker(name)
    outputs = {key: array.cpu() for key, array in function(on_device, 2).items()}
    assert_same(function(rows, 2), outputs)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), length=st.integers(48, 96))
def test_law_3_padding_batch_and_order_do_not_change_a_row(
    name: str, seed: int, length: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, function = random_rows(rng, 8, 48), masker(name)
    order = rng.permutation(8)[:5]
    whole = function(rows, 1)
    part = function(widen(pick(rows, order), length, rng), 1)
    for output, array in whole.items():
        np.testing.assert_array_equal(array[order], part[output][:, : array.shape[1]])
    assert not part["attention_mask"][:, 48:].any()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_batch_in_pieces_equals_a_batch_at_once(name: str) -> None:
    rows, function = random_rows(np.random.default_rng(3), 700, 64), masker(name)
    together = function(rows)
    alone = [function(pick(rows, [index])) for index in (0, 511, 512, 699)]
    for output, array in together.items():
        for index, part in zip((0, 511, 512, 699), alone, strict=True):
            np.testing.assert_array_equal(array[index], part[output][0])


def compiled(function: Masker, rows: PaddedRows) -> dict[str, np.ndarray]:
    """`function` under ``jax.jit``, with every array an argument."""

    def run(*arrays: object) -> object:
        ids, lengths, boundaries, keys, *tracks = arrays
        padded = PaddedRows(
            input_ids=ids,
            lengths=lengths,
            boundaries=boundaries,
            keys=keys,
            tracks=dict(zip(rows.tracks, tracks, strict=True)),
        )
        return function(padded, 3)

    moved = on(rows, "jax")
    outputs = jax.jit(run)(
        moved.input_ids, moved.lengths, moved.boundaries, moved.keys, *moved.tracks.values()
    )
    return {name: np.asarray(array) for name, array in outputs.items()}


@pytest.mark.parametrize(
    "name", ["random", "whole_word", "frequency", "pmi", "span", "ngram", "bernoulli"]
)
def test_law_2_jax_gives_the_same_bits_compiled(name: str) -> None:
    rows, function = random_rows(np.random.default_rng(9), 4, 40), masker(name)
    assert_same(function(rows, 3), compiled(function, rows))


def test_law_2_jax_gives_the_same_bits_compiled_for_pareto_sampling() -> None:
    rows = random_rows(np.random.default_rng(9), 4, 40)
    function = policy("frequency", selection="pareto", units="word").bind(BINDING)
    assert_same(function(rows, 3), compiled(function, rows))
