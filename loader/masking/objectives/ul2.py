"""UL2's mixture of denoisers: regular spans (R), sequential suffixes (S), extreme spans (X).

Law: Tay et al. (ICLR 2023). Every row draws one denoiser and is corrupted as T5 does it, with
that denoiser's rate and mean span. S hides one span at the row's end. A denoiser whose rows
have one span is rolled by a uniform offset; without that it would always hide the end, and be
an S denoiser in disguise. Cost: that of span corruption, however many denoisers there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from premask._errors import PolicyError
from premask.masking._backend import Array, concat, constant, full, lookup
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._chance import cumulative, pick
from premask.masking.objectives._composition import SpanNoise
from premask.masking.objectives._layout import layout
from premask.masking.objectives._sentinels import SENTINEL_PARAMETERS, compile_sentinels
from premask.masking.objectives.lengths import noise_tables
from premask.masking.objectives.span_corruption import rolled
from premask.masking.threefry import ROW, words

_MODES = ("r", "s", "x")
_TINY = 1e-9


def compile_ul2(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids``, ``attention_mask``, ``labels`` and ``modes`` (0 R, 1 S, 2 X).

    Raises:
        PolicyError: a denoiser or weight is wrong, or the tokenizer lacks sentinels.
    """
    denoisers = _denoisers(parameters)
    law = _law(parameters, binding, denoisers)
    corrupt = compile_sentinels(parameters, binding, law)
    thresholds = cumulative([weight for _, _, _, weight in denoisers])
    modes = [mode for mode, _, _, _ in denoisers]
    tokens = _mode_tokens(parameters, binding)

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        where = layout(rows)
        denoiser = pick(words(key, 1, ROW)[0], thresholds)
        result = corrupt(rows, where, law(where, key, denoiser), key)
        mode = lookup(constant(key, modes), denoiser)
        if tokens:
            first = lookup(constant(key, tokens), mode)
            ids, seen = result["input_ids"], result["attention_mask"]
            result["input_ids"] = concat([first, ids])
            result["attention_mask"] = concat([full(seen, (seen.shape[0], 1), 1), seen])
        return {**result, "modes": mode[:, 0]}

    return apply


def _denoisers(parameters: Mapping[str, Any]) -> list[tuple[int, float, float, float]]:
    """(mode, rate, mean span, weight) of every denoiser; mean span 0 is one span at the end."""
    weights = _numbers(parameters["mode_weights"], "policy.mode_weights")
    if len(weights) != 3 or min(weights) < 0 or sum(weights) < _TINY:
        raise PolicyError(
            f"mode_weights must be three numbers for r, s and x, got {list(weights)}",
            location="policy.mode_weights",
        )
    found: list[tuple[int, float, float, float]] = []
    for mode, (name, weight) in enumerate(zip(_MODES, weights, strict=True)):
        entries = [_entry(item, name) for item in parameters[name]]
        if weight > 0 and not entries:
            raise PolicyError(
                f"{name} has a weight but no denoiser; give it one or set its weight to 0",
                location=f"policy.{name}",
            )
        if weight > 0:
            found += [(mode, rate, span, weight / len(entries)) for rate, span in entries]
    return found


def _entry(item: Any, name: str) -> tuple[float, float]:
    location = f"policy.{name}"
    numbers = _numbers([item] if name == "s" else item, location)
    if name != "s" and len(numbers) != 2:
        raise PolicyError(f"a denoiser is [mean_span, rate], got {item!r}", location=location)
    span, rate = (0.0, numbers[0]) if name == "s" else (numbers[0], numbers[1])
    if not 0 < rate < 1 or (name != "s" and span < 1):
        raise PolicyError(
            f"a denoiser's rate lies between 0 and 1 and its mean span is at least 1, "
            f"got {item!r}",
            location=location,
        )
    return rate, span


def _numbers(value: Any, location: str) -> tuple[float, ...]:
    if isinstance(value, Sequence) and all(isinstance(x, (int, float)) for x in value):
        return tuple(float(x) for x in value)
    raise PolicyError(f"expected a list of numbers, got {value!r}", location=location)


def _law(
    parameters: Mapping[str, Any],
    binding: Binding,
    denoisers: Sequence[tuple[int, float, float, float]],
) -> SpanNoise:
    tables = [
        noise_tables(binding.max_length, rate, span or float("inf"))
        for _, rate, span, _ in denoisers
    ]
    roll = [
        rolled(spans, "never" if mode == 1 else parameters["random_roll"])
        for (mode, *_), (_, spans) in zip(denoisers, tables, strict=True)
    ]
    return SpanNoise(
        noise=np.stack([noise for noise, _ in tables]),
        spans=np.stack([spans for _, spans in tables]),
        roll=np.stack(roll),
        bits=binding.position_bits,
    )


def _mode_tokens(parameters: Mapping[str, Any], binding: Binding) -> tuple[int, ...]:
    tokens, size = parameters["mode_tokens"], binding.vocabulary.size
    if tokens is None:
        return ()
    if len(tokens) != 3 or not all(type(x) is int and 0 <= x < size for x in tokens):
        raise PolicyError(
            f"mode_tokens must be three token ids below {size}, for r, s and x, got {tokens!r}",
            location="policy.mode_tokens",
        )
    return tuple(tokens)


OPERATION = Operation(
    name="ul2",
    parameters={
        "r": Parameter(
            default=((3.0, 0.15), (8.0, 0.15)),
            kind=(list, tuple),
            help="regular denoisers, each [mean_span, rate]",
        ),
        "s": Parameter(
            default=(0.25,),
            kind=(list, tuple),
            help="sequential denoisers, each the share of the row that is its hidden end",
        ),
        "x": Parameter(
            default=((3.0, 0.5), (8.0, 0.5), (64.0, 0.15), (64.0, 0.5)),
            kind=(list, tuple),
            help="extreme denoisers, each [mean_span, rate]",
        ),
        "mode_weights": Parameter(
            default=(2, 1, 4),
            kind=(list, tuple),
            help="weights of r, s and x; the denoisers of one mode share its weight",
        ),
        "mode_tokens": Parameter(
            default=None,
            kind=(list, tuple, type(None)),
            help="ids of the tokens that announce r, s and x at the head of the inputs",
        ),
        "random_roll": Parameter(
            default="single_span",
            kind=(str,),
            choices=("always", "single_span", "never"),
            help="which R and X masks are rolled by a uniform offset",
        ),
        **SENTINEL_PARAMETERS,
    },
    compile=compile_ul2,
    needs=lambda _: (),
    outputs=("input_ids", "attention_mask", "labels", "modes"),
)
