"""Law 2 for kernels: the bits of the reference, whatever the rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import premask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask import Policy, Rows
from premask._format import INPUT_IDS, Boundary
from premask.kernels.masker import KernelMasker
from premask.masking._operation import Binding
from premask.masking.presets import PRESETS

from tests.kernels.ragged import LONGEST, WITH_SENTINELS, batch_of, ragged, rows_of
from tests.masking.batches import BINDING, assert_same

pytest.importorskip("numba")

TOKENS = ("random", "mlm", "bert", "bernoulli", "roberta", "frequency", "frequency_rare")
UNITS = ("whole_word", "bert_whole_word", "entity", "phrase", "ernie", "salient")
WEIGHTED = ("syntax", "syntax_phrase", "syntax_dependency", "contextual", "semantic")
CHANGES: tuple[dict[str, Any], ...] = (
    {"preset": "random", "rate": 0.9, "count": "unit"},
    {"preset": "random", "coherence": "run", "random": 0.5, "mask": 0.2},
    {
        "preset": "random",
        "coherence": "unit",
        "random_from": "unigram",
        "random": 0.9,
        "mask": 0,
    },
    {"preset": "random", "candidates": "entity", "otherwise": "all", "random_special": True},
    {"preset": "bernoulli", "rate": 1.0, "candidates": "phrase"},
    {
        "preset": "frequency",
        "weights": [{"by": "pos", "weights": {"NOUN": 9}}, "inverse_power"],
    },
    {"preset": "whole_word", "selection": "bernoulli", "units": "sentence"},
    {"preset": "whole_word", "overflow": "stop", "fallback": "cut", "rate": 0.03},
    {"preset": "whole_word", "overflow": "cut", "within": "sentence", "rate": 0.5},
    {"preset": "entity", "overflow": "under", "fallback": "none", "coherence": "run"},
    {"preset": "span"},
    {"preset": "span", "overflow": "word", "rate": 0.4, "within": "sentence"},
    {"preset": "span", "rounding": "stochastic", "lengths": "uniform", "rate": 0.05},
    {"preset": "clm"},
    {"preset": "clm", "reset_positions": True, "mask_first": True},
    {"preset": "phrase", "units": "sentence", "rounding": "stochastic", "count": "unit"},
)
SPANS: tuple[dict[str, Any], ...] = (
    {},
    {"rate": 0.5, "random_roll": "always", "final_sentinel": True},
    {"mean_span": 1.0, "append_eos": False, "t5_compat": True},
    {"input_length": 20, "target_length": 7},
)
POLICIES = [premask.policy(name) for name in (*TOKENS, *UNITS, *WEIGHTED)]
POLICIES += [premask.policy(change) for change in CHANGES]


def named(policy: Policy) -> str:
    return f"{policy.name}-{policy.fingerprint[:4]}"


def on_kernel(policy: Policy, binding: Binding) -> KernelMasker:
    masker = policy.bind(binding, kernel="numba")
    assert isinstance(masker, KernelMasker)
    return masker


@pytest.mark.parametrize("policy", POLICIES, ids=named)
@settings(max_examples=25, deadline=None)
@given(rows=ragged(), epoch=st.integers(0, 2**31 - 1))
def test_rows_give_the_bits_of_the_reference(policy: Policy, rows: Rows, epoch: int) -> None:
    width = max(1, rows.width())
    expected = policy.bind(BINDING)(rows.pad(length=width), epoch)
    found = on_kernel(policy, BINDING).batch(rows, epoch, width, np.dtype(np.int32))
    assert_same(expected, found)


@pytest.mark.parametrize("changes", SPANS, ids=str)
@pytest.mark.parametrize("template", [True, False], ids=["template", "open"])
@settings(max_examples=20, deadline=None)
@given(rows=ragged(), epoch=st.integers(0, 99), spare=st.integers(0, 3))
def test_span_corruption_gives_the_bits_of_the_reference(
    changes: dict[str, Any], template: bool, rows: Rows, epoch: int, spare: int
) -> None:
    vocabulary = WITH_SENTINELS.vocabulary
    if template:
        vocabulary = dataclasses.replace(vocabulary, suffix_ids=(3,))
    binding = dataclasses.replace(WITH_SENTINELS, vocabulary=vocabulary)
    policy = premask.policy("span_corruption", **changes)
    width = min(LONGEST, max(1, rows.width()) + spare)
    expected = policy.bind(binding)(rows.pad(length=width), epoch)
    found = on_kernel(policy, binding).batch(rows, epoch, width, np.dtype(np.int32))
    assert_same(expected, found)


NOISES: tuple[dict[str, Any], ...] = (
    {},
    {"permute": 0.5, "mask_length": "word", "mask_random": 1.0},
    {"permute": 0.0, "mask_length": "subword", "replace_length": -1},
    {"replace_length": 0, "insert": 0.3, "rotate": 0.5},
    {"poisson_mean": 0.4, "mask": 0.9, "insert": 1.0, "rotate": 1.0, "mask_random": 0.0},
)


@pytest.mark.parametrize("changes", NOISES, ids=str)
@settings(max_examples=30, deadline=None)
@given(rows=ragged(), epoch=st.integers(0, 99), spare=st.integers(0, 3))
def test_denoising_gives_the_bits_of_the_reference(
    changes: dict[str, Any], rows: Rows, epoch: int, spare: int
) -> None:
    policy = premask.policy("denoising", **changes)
    width = min(LONGEST, max(1, rows.width()) + spare)
    expected = policy.bind(BINDING)(rows.pad(length=width), epoch)
    found = on_kernel(policy, BINDING).batch(rows, epoch, width, np.dtype(np.int32))
    assert_same(expected, found)


LONG = dataclasses.replace(WITH_SENTINELS, max_length=700)


@pytest.mark.parametrize(
    "name", ["random", "whole_word", "entity", "syntax", "span", "span_corruption", "denoising"]
)
def test_long_rows_give_the_bits_of_the_reference(name: str) -> None:
    lengths = [700, 699, 640, 513, 512, 511, 65, 64, 1, 0]
    rows = rows_of(np.random.default_rng(1), lengths, [False] * len(lengths), binding=LONG)
    policy = premask.policy(name)
    for epoch in range(3):
        expected = policy.bind(LONG)(rows.pad(), epoch)
        found = on_kernel(policy, LONG).batch(rows, epoch, 700, np.dtype(np.int32))
        assert_same(expected, found)


def test_runs_beyond_the_last_sentinel_stay_visible_as_in_the_reference() -> None:
    rows = rows_of(np.random.default_rng(2), [700, 300], [False] * 2, binding=LONG)
    rows.lists["boundaries"][:] |= np.uint8(
        Boundary.DOCUMENT_START
    )  # every noise token is a run
    policy = premask.policy("span_corruption")
    expected = policy.bind(LONG)(rows.pad(), 0)
    assert_same(expected, on_kernel(policy, LONG).batch(rows, 0, 700, np.dtype(np.int32)))


@pytest.mark.parametrize("name", ["random", "whole_word"])
def test_padded_rows_of_numpy_and_torch_give_the_bits_of_the_reference(name: str) -> None:
    rows, policy = batch_of(40), premask.policy(name)
    epochs = np.arange(len(rows), dtype=np.int32)
    expected = policy.bind(BINDING)(rows.pad(length=LONGEST), epochs)
    masker = on_kernel(policy, BINDING)
    assert_same(expected, masker(rows.pad(length=LONGEST), epochs))
    found = masker(rows.pad("torch", length=LONGEST), epochs)
    assert_same(expected, {key: x.numpy() for key, x in found.items()})


def test_ids_beyond_16_bits_give_the_bits_of_the_reference() -> None:
    rows, policy = batch_of(30, long_ids=True), premask.policy("random")
    expected = policy.bind(BINDING)(rows.pad(length=LONGEST), 5)
    found = on_kernel(policy, BINDING).batch(rows, 5, LONGEST, np.dtype(np.int32))
    assert_same(expected, found)


def test_one_masker_takes_ids_of_two_and_of_four_bytes_in_turn() -> None:
    policy = premask.policy("random")
    masker = on_kernel(policy, BINDING)
    for long_ids, dtype in [(False, "i4"), (True, "i4"), (False, "i8"), (True, "i8")] * 2:
        rows = batch_of(9, long_ids=long_ids)
        expected = policy.bind(BINDING)(rows.pad(length=LONGEST), 5)
        found = masker.batch(rows, 5, LONGEST, np.dtype(dtype))
        assert {x.dtype for x in found.values()} == {np.dtype(dtype)}
        assert_same(expected, {name: x.astype(np.int32) for name, x in found.items()})


def test_rows_with_gaps_in_memory_give_the_bits_of_the_reference() -> None:
    every_third: Any = np.s_[::-3]
    rows, policy = batch_of(30).take(every_third), premask.policy("whole_word")
    assert not rows.lists[INPUT_IDS].flags.c_contiguous
    expected = policy.bind(BINDING)(rows.pad(length=LONGEST), 5)
    found = on_kernel(policy, BINDING).batch(rows, 5, LONGEST, np.dtype(np.int32))
    assert_same(expected, found)


def test_a_batch_of_no_rows_has_the_shapes_of_the_reference() -> None:
    rows, policy = batch_of(3).take(np.arange(0)), premask.policy("random")
    found = on_kernel(policy, BINDING).batch(rows, 0, 8, np.dtype(np.int64))
    assert {name: x.shape for name, x in found.items()} == dict.fromkeys(policy.outputs, (0, 8))


def test_a_wider_batch_adds_padding_and_nothing_else() -> None:
    rows, masker = batch_of(12), on_kernel(premask.policy("whole_word"), BINDING)
    narrow = masker.batch(rows, 3, LONGEST, np.dtype(np.int64))
    wide = masker.batch(rows, 3, LONGEST + 17, np.dtype(np.int64))
    for name, filler in (("input_ids", 0), ("attention_mask", 0), ("labels", -100)):
        np.testing.assert_array_equal(wide[name][:, :LONGEST], narrow[name])
        assert (wide[name][:, LONGEST:] == filler).all()


def test_rows_that_are_too_long_are_refused_as_by_the_reference() -> None:
    rows, policy = batch_of(9), premask.policy("random")
    short = Binding(
        vocabulary=BINDING.vocabulary, max_length=int(rows.lengths[INPUT_IDS].max()) - 1
    )
    with pytest.raises(premask.PolicyError, match="bind it with a larger one"):
        on_kernel(policy, short).batch(rows, 0, LONGEST, np.dtype(np.int32))


def test_a_missing_track_is_refused_as_by_the_reference() -> None:
    rows = batch_of(2)
    bare = premask.make_rows(
        BINDING,
        {name: [rows.row(i, name) for i in range(2)] for name in (INPUT_IDS, "boundaries")},
        seed=[1, 2],
    )
    with pytest.raises(premask.PolicyError, match="pos_tags"):
        on_kernel(premask.policy("syntax"), BINDING).batch(bare, 0, 99, np.dtype(np.int32))


def test_weights_that_have_learned_go_the_way_of_the_reference() -> None:
    rows, policy = batch_of(20).pad(), premask.policy("adaptive")
    reference, masker = policy.bind(BINDING), on_kernel(policy, BINDING)
    for one in (reference, masker):
        one.update(np.arange(10, 200), np.linspace(0, 9, 190))
        one.snapshot(1)
    assert_same(reference(rows, 1), masker(rows, 1))
    assert_same(reference(rows, 0), masker(rows, 0))


def test_every_preset_of_this_operation_is_covered_but_those_named() -> None:
    covered = {
        name
        for name, preset in PRESETS.items()
        if preset.operation == "mask_units"
        and premask.kernels.covers(premask.policy(name), BINDING)
    }
    names = {name for name, preset in PRESETS.items() if preset.operation == "mask_units"}
    assert names - covered == {"pmi"}
