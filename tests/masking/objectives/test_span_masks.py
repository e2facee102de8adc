"""Where span corruption hides text: the exact law, and the same draws done row by row."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from premask.masking.objectives.lengths import noise_counts
from premask.masking.threefry import SELECT, words

from tests.masking.objectives.support import (
    SPECIAL,
    assert_law,
    keys_of,
    ragged_rows,
    span_masks,
    text_rows,
)


def legal_masks(num_tokens: int, num_noise: int, num_spans: int) -> list[tuple[bool, ...]]:
    """Every mask of this kind that begins kept and ends with noise."""
    found = []
    for positions in combinations(range(num_tokens), num_noise):
        mask = tuple(i in positions for i in range(num_tokens))
        runs = sum(b and not a for a, b in zip((False, *mask), mask, strict=False))
        if runs == num_spans and not mask[0] and mask[-1]:
            found.append(mask)
    return found


@pytest.mark.parametrize(
    ("num_tokens", "rate", "mean_span", "num_patterns"),
    [(12, 5 / 12, 5 / 3, 90), (9, 5 / 9, 5 / 3, 18), (10, 0.4, 1.0, 10)],
)
def test_all_masks_are_equally_likely(
    num_tokens: int, rate: float, mean_span: float, num_patterns: int
) -> None:
    noise, spans = noise_counts(num_tokens, rate, mean_span)
    patterns = legal_masks(num_tokens, noise, spans)
    assert len(patterns) == num_patterns
    found = span_masks(
        text_rows(num_tokens, 30_000), rate=rate, mean_span=mean_span, random_roll="never"
    )
    index = {pattern: i for i, pattern in enumerate(patterns)}
    counts = np.bincount([index[tuple(row)] for row in found.tolist()], minlength=num_patterns)
    assert_law(counts, [1] * num_patterns)


def composition(keys: list[int], items: int, segments: int) -> list[int]:
    """Lengths of the segments, cut at the places with the smallest keys; plain Python."""
    places = sorted(range(1, items), key=lambda i: (keys[i], i))[: segments - 1]
    cuts = [0, *sorted(places), items]
    return [b - a for a, b in pairwise(cuts)]


def test_masks_equal_those_of_a_plain_loop_on_the_same_draws() -> None:
    rows = ragged_rows(5, num_rows=60)
    found = span_masks(rows, rate=0.4, mean_span=2.0, random_roll="never")
    first, second = (
        (np.asarray(w).astype(np.int64) & 0xFFFFFFFF) >> (9 + 1)
        for w in words(keys_of(rows), rows.input_ids.shape[1], SELECT)
    )
    special = (rows.boundaries & SPECIAL) != 0
    for i, length in enumerate(rows.lengths):
        text = [p for p in range(length) if not special[i, p]]
        noise, spans = noise_counts(len(text), 0.4, 2.0)
        expected: list[bool] = []
        if noise:
            hidden = composition(first[i].tolist(), noise, spans)
            kept = composition(second[i].tolist(), len(text) - noise, spans)
            for k, n in zip(kept, hidden, strict=True):
                expected += [False] * k + [True] * n
        assert found[i, text].tolist() == (expected or [False] * len(text))
        assert found[i].sum() == noise


def test_compat_masks_never_hide_the_first_token_and_always_the_last() -> None:
    found = span_masks(text_rows(64, 2000), t5_compat=True)
    assert not found[:, 0].any()
    assert found[:, -1].all()


def test_compat_masks_have_the_published_bias_by_position() -> None:
    share = span_masks(text_rows(110, 20_000), 128, t5_compat=True).mean(0)
    assert np.abs(share[:5] - [0, 0.044, 0.072, 0.095, 0.109]).max() < 0.012
    assert np.abs(share[-5:] - [0.29, 0.40, 0.53, 0.73, 1.0]).max() < 0.015
    assert abs(share.mean() - 16 / 110) < 1e-9


def test_a_roll_hides_every_position_alike() -> None:
    found = span_masks(text_rows(60, 20_000), random_roll="always")
    hidden = found.sum(0)
    assert (found.sum(1) == 9).all()
    spread = np.abs(hidden / 20_000 - 0.15).max()
    assert spread < 4.5 * (0.15 * 0.85 / 20_000) ** 0.5


def test_one_span_is_rolled_by_default_and_lies_anywhere() -> None:
    found = span_masks(text_rows(20, 20_000), mean_span=64.0)
    assert (found.sum(1) == 3).all()
    opens = (found & ~np.roll(found, 1, axis=1)).argmax(1)
    assert_law(np.bincount(opens, minlength=20), [1] * 20)


def test_regular_spans_repeat_with_the_published_period() -> None:
    found = span_masks(text_rows(64, 4000), noise="regular_spans")
    legal = {
        tuple((i + offset) % round(span / 0.15) < span for i in range(64))
        for span in range(1, 6)
        for offset in range(round(span / 0.15))
    }
    assert {tuple(row) for row in found.tolist()} == legal
