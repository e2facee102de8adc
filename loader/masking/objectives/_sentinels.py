"""Noise to inputs and targets: spans become sentinels, targets spell the spans out.

The k-th run of noise becomes the k-th sentinel in the inputs; the targets are, for every run,
its sentinel and then its tokens. Where a mask begins with a kept token and ends with noise,
that is T5's ``noise_span_to_unique_sentinel`` on the mask and on its complement, exactly; it
stays aligned for every other mask too. Specials stay in the inputs, where they are. Runs beyond
the last sentinel stay visible, and those beyond the most that the law gives and 8 more: only a
row with many documents can have them. Cost: two sorts, one of them over twice the row's length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from premask._errors import PolicyError
from premask._format import Boundary
from premask.masking._backend import (
    Array,
    concat,
    constant,
    cumsum,
    lookup,
    namespace,
    shift_right,
    total,
)
from premask.masking._operation import Binding, Parameter
from premask.masking._rows import PaddedRows, Vocabulary
from premask.masking.objectives._arrays import clip
from premask.masking.objectives._chance import ordinary_id, replacement_ranges
from premask.masking.objectives._composition import NoiseLaw
from premask.masking.objectives._decoder import (
    DECODER_PARAMETERS,
    LENGTH_PARAMETERS,
    attention,
    closes_rows,
    compile_decoder,
    end_id,
    gather_side,
    pad_id,
)
from premask.masking.objectives._layout import Layout, has
from premask.masking.threefry import REPLACE, words

# Runs that a row may have beyond its law's, because specials and documents inside it cut spans.
_SPARE_RUNS = 8

# (rows, their layout, noise bool [B, L], key) -> inputs and labels
Corrupt = Callable[[PaddedRows, Layout, Array, Array], dict[str, Array]]

SENTINEL_PARAMETERS: Mapping[str, Parameter] = {
    "inputs": Parameter(
        default="sentinels",
        kind=(str,),
        choices=("sentinels", "single_sentinel", "sentinel_tokens", "drop", "random_tokens"),
        help="what noise becomes in the inputs: a sentinel of its own per span, the same "
        "sentinel for all spans, a sentinel per token, nothing, or random tokens",
    ),
    "targets": Parameter(
        default="sentinels",
        kind=(str,),
        choices=("sentinels", "noise", "original"),
        help="spans after their sentinels, the noise tokens alone, or the whole row",
    ),
    "final_sentinel": Parameter(
        default=False, kind=(bool,), help="one more sentinel after the last span's tokens"
    ),
    "append_eos": Parameter(
        default=True,
        kind=(bool,),
        help="end targets with EOS, and inputs too where the tokenizer's template does not",
    ),
    **LENGTH_PARAMETERS,
    **DECODER_PARAMETERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """What both sides of a pair are made with."""

    style: str
    pad: int
    end: int | None
    width: Callable[[int], int]
    closes: bool  # whether a row that ends with text is closed
    final_sentinel: bool
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    mask: Array
    opens: Array  # the first token of every run
    sentinel: Array  # the sentinel of the run at or before each position
    following: Array  # the sentinel after the row's last run, [B, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What inputs and targets are made with, whatever the rows.

    Attributes:
        sentinels: the sentinel of every run, by ordinal.
        limit: how many runs become sentinels; those beyond stay visible.
        source, target: the sides.
    """

    sentinels: tuple[int, ...]
    limit: int
    source: _Side
    target: _Side


def make_pair(parameters: Mapping[str, Any], binding: Binding, law: NoiseLaw) -> Pair:
    """The sides and sentinels that `parameters` describe.

    Raises:
        PolicyError: the tokenizer lacks sentinels or ordinary ids.
    """
    sentinels = _sentinel_table(parameters, binding, law)
    limit = len(sentinels) - int(parameters["final_sentinel"])
    if "sentinels" in (parameters["inputs"], parameters["targets"]):
        limit = min(limit, law.max_runs(binding.max_length) + _SPARE_RUNS)
    source, target = _sides(parameters, binding, law, limit)
    return Pair(sentinels=sentinels, limit=limit, source=source, target=target)


def compile_sentinels(
    parameters: Mapping[str, Any], binding: Binding, law: NoiseLaw
) -> Corrupt:
    """The function that applies a mask: `law`'s, or any other that is no longer.

    Raises:
        PolicyError: the tokenizer lacks sentinels, a start token or ordinary ids.
    """
    pair = make_pair(parameters, binding, law)
    sentinels, limit = pair.sentinels, pair.limit
    source, target = pair.source, pair.target
    finish = compile_decoder(parameters, binding)

    def corrupt(rows: PaddedRows, layout: Layout, noise: Array, key: Array) -> dict[str, Array]:
        noise = noise & layout.text
        border = has(rows, Boundary.DOCUMENT_START)
        opens = noise & (~shift_right(noise, 1, False) | border)
        ordinal = cumsum(opens) - 1
        table = constant(key, sentinels)
        found = _Noise(
            mask=noise & (ordinal < limit),
            opens=opens & (ordinal < limit),
            sentinel=lookup(table, clip(ordinal, 0, limit - 1)),
            following=lookup(table, clip(total(opens), 0, min(limit, len(sentinels) - 1))),
        )
        inputs, count = _inputs(rows, layout, found, key, source)
        targets, num_targets = _targets(rows, layout, found, target)
        return {
            "input_ids": inputs,
            "attention_mask": attention(count, inputs.shape[1]),
            **finish(targets, num_targets),
        }

    return corrupt


