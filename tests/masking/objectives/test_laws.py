"""Laws that every objective obeys: same bits everywhere, whatever the batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from premask.masking._rows import Vocabulary
from premask.masking.objectives import OPERATIONS, PRESETS

from tests.masking.objectives.support import (
    VOCABULARY,
    assert_equal,
    binding,
    compiled,
    converted,
    jitted,
    keys_of,
    make_rows,
    ragged_rows,
    run,
    taken,
    text_rows,
    widened,
)
from tests.masking.objectives.variants import VARIANTS, name_of

Variant = tuple[str, dict[str, Any]]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
few_examples = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


# No template, no padding token: rows that end with text are closed, and 0 fills them.
BARE = dataclasses.replace(VOCABULARY, pad_id=None, prefix_ids=(), suffix_ids=())
vocabularies = st.sampled_from([VOCABULARY, BARE])


def apply_of(variant: Variant, vocabulary: Vocabulary = VOCABULARY) -> Any:
    name, changes = variant
    return compiled(OPERATIONS[name], binding(vocabulary=vocabulary), **changes)


@every_variant
@few_examples
@given(seed=st.integers(0, 2**20), vocabulary=vocabularies)
def test_torch_gives_the_bits_of_numpy(
    variant: Variant, seed: int, vocabulary: Vocabulary
) -> None:
    rows, apply = ragged_rows(seed), apply_of(variant, vocabulary)
    there = converted(rows, "torch")
    assert_equal(apply(there, keys_of(there, seed)), run(apply, rows, seed), "torch")


@pytest.mark.gpu
@every_variant
def test_cuda_gives_the_bits_of_numpy(variant: Variant) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    apply = apply_of(variant)
    for seed in range(20):
        rows = ragged_rows(seed)
        there = converted(rows, "cuda")
        assert_equal(apply(there, keys_of(there)), run(apply, rows), f"seed {seed}")


@every_variant
def test_jax_gives_the_bits_of_numpy_compiled_once_for_many_batches(variant: Variant) -> None:
    apply = apply_of(variant)
    function = jitted(apply)
    for seed in (17, 18, 19):
        rows = ragged_rows(seed)
        there = converted(rows, "jax")
        assert_equal(function(there, keys_of(there)), run(apply, rows), f"seed {seed}")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_jax_gives_the_bits_of_numpy_without_compilation(name: str) -> None:
    rows, apply = ragged_rows(20), compiled(OPERATIONS[name])
    there = converted(rows, "jax")
    assert_equal(apply(there, keys_of(there)), run(apply, rows), "eager")


@every_variant
@few_examples
@given(seed=st.integers(0, 2**20), extra=st.integers(1, 90), vocabulary=vocabularies)
def test_padding_changes_nothing_but_the_width(
    variant: Variant, seed: int, extra: int, vocabulary: Vocabulary
) -> None:
    rows, apply = ragged_rows(seed), apply_of(variant, vocabulary)
    pad = vocabulary.pad_id or 0
    narrow, wide = run(apply, rows), run(apply, widened(rows, extra))
    filled = {"labels": -100, "ngram_labels": -100, "target_mapping": None}
    for name, value in narrow.items():
        corner = wide[name][tuple(slice(size) for size in value.shape)]
        assert np.array_equal(corner, value), name
        fill = filled.get(name, pad if name.endswith("_ids") else 0)
        if name in ("position_ids", "document_ids", "decoder_position_ids"):
            fill = 0
        if fill is not None:
            assert (wide[name][..., value.shape[-1] :] == fill).all(), name


@every_variant
@few_examples
@given(seed=st.integers(0, 2**20))
def test_a_row_does_not_depend_on_its_batch_or_place(variant: Variant, seed: int) -> None:
    rows, apply = ragged_rows(seed), apply_of(variant)
    whole = run(apply, rows)
    order = np.random.default_rng(seed).permutation(len(rows.lengths))[:5].tolist()
    part = run(apply, taken(rows, order))
    for name, value in whole.items():
        assert np.array_equal(part[name], value[order]), name


@every_variant
def test_rows_of_one_column_and_no_rows_are_legal(variant: Variant) -> None:
    apply = apply_of(variant)
    tracks = {"sentence_ranks": [[], [1]], "segment": [[], [0]]}
    run(apply, make_rows([[], [100]], [[], [2]], tracks=tracks))
    rows = ragged_rows(3)
    none = run(apply, taken(rows, []))
    assert all(value.shape[0] == 0 for value in none.values())


@every_variant
def test_a_new_epoch_draws_anew_unless_nothing_is_random(variant: Variant) -> None:
    name, changes = variant
    rows = ragged_rows(8, num_rows=30)
    first, second = (run(apply_of(variant), rows, epoch) for epoch in (0, 1))
    same = all(np.array_equal(first[key], second[key]) for key in first)
    fixed = name in ("clm", "seq2seq") or changes.get("selection") == "lead"
    assert same == fixed


@every_variant
def test_ids_beyond_the_end_of_a_row_are_never_read(variant: Variant) -> None:
    out = run(apply_of(variant), ragged_rows(21, num_rows=30))
    for name in ("input_ids", "decoder_input_ids"):
        assert name not in out or out[name].max() < VOCABULARY.size
    lengths = out["attention_mask"].sum(-1, keepdims=True)
    columns = np.arange(out["attention_mask"].shape[1])
    assert np.array_equal(out["attention_mask"] == 1, columns < lengths)
    assert (out["input_ids"][columns >= lengths] == VOCABULARY.pad_id).all()


@every_variant
def test_outputs_are_those_that_the_operation_names(variant: Variant) -> None:
    name, _ = variant
    out = run(apply_of(variant), ragged_rows(2))
    assert set(OPERATIONS[name].outputs) <= set(out)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"clm", "seq2seq"}))
def test_equal_rows_under_different_keys_differ(name: str) -> None:
    changes: dict[str, Any] = {}
    if name == "gap_sentences":
        changes = {"selection": "random", "mask_share": 1.0}
    rows = text_rows(40, 64, prefix=1, suffix=1)
    rows.boundaries[:, 1::5] |= 4
    out = run(compiled(OPERATIONS[name], **changes), rows)
    assert len({row.tobytes() for row in out["input_ids"]}) > 20


def test_every_operation_has_its_preset_of_the_same_name() -> None:
    assert [preset.name for preset in PRESETS] == list(OPERATIONS)
    for preset in PRESETS:
        assert preset.operation == preset.name
        assert set(preset.parameters) <= set(OPERATIONS[preset.operation].parameters)
