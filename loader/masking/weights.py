"""Weights: which candidates are preferred. Tables of fixed-point log2 weights, host-built.

A weight law gives every token a weight through its id, or through one of its tracks. Laws
multiply; a weight of 0 takes the token out of the candidates. A unit has the highest weight of
its tokens. On the device a weight is an int32 with 8 fraction bits, within 12 octaves of the
law's average, so no float enters a key.

Cost: one gather per law and position, and a running maximum for units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from premask.masking._backend import (
    Array,
    Table,
    clip,
    cummax,
    gather,
    lookup,
    namespace,
)
from premask.masking._operation import Binding, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.units import Units
from premask.masking.weight_laws import LAWS

FRACTION_BITS = 8
LIMIT = 12 << FRACTION_BITS
EXCLUDED = -(1 << 20)  # far below what any number of laws can add up to

PARAMETER = Parameter(
    default=(),
    kind=(tuple, list),
    variants={name: law.parameters for name, law in LAWS.items()},
    help="laws of preference, multiplied: a list of names or of {by: NAME, ...}; none: uniform",
)

# (rows, text BL) -> log2 weights BL, `EXCLUDED` or below where the weight is 0
Weigh = Callable[[PaddedRows, Array], Array]


def fixed_point(log2_weights: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """log2 weights as int32 with 8 fraction bits around their average; `EXCLUDED` for -inf.

    The average is taken over classes, or over the corpus where its `counts` are given, in
    exact integer arithmetic.
    """
    known = np.isfinite(log2_weights)
    fixed = np.floor(np.where(known, log2_weights, 0.0) * (1 << FRACTION_BITS) + 0.5)
    fixed = fixed.astype(np.int64)
    shares = known.astype(np.int64)
    if counts is not None and counts[known].any():
        shares = shares * counts
    average = int((fixed * shares).sum()) // max(1, int(shares.sum()))
    centred = np.clip(fixed - average, -LIMIT, LIMIT)
    return np.where(known, centred, EXCLUDED).astype(np.int32)


def track_of(law: Mapping[str, Any]) -> str | None:
    """The track whose codes a law weighs; None: token ids."""
    return law["of"] if law.get("of", "token") != "token" else LAWS[law["by"]].track


def needed_tracks(laws: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The tracks that these laws read."""
    tracks = (track_of(law) for law in laws)
    return tuple(dict.fromkeys(track for track in tracks if track is not None))


def compile_weights(laws: Sequence[Mapping[str, Any]], binding: Binding) -> Weigh | None:
    """Compiles a list of laws; None where there is none, and all weights are equal.

    Raises:
        PolicyError: a table or a track's dictionary is missing.
    """
    if not laws:
        return None
    lookups = [(track, Table(values)) for track, values in weight_tables(laws, binding)]

    def weigh(rows: PaddedRows, text_BL: Array) -> Array:
        xp = namespace(text_BL)
        sum_BL = 0
        for track, table in lookups:
            classes = rows.input_ids if track is None else rows.tracks[track]
            inside = clip(xp.where(text_BL, classes, 0), 0, len(table.values) - 1)
            sum_BL = sum_BL + lookup(table(inside), inside)
        return sum_BL

    return weigh


def weight_tables(
    laws: Sequence[Mapping[str, Any]], binding: Binding
) -> list[tuple[str | None, np.ndarray]]:
    """Each law's track (None: token ids) and its fixed-point weights by class.

    Raises:
        PolicyError: a table or a track's dictionary is missing.
    """
    tables = []
    for index, parameters in enumerate(laws):
        law, track = LAWS[parameters["by"]], track_of(parameters)
        values = law.log2_weights(parameters, binding, f"policy.weights[{index}]")
        counts = binding.tables.get("counts") if track is None else None
        tables.append((track, fixed_point(values, _trim(counts, len(values)))))
    return tables


def _trim(counts: np.ndarray | None, size: int) -> np.ndarray | None:
    if counts is None or len(counts) < size:
        return None
    return np.asarray(counts[:size], np.int64)


def allowed(log2_weight: Array) -> Array:
    """bool: the weight is above 0."""
    return log2_weight > EXCLUDED // 2


def unit_weights(log2_weight_BL: Array, units: Units) -> Array:
    """int32 ``[B, U]``: the highest weight of each unit's tokens; `EXCLUDED`: all are 0."""
    xp = namespace(log2_weight_BL)
    counts_BL = units.member_BL & allowed(log2_weight_BL)
    shifted_BL = xp.where(counts_BL, clip(log2_weight_BL, -LIMIT, LIMIT) + LIMIT + 1, 0)
    # The ordinal stands above the weight, so the running maximum starts afresh in every unit.
    bits = (2 * LIMIT + 1).bit_length()
    highest_BL = cummax((units.ordinal_BL << bits) | shifted_BL)
    highest_BU = gather(highest_BL, units.last_BU) & ((1 << bits) - 1)
    return xp.where(highest_BU > 0, highest_BU - LIMIT - 1, EXCLUDED)
