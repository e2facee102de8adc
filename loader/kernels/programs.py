"""Policies to programs: which kernel to call, with which tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.kernels import _laws
from premask.kernels._rows import Batch, Flat, scratch_for
from premask.masking._operation import Binding
from premask.masking.mask_units import MASK_UNITS
from premask.masking.objectives._composition import SpanNoise
from premask.masking.objectives._sentinels import make_pair
from premask.masking.objectives.span_corruption import noise_law
from premask.masking.policy import Policy
from premask.masking.span_lengths import length_shares, length_thresholds

# (rows, width, type of the outputs) -> named arrays [B, ...]
Run = Callable[[Flat, int, np.dtype], dict[str, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A kernel with its tables.

    Attributes:
        track: the track whose codes the kernel reads; None reads none.
        run: the kernel.
    """

    track: str | None
    run: Run


class _Calls:
    """A kernel, imported when it is first called, and its machine code by types of arrays.

    The tables of a policy have the same types in every call, and rows and batches but for the
    two that tell codes apart.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name
        self._entries: dict[tuple[np.dtype, np.dtype], Callable[..., None]] = {}

    def __call__(self, rows: Flat, batch: Batch, *tables: Any) -> None:
        types = rows.input_ids.dtype, batch.labels.dtype
        if types not in self._entries:
            from premask.kernels._compile import entry_of

            kernel = getattr(import_module(f"premask.kernels.{self._module}"), self._name)
            self._entries[types] = entry_of(kernel, (rows, batch, *tables))
        self._entries[types](rows, batch, *tables)


def compile_program(policy: Policy, binding: Binding) -> Program | None:
    """The program of `policy`; None where kernels do not cover it."""
    make = COVERED.get(policy.operation)
    return None if make is None else make(policy.parameters, binding, policy.word)


def _mask_units(parameters: Mapping[str, Any], binding: Binding, word: int) -> Program | None:
    law = _laws.choice(parameters, binding)
    if law is None:
        return None
    limits = _laws.budgets(parameters, binding)
    corrupt = _laws.corruption(parameters, binding)
    name = "mask_tokens" if parameters["units"] == "token" else "mask_units"

    mask = _Calls("_mask_units", name)

    def run(rows: Flat, width: int, dtype: np.dtype) -> dict[str, np.ndarray]:
        batch, scratch = (
            _empty(rows, (width,) * 3, dtype),
            scratch_for(len(rows.lengths), width),
        )
        mask(rows, batch, scratch, word, limits, law, corrupt)
        return batch._asdict()

    return Program(track=_laws.track_of_weights(parameters, binding), run=run)


def _mask_spans(parameters: Mapping[str, Any], binding: Binding, word: int) -> Program | None:
    within = parameters["within"]
    defaults = {name: item.default for name, item in MASK_UNITS.parameters.items()}
    law = _laws.choice({**defaults, "units": "word", "within": within}, binding)
    if law is None:
        return None
    borders = Boundary.DOCUMENT_START
    if within == "sentence":
        borders |= Boundary.SENTENCE_START
    anchors = _laws.Anchors(
        thresholds=np.array(length_thresholds(length_shares(parameters)), np.int32),
        border_bits=int(borders),
        whole_words=parameters["overflow"] == "word",
    )
    limits = _laws.budgets(parameters, binding)
    corrupt = _laws.corruption(parameters, binding)

    mask = _Calls("_mask_spans", "mask_spans")

    def run(rows: Flat, width: int, dtype: np.dtype) -> dict[str, np.ndarray]:
        batch, scratch = (
            _empty(rows, (width,) * 3, dtype),
            scratch_for(len(rows.lengths), width),
        )
        mask(rows, batch, scratch, word, limits, law, anchors, corrupt)
        return batch._asdict()

    return Program(track=None, run=run)


def _clm(parameters: Mapping[str, Any], binding: Binding, word: int) -> Program:
    del word
    pad_id = binding.vocabulary.pad_id or 0
    mask_first, resets = bool(parameters["mask_first"]), parameters["reset_positions"]

    copy = _Calls("_causal", "copy_rows")

    def run(rows: Flat, width: int, dtype: np.dtype) -> dict[str, np.ndarray]:
        batch = _empty(rows, (width,) * 3, dtype)
        shape = (len(rows.lengths) if resets else 0, width)
        found = {name: np.empty(shape, dtype) for name in ("position_ids", "document_ids")}
        copy(rows, batch, pad_id, mask_first, *found.values())
        return {**batch._asdict(), **(found if resets else {})}

    return Program(track=None, run=run)


def _span_corruption(
    parameters: Mapping[str, Any], binding: Binding, word: int
) -> Program | None:
    noise, styles = (
        noise_law(parameters, binding),
        (parameters["inputs"], parameters["targets"]),
    )
    if styles != ("sentinels", "sentinels") or parameters["decoder_input_ids"]:
        return None
    if not isinstance(noise, SpanNoise):
        return None
    pair = make_pair(parameters, binding, noise)
    source, sentinels, limit = pair.source, pair.sentinels, pair.limit
    law = _laws.Spans(
        bits=noise.bits,
        noise=np.ascontiguousarray(noise.noise[0], np.int32),
        spans=np.ascontiguousarray(noise.spans[0], np.int32),
        roll=np.ascontiguousarray(noise.roll[0], np.uint8),
        sentinels=np.array(sentinels, np.int32),
        limit=limit,
        final_sentinel=bool(parameters["final_sentinel"]),
        final_limit=min(limit, len(sentinels) - 1),
        end_id=-1 if source.end is None else source.end,
        closes=source.closes,
        pad_id=source.pad,
    )

    corrupt = _Calls("_span_corruption", "corrupt_spans")

    def run(rows: Flat, width: int, dtype: np.dtype) -> dict[str, np.ndarray]:
        widths = source.width(width), source.width(width), pair.target.width(width)
        batch, scratch = _empty(rows, widths, dtype), scratch_for(len(rows.lengths), width)
        corrupt(rows, batch, scratch, word, law)
        return batch._asdict()

    return Program(track=None, run=run)


def _denoising(parameters: Mapping[str, Any], binding: Binding, word: int) -> Program | None:
    if parameters["decoder_input_ids"]:
        return None
    law = _laws.noise(parameters, binding)

    corrupt = _Calls("_denoising", "denoise")

    def run(rows: Flat, width: int, dtype: np.dtype) -> dict[str, np.ndarray]:
        wide = width + int(law.insertions[min(width, len(law.insertions) - 1)])
        batch = _empty(rows, (wide, wide, width), dtype)
        corrupt(rows, batch, scratch_for(len(rows.lengths), wide), word, law)
        return batch._asdict()

    return Program(track=None, run=run)


def _empty(rows: Flat, widths: Sequence[int], dtype: np.dtype) -> Batch:
    # One block: the allocator keeps it for the next batch, where three would go back to the
    # system and come again page by page, at ten times the cost of the mask.
    num_rows, first, second, third = len(rows.lengths), *widths
    ends = num_rows * first, num_rows * (first + second)
    block = np.empty(ends[1] + num_rows * third, dtype)
    return Batch(
        block[: ends[0]].reshape(num_rows, first),
        block[ends[0] : ends[1]].reshape(num_rows, second),
        block[ends[1] :].reshape(num_rows, third),
    )


COVERED: Mapping[str, Callable[[Mapping[str, Any], Binding, int], Program | None]] = {
    "mask_units": _mask_units,
    "mask_spans": _mask_spans,
    "clm": _clm,
    "span_corruption": _span_corruption,
    "denoising": _denoising,
}