def _inputs(
    rows: PaddedRows, layout: Layout, noise: _Noise, key: Array, side: _Side
) -> tuple[Array, Array]:
    where = namespace(key).where
    ids, keep, length = rows.input_ids, layout.inside, rows.input_ids.shape[1]
    if side.style in ("sentinels", "single_sentinel"):
        ids = where(noise.opens, noise.sentinel, ids)
        keep = keep & (~noise.mask | noise.opens)
    elif side.style == "sentinel_tokens":
        ids = where(noise.mask, noise.sentinel, ids)
    elif side.style == "drop":
        keep = keep & ~noise.mask
    else:
        replacement = ordinary_id(words(key, length, REPLACE)[0], side.ranges)
        ids = where(noise.mask, replacement, ids)
    return _gathered(ids, keep, side, length=length, ends=layout.open_end & side.closes)


def _targets(
    rows: PaddedRows, layout: Layout, noise: _Noise, side: _Side
) -> tuple[Array, Array]:
    xp = namespace(rows.input_ids)
    num_rows, length = rows.input_ids.shape
    ids, keep, ends = rows.input_ids, noise.mask, layout.lengths >= 0
    if side.style == "original":
        keep, ends = layout.inside, layout.open_end & side.closes
    elif side.style == "sentinels":
        ids = xp.stack([noise.sentinel, ids], -1).reshape(num_rows, 2 * length)
        keep = xp.stack([noise.opens, keep], -1).reshape(num_rows, 2 * length)
    if side.final_sentinel:
        ids = concat([ids, noise.following])
        keep = concat([keep, layout.lengths >= 0])
    return _gathered(ids, keep, side, length=length, ends=ends)


def _gathered(
    x: Array, keep: Array, side: _Side, *, length: int, ends: Array
) -> tuple[Array, Array]:
    return gather_side(
        x,
        keep,
        width=side.width(length),
        pad=side.pad,
        end=side.end,
        ends=ends,
    )


def _sides(
    parameters: Mapping[str, Any], binding: Binding, law: NoiseLaw, limit: int
) -> tuple[_Side, _Side]:
    vocabulary, style = binding.vocabulary, parameters["targets"]
    end = end_id(vocabulary) if parameters["append_eos"] else None
    closes = end is not None and closes_rows(vocabulary)
    final = bool(parameters["final_sentinel"])

    def target_width(length: int) -> int:
        if style == "original":
            return length + closes + final
        noise = law.max_noise(min(length, binding.max_length))
        return noise + (min(noise, limit) if style == "sentinels" else 0) + final + 1

    def asked(name: str, width: Callable[[int], int]) -> Callable[[int], int]:
        value = parameters[name]
        return width if value is None else lambda _: int(value)

    random = parameters["inputs"] == "random_tokens"
    source = _Side(
        style=parameters["inputs"],
        pad=pad_id(vocabulary),
        end=end,
        width=asked("input_length", lambda length: length + closes),
        closes=closes,
        final_sentinel=False,
        ranges=replacement_ranges(vocabulary, "policy.inputs") if random else (),
    )
    width = asked("target_length", target_width)
    return source, replace(source, style=style, width=width, final_sentinel=final, ranges=())


def _sentinel_table(
    parameters: Mapping[str, Any], binding: Binding, law: NoiseLaw
) -> tuple[int, ...]:
    """The sentinel of every run, by ordinal; one id many times over for a single sentinel."""
    vocabulary, length = binding.vocabulary, binding.max_length
    if "sentinels" in (parameters["inputs"], parameters["targets"]):
        _require_sentinels(vocabulary, length, law.max_runs(length), parameters)
        return vocabulary.sentinel_ids
    single = vocabulary.sentinel_ids[0] if vocabulary.sentinel_ids else vocabulary.mask_id
    needed = "sentinel" in parameters["inputs"] or parameters["final_sentinel"]
    if single is None and needed:
        raise PolicyError(
            "the tokenizer has neither a sentinel nor a mask token; set inputs to drop or "
            "random_tokens, or use a tokenizer with sentinels (<extra_id_0>, ...)",
            location="policy.inputs",
        )
    return (single or 0,) * (length + 2)


def _require_sentinels(
    vocabulary: Vocabulary, length: int, runs: int, parameters: Mapping[str, Any]
) -> None:
    needed = max(runs, 1) + int(parameters["final_sentinel"])
    if needed > len(vocabulary.sentinel_ids):
        raise PolicyError(
            f"rows of {length} tokens need up to {needed} sentinels, but the tokenizer has "
            f"{len(vocabulary.sentinel_ids)}; lower the rate, raise mean_span, write shorter "
            "rows, or use a tokenizer with more sentinels (<extra_id_0>, ...)",
            location="policy",
        )
