"""How many tokens span corruption hides, and how long its inputs and targets become.

All floats of span corruption are spent here, on the host, in tables by row length.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def noise_counts(num_tokens: int, rate: float, mean_span: float) -> tuple[int, int]:
    """Noise tokens and noise spans of a row with `num_tokens` text tokens.

    T5's law: ``clamp(round(n * rate), 1, n - 1)`` tokens, halves to even, in
    ``max(1, round(noise / mean_span))`` spans. A row of fewer than two tokens has no noise.
    Spans are limited to the kept tokens as well, so that every span stands alone; T5's own
    code fails there.
    """
    noise, spans = _counts(np.array([num_tokens]), rate, mean_span, np.float64)
    return int(noise[0]), int(spans[0])


def noise_tables(
    max_length: int, rate: float, mean_span: float, *, single_precision: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`noise_counts` for ``0 .. max_length`` tokens: two int32 arrays ``[max_length + 1]``.

    `single_precision` multiplies in float32, as T5 does in TensorFlow; a product that lies on
    a half may then round the other way.
    """
    real = np.float32 if single_precision else np.float64
    return _counts(np.arange(max_length + 1), rate, mean_span, real)


def compute_input_and_target_lengths(
    inputs_length: int,
    rate: float = 0.15,
    mean_span: float = 3.0,
    *,
    extra_per_input_span: int = 1,
    extra_per_target_span: int = 1,
) -> tuple[int, int]:
    """Text tokens per row that fill `inputs_length` exactly, and the targets' length then.

    Both lengths count the closing EOS; the row's tokens do not. Write rows of that many text
    tokens to train on full inputs. Source: T5's ``random_spans_helper``.

    >>> compute_input_and_target_lengths(512)
    (568, 114)
    """

    def lengths(num_tokens: int) -> tuple[int, int]:
        noise = round(num_tokens * rate)
        spans = round(noise / mean_span)
        inputs = num_tokens - noise + spans * extra_per_input_span + 1
        return inputs, noise + spans * extra_per_target_span + 1

    num_tokens = inputs_length - 1
    while num_tokens > 1 and lengths(num_tokens)[0] > inputs_length:
        num_tokens -= 1
    while lengths(num_tokens + 1)[0] <= inputs_length:
        num_tokens += 1
    targets_length = lengths(num_tokens)[1]
    if rate == 0.5 and targets_length > inputs_length:
        # T5 prefers two equal round lengths to one token more.
        return num_tokens - 1, targets_length - 1
    return num_tokens, targets_length


def _counts(
    lengths: np.ndarray, rate: float, mean_span: float, real: Any
) -> tuple[np.ndarray, np.ndarray]:
    noise = np.round(lengths.astype(real) * real(rate)).astype(np.int64)
    noise = np.minimum(np.maximum(noise, 1), np.maximum(lengths - 1, 0))
    spans = np.round(noise.astype(real) / real(mean_span)).astype(np.int64)
    spans = np.minimum(np.maximum(spans, 1), np.minimum(noise, lengths - noise))
    return noise.astype(np.int32), spans.astype(np.int32)
