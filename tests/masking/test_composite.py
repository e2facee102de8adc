"""Mixtures, schedules and adaptive weights: each row as under its own policy, replayable."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking.adaptive import Feedback
from premask.masking.composite import rate_at
from premask.masking.masker import Masker
from premask.masking.policy import policy

from tests.masking.batches import BINDING, assert_same, on, random_rows, selected, text_rows

MEMBERS = ["random", "whole_word", "span"]


def mixed(**changes: object) -> Masker:
    return policy("mixture", policies=MEMBERS, **changes).bind(BINDING)


def which_member(
    outputs: dict[str, np.ndarray], singles: list[dict[str, np.ndarray]]
) -> list[set[int]]:
    """For each row, the members that it agrees with."""
    return [
        {
            number
            for number, single in enumerate(singles)
            if all((single[name][row] == array[row]).all() for name, array in outputs.items())
        }
        for row in range(len(outputs["labels"]))
    ]


def test_every_row_of_a_mixture_is_that_of_one_policy_alone() -> None:
    rows = random_rows(np.random.default_rng(0), 60, 60, shortest=30)
    singles = [policy(name).bind(BINDING)(rows, 4) for name in MEMBERS]
    found = which_member(mixed()(rows, 4), singles)
    assert all(found)
    assert {number for numbers in found if len(numbers) == 1 for number in numbers} == {0, 1, 2}


def test_a_row_draws_its_policy_anew_in_every_epoch() -> None:
    rows = random_rows(np.random.default_rng(0), 40, 60, shortest=30)
    by_epoch = []
    for epoch in range(2):
        singles = [policy(name).bind(BINDING)(rows, epoch) for name in MEMBERS]
        by_epoch.append(which_member(mixed()(rows, epoch), singles))
    assert by_epoch[0] != by_epoch[1]


def test_a_batch_mixture_gives_the_whole_batch_to_one_policy() -> None:
    rows = random_rows(np.random.default_rng(0), 20, 60, shortest=30)
    singles = [policy(name).bind(BINDING)(rows) for name in MEMBERS]
    function = mixed(per="batch")
    drawn = []
    for step in range(30):
        found = which_member(function(rows, step=step), singles)
        (common,) = set.intersection(*found)
        drawn.append(common)
    assert set(drawn) == {0, 1, 2}


def test_a_policy_that_depends_on_the_step_says_so_and_asks_for_it() -> None:
    chosen = policy("mixture", per="batch")
    assert chosen.depends_on_step
    assert not policy("mixture").depends_on_step
    assert policy("mixture", policies=[chosen, "random"]).depends_on_step
    with pytest.raises(PolicyError, match="pass step="):
        chosen.bind(BINDING)(random_rows(np.random.default_rng(0), 2, 20))


@pytest.mark.parametrize(
    ("epoch", "member"), [(0, "random"), (1, "whole_word"), (3, "whole_word"), (4, "span")]
)
def test_a_schedule_by_epochs_changes_where_it_says(epoch: int, member: str) -> None:
    rows = random_rows(np.random.default_rng(0), 10, 50)
    chosen = policy("schedule", policies=MEMBERS, until=[0.2, 0.8, 1], epochs=5)
    expected = policy(member).bind(BINDING)(rows, epoch)
    assert_same(expected, chosen.bind(BINDING)(rows, epoch))


def test_a_schedule_takes_the_epoch_of_every_row() -> None:
    rows = random_rows(np.random.default_rng(0), 6, 50)
    function = policy("schedule", policies=MEMBERS, epochs=3).bind(BINDING)
    epochs = np.array([0, 2, 1, 0, 2, 1], np.int32)
    together = function(rows, epochs)
    for row, epoch in enumerate(epochs.tolist()):
        alone = function(rows, epoch)
        for name, array in together.items():
            np.testing.assert_array_equal(array[row], alone[name][row])


def test_a_schedule_by_steps_goes_by_the_step() -> None:
    rows = random_rows(np.random.default_rng(0), 6, 50)
    chosen = policy("schedule", policies=MEMBERS, epochs=None, steps=300)
    expected = policy("whole_word").bind(BINDING)(rows, 1)
    assert_same(expected, chosen.bind(BINDING)(rows, 1, step=100))


@pytest.mark.parametrize(
    ("law", "first", "last"),
    [
        ("cosine", 0.32, 0.02),
        ("descending", 0.3, 0.0),
        ("ascending", 0.0, 0.3),
        ("square_below", 0.3, 0.0),
        ("square_above", 0.31, 0.01),
    ],
)
def test_rate_laws_have_the_published_endpoints(law: str, first: float, last: float) -> None:
    assert (rate_at(law, 0.15, 0.0), rate_at(law, 0.15, 1.0)) == (first, last)


def test_a_rate_schedule_masks_each_epoch_at_its_rate() -> None:
    rows = text_rows(20, [2] * 90)
    function = policy("rate_schedule", epochs=20).bind(BINDING)
    sizes = [int(selected(function(rows, epoch)).sum(axis=1)[0]) for epoch in range(20)]
    assert (sizes[0], sizes[-1]) == (round(0.32 * 90), round(0.02 * 90))
    assert sizes == sorted(sizes, reverse=True)
    assert selected(function(rows, 500)).sum() == 20 * sizes[-1]


def test_members_with_different_outputs_are_refused() -> None:
    chosen = policy("mixture", policies=["random", "permutation"])
    with pytest.raises(PolicyError, match="same arrays"):
        chosen.bind(BINDING)


def test_a_mixture_needs_what_its_members_need() -> None:
    chosen = policy("mixture", policies=["syntax", "entity", "random"])
    assert set(chosen.needs) == {"pos_tags", "entity_start"}


def adaptive(epochs: int = 0) -> Masker:
    """An adaptive masker that found ids of 50 and more hard, with a snapshot per epoch."""
    function = policy("adaptive", units="token").bind(BINDING)
    ids = np.arange(10, 90)
    for epoch in range(1, epochs + 1):
        function.update(ids, np.where(ids < 50, 0.5, 3.0) + 0.01 * (ids % 7) * epoch)
        function.snapshot(epoch)
    return function


def test_without_a_snapshot_adaptive_weights_are_equal() -> None:
    rows = text_rows(20_000, [2] * 8, ids=[20, 60, 20, 60, 20, 60, 20, 60])
    shares = selected(adaptive()(rows)).mean(axis=0)
    np.testing.assert_allclose(shares, 1 / 8, atol=0.01)


def test_what_the_model_finds_hard_is_masked_more_from_the_snapshot_on() -> None:
    rows = text_rows(4000, [2] * 8, ids=[20, 60, 20, 60, 20, 60, 20, 60])
    function = adaptive(1)
    before = selected(function(rows, 0)).mean(axis=0)
    after = selected(function(rows, 1)).mean(axis=0)
    np.testing.assert_allclose(before, 1 / 8, atol=0.025)
    assert (after[1::2] > 2.5 * after[::2]).all()


def test_equal_losses_give_equal_weights() -> None:
    feedback = Feedback(30, decay=0.9)
    feedback.update(np.arange(30), np.full(30, 2.5))
    assert feedback.snapshot(1).log2_weights.tolist() == [0] * 30


def test_feedback_alone_changes_no_mask() -> None:
    rows = random_rows(np.random.default_rng(0), 20, 50)
    function = adaptive(1)
    first = function(rows, 2)
    function.update(np.arange(10, 90), np.arange(80.0))
    assert_same(first, function(rows, 2))


def test_past_epochs_are_replayed_bit_for_bit_from_the_state() -> None:
    rows = random_rows(np.random.default_rng(0), 20, 50)
    function = adaptive(3)
    state = json.loads(json.dumps(function.state_dict()))
    replayed = adaptive()
    replayed.load_state_dict(state)
    for epoch in range(5):
        assert_same(function(rows, epoch), replayed(rows, epoch))
    assert function.version == replayed.version == 3
    assert replayed.state_dict() == function.state_dict()


def test_rows_of_several_epochs_each_get_the_snapshot_of_their_own() -> None:
    rows = random_rows(np.random.default_rng(0), 8, 96)
    function = adaptive(2)
    epochs = np.array([0, 1, 2, 3, 0, 1, 2, 3], np.int32)
    for backend in ("numpy", "torch", "jax"):
        moved = on(rows, backend)
        epoch = on(dataclasses.replace(rows, lengths=epochs), backend).lengths
        together = function(moved, epoch)
        for row, number in enumerate(epochs.tolist()):
            alone = function(rows, number)
            for name, array in together.items():
                np.testing.assert_array_equal(np.asarray(array)[row], alone[name][row])


@pytest.mark.parametrize("kind", ["adaptive", "schedule"])
def test_epochs_may_be_unknown_until_a_compiled_function_runs(kind: str) -> None:
    rows = random_rows(np.random.default_rng(0), 8, 96)
    function = policy("schedule", epochs=3, policies=["random", "bernoulli"]).bind(BINDING)
    if kind == "adaptive":
        function = adaptive(1)
    moved = on(rows, "jax")
    compiled = jax.jit(lambda epoch: function(moved, epoch))
    for first in (0, 1):
        epochs = (np.arange(8) % 3 + first).astype(np.int32)
        assert_same(function(rows, epochs), compiled(jax.numpy.asarray(epochs)))


def test_a_snapshot_that_is_not_the_recorded_one_is_refused() -> None:
    state = adaptive(1).state_dict()
    state["feedback"][0]["snapshots"][0]["sha256"] = "0" * 64
    with pytest.raises(PolicyError, match="is recorded"):
        adaptive().load_state_dict(state)


def test_a_state_of_another_policy_is_refused() -> None:
    other = policy("adaptive").bind(BINDING)
    with pytest.raises(PolicyError, match="the state belongs to policy"):
        other.load_state_dict(adaptive(1).state_dict())


def test_a_snapshot_cannot_rewrite_epochs_that_are_masked_already() -> None:
    function = adaptive(3)
    with pytest.raises(PolicyError, match="would change epochs"):
        function.snapshot(3)


def test_feedback_to_a_policy_that_takes_none_is_refused() -> None:
    with pytest.raises(PolicyError, match="takes no feedback"):
        policy("random").bind(BINDING).update([1], [0.5])


def test_feedback_passes_over_unlabelled_tokens_and_checks_shapes() -> None:
    feedback = Feedback(30, decay=0.9)
    feedback.update(np.array([[-100, 3], [4, -100]]), np.array([[9.0, 1.0], [2.0, np.nan]]))
    assert feedback.state_dict()["means"] == {"3": 1.0, "4": 2.0}
    with pytest.raises(PolicyError, match="2 token ids, but 3 losses"):
        feedback.update([1, 2], [1.0, 2.0, 3.0])
    with pytest.raises(PolicyError, match="below 30"):
        feedback.update([31], [1.0])


def test_parts_of_speech_can_be_the_classes_of_feedback() -> None:
    rows = text_rows(2000, [2] * 6, tracks={"pos_tags": [1, 2, 1, 2, 1, 2]})
    laws = [{"by": "adaptive", "of": "pos_tags"}]
    function = policy("adaptive", units="token", weights=laws).bind(BINDING)
    function.update([1, 2, 3], [0.1, 4.0, 2.0])
    function.snapshot(1)
    shares = selected(function(rows, 1)).mean(axis=0)
    assert (shares[1::2] > 2 * shares[::2]).all()
