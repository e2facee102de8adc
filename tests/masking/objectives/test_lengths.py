"""The arithmetic of span corruption: T5's published lengths and the limits of ours."""

from __future__ import annotations

import numpy as np
import pytest
from premask.masking.objectives.lengths import (
    compute_input_and_target_lengths,
    noise_counts,
    noise_tables,
)


@pytest.mark.parametrize(
    ("inputs_length", "rate", "mean_span", "expected"),
    [
        (64, 0.2, 2, (70, 22)),
        (64, 0.2, 1, (63, 27)),
        (512, 0.15, 3, (568, 114)),
        (512, 0.5, 3, (766, 512)),
        (512, 0.15, 8, (588, 100)),
        (512, 0.15, 32, (598, 94)),
        (512, 0.15, 64, (600, 92)),
        (1024, 0.15, 3, (1137, 229)),
        (2048, 0.15, 3, (2274, 456)),
    ],
)
def test_lengths_are_those_that_t5_computes(
    inputs_length: int, rate: float, mean_span: float, expected: tuple[int, int]
) -> None:
    assert compute_input_and_target_lengths(inputs_length, rate, mean_span) == expected


def test_the_computed_row_fills_the_inputs_and_one_more_token_overflows_them() -> None:
    for inputs_length in range(16, 300):
        num_tokens, targets = compute_input_and_target_lengths(inputs_length, 0.15, 3.0)
        for n, fits in ((num_tokens, True), (num_tokens + 1, False)):
            noise, spans = noise_counts(n, 0.15, 3.0)
            assert (n - noise + spans + 1 <= inputs_length) == fits
        noise, spans = noise_counts(num_tokens, 0.15, 3.0)
        assert targets == noise + spans + 1


@pytest.mark.parametrize(
    ("num_tokens", "rate", "mean_span", "expected"),
    [
        (9, 0.55, 1.5, (5, 3)),
        (128, 0.5, 32, (64, 2)),
        (512, 0.15, 64, (77, 1)),
        (512, 0.15, 3, (77, 26)),
        (3, 0.5, 1, (2, 1)),  # T5 asks for two spans here, and has one kept token
        (2, 0.15, 3, (1, 1)),
        (1, 0.15, 3, (0, 0)),
        (0, 0.15, 3, (0, 0)),
    ],
)
def test_noise_counts_follow_the_published_rounding(
    num_tokens: int, rate: float, mean_span: float, expected: tuple[int, int]
) -> None:
    assert noise_counts(num_tokens, rate, mean_span) == expected


def test_spans_never_outnumber_noise_or_kept_tokens() -> None:
    for rate in (0.0, 0.05, 0.15, 0.5, 0.55, 0.9, 1.0):
        for mean_span in (1.0, 1.1, 2.5, 3.0, 64.0):
            noise, spans = noise_tables(200, rate, mean_span)
            n = np.arange(201)
            assert (spans[2:] >= 1).all()
            assert (spans <= np.minimum(noise, n - noise)).all()


def test_single_precision_rounds_as_tensorflow_does() -> None:
    single, _ = noise_tables(4096, 0.15, 3.0, single_precision=True)
    expected = np.round(np.arange(4097, dtype=np.float32) * np.float32(0.15))
    assert np.array_equal(single[2:], np.clip(expected[2:], 1, None))
