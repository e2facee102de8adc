"""Permutation language modelling: the law of spans, and who sees whom."""

from __future__ import annotations

from typing import Any

import numpy as np
from premask.masking.objectives._layout import layout
from premask.masking.objectives.permutation import OPERATION, context_lengths, span_targets
from premask.masking.threefry import LENGTHS, words

from tests.masking.objectives.support import (
    MASK,
    assert_law,
    binding,
    compiled,
    keys_of,
    ragged_rows,
    run,
    text_rows,
)


def spans_by_loop(first: list[int], second: list[int], length: int) -> set[int]:
    """Targets of a row of `length` text tokens, span after span; plain Python."""
    found: set[int] = set()
    begin = 0
    for one, two in zip(first, second, strict=True):
        if begin >= length:
            break
        span = one % 5 + 1
        context = 6 * span
        start = begin + two % (context - span + 1)
        found |= {i for i in range(start, start + span) if i < length}
        begin += context
    return found


def test_targets_equal_a_plain_loop_on_the_same_draws() -> None:
    rows = ragged_rows(7, num_rows=80)
    key, where = keys_of(rows), layout(rows)
    found = np.asarray(span_targets(where, key, context_lengths(1 / 6, 5)))
    draws = [(np.asarray(w).astype(np.int64) & 0xFFFFFFFF) >> 1 for w in words(key, 9, LENGTHS)]
    for i in range(80):
        text = np.flatnonzero(where.text[i])
        expected = spans_by_loop(draws[0][i].tolist(), draws[1][i].tolist(), len(text))
        assert set(np.flatnonzero(found[i])) == {text[k] for k in expected}


def targets_of(num_rows: int, length: int) -> np.ndarray:
    rows = text_rows(length, num_rows)
    where = layout(rows)
    return np.asarray(span_targets(where, keys_of(rows), context_lengths(1 / 6, 5)))


def test_span_lengths_are_uniform_from_1_to_5() -> None:
    found = targets_of(20_000, 36)
    first, _ = words(keys_of(text_rows(36, 20_000)), 2, LENGTHS)
    lengths = ((first[:, 0].astype(np.int64) & 0xFFFFFFFF) >> 1) % 5 + 1
    assert_law(np.bincount(lengths)[1:], [1] * 5)
    opens = found.argmax(1)
    for row, begin, span in zip(found[:500], opens[:500], lengths[:500], strict=True):
        assert row[begin : begin + span].all()


def test_a_sixth_of_the_text_is_predicted() -> None:
    share = targets_of(500, 512).mean()
    assert abs(share - 1 / 6) < 0.003


def outputs() -> tuple[dict[str, Any], np.ndarray]:
    out = run(compiled(OPERATION), ragged_rows(15, num_rows=60))
    return out, out["labels"] != -100


def test_no_query_sees_itself_and_given_tokens_are_seen_by_all() -> None:
    out, target = outputs()
    own = np.diagonal(out["perm_mask"], axis1=1, axis2=2)
    assert (own == target).all()
    hidden_somewhere = out["perm_mask"].any(1)
    assert (hidden_somewhere == target).all()


def test_given_tokens_and_specials_see_no_target() -> None:
    out, target = outputs()
    for i in range(60):
        seen_by_given = out["perm_mask"][i][~target[i]][:, target[i]]
        assert (seen_by_given == 1).all()


def test_targets_see_those_before_them_in_one_order() -> None:
    out, target = outputs()
    for i in range(60):
        among = out["perm_mask"][i][target[i]][:, target[i]]
        # In a total order the targets hide 1, 2, ..., n of each other, themselves included.
        assert sorted(among.sum(1)) == list(range(1, len(among) + 1))
        assert (among + among.T >= 1).all()


def test_every_order_of_targets_is_equally_likely() -> None:
    rows = text_rows(200, 6000)
    targets = np.asarray(span_targets(layout(rows), keys_of(rows), context_lengths(1 / 6, 5)))
    three = np.argsort(~targets, axis=1, kind="stable")[:, :3]
    orders: list[tuple[int, ...]] = []
    apply = compiled(OPERATION, binding(200))
    for start in range(0, 6000, 200):
        part = text_rows(200, 200, first_seed=start)
        mask = run(apply, part)["perm_mask"]
        for row, index in zip(mask, three[start : start + 200], strict=True):
            orders.append(tuple(row[np.ix_(index, index)].sum(1)))
    counts = [orders.count(order) for order in sorted(set(orders))]
    assert_law(counts, [1] * 6)


def test_targets_are_masked_and_labelled_and_nothing_else_changes() -> None:
    rows = ragged_rows(15, num_rows=60)
    out = run(compiled(OPERATION), rows)
    target = out["labels"] != -100
    inside = out["attention_mask"] == 1
    assert (out["input_ids"][target] == MASK).all()
    assert (out["labels"][target] == rows.input_ids[target]).all()
    rest = inside & ~target
    assert (out["input_ids"][rest] == rows.input_ids[rest]).all()
    assert (out["target_mapping"] == np.eye(rows.input_ids.shape[1], dtype=np.int32)).all()


def test_rows_of_odd_length_are_legal() -> None:
    out = run(compiled(OPERATION), text_rows(13, 4))
    assert out["perm_mask"].shape == (4, 13, 13)
