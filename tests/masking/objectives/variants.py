"""Every operation, with the parameters that change what it does."""

from __future__ import annotations

from typing import Any

VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("clm", {}),
    ("clm", {"mask_first": True, "reset_positions": True}),
    ("prefix_lm", {"decoder_input_ids": True, "decoder_start": "last"}),
    ("prefix_lm", {"rate": 0.25, "form": "decoder"}),
    ("span_corruption", {}),
    ("span_corruption", {"rate": 0.5, "mean_span": 2.0, "random_roll": "always"}),
    ("span_corruption", {"t5_compat": True, "final_sentinel": True}),
    ("span_corruption", {"noise": "regular_spans", "inputs": "sentinel_tokens"}),
    ("span_corruption", {"inputs": "random_tokens", "targets": "original"}),
    ("span_corruption", {"inputs": "drop", "targets": "noise", "append_eos": False}),
    ("span_corruption", {"input_length": 12, "target_length": 5}),
    ("ul2", {"mode_tokens": (50, 51, 52)}),
    ("denoising", {}),
    ("denoising", {"permute": 0.5, "insert": 0.2, "rotate": 0.5, "replace_length": 0}),
    ("denoising", {"permute": 0.0, "mask_length": "word", "replace_length": -1}),
    ("denoising", {"mask_length": "subword", "decoder_input_ids": True}),
    ("gap_sentences", {}),
    ("gap_sentences", {"selection": "random", "lowest_ratio": 0.33, "target_length": 9}),
    ("gap_sentences", {"selection": "lead", "mask_share": 1.0}),
    ("mass", {}),
    ("future_ngram", {"block": 10, "rate": 0.3, "ngram": 3}),
    ("permutation", {}),
    ("replaced_token", {}),
    ("fill_in_middle", {"rate": 0.8}),
    ("seq2seq", {"decoder_input_ids": True, "decoder_start": "bos"}),
)


def name_of(variant: tuple[str, dict[str, Any]]) -> str:
    name, changes = variant
    return "-".join([name, *(f"{key}={value}" for key, value in changes.items())])
