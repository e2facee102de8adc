"""The mixture of denoisers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking.objectives.restore import restore_spans, target_ids, unpadded
from premask.masking.objectives.span_corruption import OPERATION as SPAN_CORRUPTION
from premask.masking.objectives.ul2 import OPERATION

from tests.masking.objectives.support import (
    VOCABULARY,
    assert_law,
    binding,
    compiled,
    ragged_rows,
    run,
    text_rows,
)

NONE: dict[str, Any] = {"r": (), "s": (), "x": (), "mode_weights": (0, 0, 0)}


def only(mode: str, *denoisers: Any) -> dict[str, Any]:
    weights = tuple(int(mode == name) for name in ("r", "s", "x"))
    return NONE | {mode: denoisers, "mode_weights": weights}


def test_modes_have_the_asked_weights() -> None:
    apply = compiled(OPERATION, mode_weights=(1, 2, 1))
    modes = run(apply, text_rows(30, 8000))["modes"]
    assert_law(np.bincount(modes, minlength=3), [1, 2, 1])


def test_seven_denoisers_are_equally_likely_by_default() -> None:
    modes = run(compiled(OPERATION), text_rows(30, 8000))["modes"]
    assert_law(np.bincount(modes, minlength=3), [2, 1, 4])


def test_a_sequential_denoiser_hides_the_last_quarter_behind_one_sentinel() -> None:
    rows = text_rows(40, 20, suffix=1)
    out = run(compiled(OPERATION, **only("s", 0.25)), rows)
    first = VOCABULARY.sentinel_ids[0]
    for i in range(20):
        targets = target_ids(out["labels"][i])
        assert targets == [first, *range(130, 140), VOCABULARY.eos_id]


def hidden_share(rows_out: dict[str, Any], length: int) -> np.ndarray:
    return np.array([(rows_out["labels"] == 100 + i).any(-1).mean() for i in range(length)])


def test_one_long_span_lies_anywhere_where_the_published_law_hides_the_end() -> None:
    rows = text_rows(100, 4000)
    changes = only("x", (64.0, 0.15))
    fixed = run(compiled(OPERATION, binding(128), random_roll="never", **changes), rows)
    assert hidden_share(fixed, 100).tolist() == [0.0] * 85 + [1.0] * 15
    rolled = run(compiled(OPERATION, binding(128), **changes), rows)
    assert np.abs(hidden_share(rolled, 100) - 0.15).max() < 4.5 * (0.15 * 0.85 / 4000) ** 0.5


def test_an_extreme_denoiser_has_the_published_numbers() -> None:
    rows = text_rows(128, 50, suffix=1)
    out = run(compiled(OPERATION, binding(129), **only("x", (32.0, 0.5))), rows)
    sentinels = np.isin(out["input_ids"], VOCABULARY.sentinel_ids).sum(-1)
    assert (sentinels == 2).all()
    assert ((out["labels"] != -100).sum(-1) == 64 + 2 + 1).all()


def test_one_denoiser_alone_is_span_corruption_bit_for_bit() -> None:
    rows = ragged_rows(4, num_rows=40)
    mixed = run(compiled(OPERATION, **only("r", (3.0, 0.15))), rows)
    plain = run(compiled(SPAN_CORRUPTION), rows)
    assert all(np.array_equal(mixed[name], plain[name]) for name in plain)


def test_each_row_equals_the_same_row_under_its_mode_alone() -> None:
    rows = ragged_rows(6, num_rows=60)
    entries: dict[str, Any] = {"r": ((3.0, 0.15),), "s": (0.25,), "x": ((8.0, 0.5),)}
    mixed = run(compiled(OPERATION, mode_weights=(1, 1, 1), **entries), rows)
    for mode, name in enumerate(("r", "s", "x")):
        alone = run(compiled(OPERATION, **only(name, *entries[name])), rows)
        mine = mixed["modes"] == mode
        assert mine.any()
        assert np.array_equal(mixed["input_ids"][mine], alone["input_ids"][mine])
        width = min(mixed["labels"].shape[1], alone["labels"].shape[1])
        assert np.array_equal(mixed["labels"][mine, :width], alone["labels"][mine, :width])


def test_mode_tokens_head_the_inputs() -> None:
    out = run(compiled(OPERATION, mode_tokens=[50, 51, 52]), text_rows(20, 100))
    assert (out["input_ids"][:, 0] == out["modes"] + 50).all()
    assert (out["attention_mask"][:, 0] == 1).all()


def test_every_denoiser_can_be_undone() -> None:
    rows = text_rows(40, 300, prefix=1, suffix=1)
    out = run(compiled(OPERATION), rows)
    for i in range(300):
        inputs = unpadded(out["input_ids"][i], out["attention_mask"][i])
        restored = restore_spans(inputs, target_ids(out["labels"][i]), VOCABULARY)
        assert restored == rows.input_ids[i].tolist()


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"mode_weights": (1, 2)}, "policy.mode_weights"),
        ({"mode_weights": (0, 0, 0)}, "policy.mode_weights"),
        ({"mode_weights": "all"}, "policy.mode_weights"),
        ({"x": ()}, "policy.x"),
        ({"r": ((3.0,),)}, "policy.r"),
        ({"s": (1.5,)}, "policy.s"),
        ({"mode_tokens": (1, 2)}, "policy.mode_tokens"),
        ({"mode_tokens": (1, 2, 5000)}, "policy.mode_tokens"),
    ],
)
def test_a_wrong_mixture_is_refused_at_its_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(PolicyError) as caught:
        compiled(OPERATION, **changes)
    assert caught.value.location == place
