"""Objectives: every way to make training examples that is not plain substitution."""

from __future__ import annotations

from premask.masking._operation import Operation
from premask.masking.objectives import (
    causal,
    denoising,
    fill_in_middle,
    future_ngram,
    gap_sentences,
    mass,
    pairs,
    permutation,
    prefix_lm,
    replaced_token,
    span_corruption,
    ul2,
)
from premask.masking.objectives.presets import PRESETS as PRESETS

OPERATIONS: dict[str, Operation] = {
    module.OPERATION.name: module.OPERATION
    for module in (
        causal,
        prefix_lm,
        span_corruption,
        ul2,
        denoising,
        gap_sentences,
        mass,
        future_ngram,
        permutation,
        replaced_token,
        fill_in_middle,
        pairs,
    )
}

__all__ = ["OPERATIONS", "PRESETS"]
