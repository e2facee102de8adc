"""What a policy promises, as numbers that the audit can hold against its counts.

Derived from the policy's parameters alone, by the same integer tables that masks are made
from. Objectives without a promise in a field leave it empty, and nothing is tested there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from premask.masking.budget import budget_table
from premask.masking.objectives.lengths import noise_tables
from premask.masking.policy import Policy
from premask.pipeline.audit.statistics import PROFILE_BINS

UNIT_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The promises of one policy.

    Attributes:
        rate: mean share of text tokens that is masked, each unit by its own chance.
        budget: int ``[max_length + 1]``, tokens masked in a row, by its text tokens (by all
            its tokens where `count_special`).
        budget_slack: how far above the budget a row may go: 1 for a random rounding.
        budget_tolerance: 0: every row meets its budget; else how far the mean may be off it,
            relative, as whole units do not fit every budget.
        split: shares of [MASK], random tokens and kept tokens among the masked.
        uniform_replacements: every ordinary token is equally likely as a replacement.
        ordinary_replacements: replacements are ordinary tokens, never special ones.
        in_place: what is not masked stays as it is, and labels are the row's tokens.
        whole: units that are masked whole or not at all.
        profile: share of tokens masked by relative position, ``[64]``, or None.
        blind: how frequent a token is does not matter.
        independent: what one epoch masks has no bearing on the next.
        fresh: no row gets the same mask twice.
        distinct: no two rows share a mask, nor a seed.
        spans: int ``[max_length + 1]``, masked spans in a row, by its text tokens.
    """

    rate: float | None = None
    budget: np.ndarray | None = None
    budget_slack: int = 0
    budget_tolerance: float = 0.0
    count_special: bool = False
    split: tuple[float, float, float] | None = None
    uniform_replacements: bool = False
    ordinary_replacements: bool = False
    in_place: bool = False
    whole: tuple[str, ...] = ()
    profile: np.ndarray | None = None
    blind: bool = False
    independent: bool = False
    fresh: bool = False
    distinct: bool = False
    spans: np.ndarray | None = None


def expectation_of(policy: Policy, *, max_length: int) -> Expectation:
    """What `policy` promises for rows of at most `max_length` tokens."""
    parameters = policy.parameters
    if policy.operation == "span_corruption":
        return _span_corruption(parameters, max_length)
    if policy.operation == "ul2":
        return _ul2(parameters)
    if "mask" not in parameters or "random" not in parameters:
        return Expectation()
    expected = _substitution(parameters)
    if policy.operation == "mask_units":
        return _mask_units(expected, parameters, max_length)
    return expected


def _substitution(parameters: Any) -> Expectation:
    """What every policy promises that predicts tokens in their place."""
    mask, random = float(parameters["mask"]), float(parameters["random"])
    return Expectation(
        split=(mask, random, max(0.0, 1.0 - mask - random)),
        uniform_replacements=parameters.get("random_from", "uniform") == "uniform"
        and not parameters.get("random_special", False),
        ordinary_replacements=not parameters.get("random_special", False),
        in_place=True,
        fresh=True,
    )


def _mask_units(base: Expectation, parameters: Any, max_length: int) -> Expectation:
    tokens = parameters["units"] == "token"
    cuts = "cut" in (parameters["overflow"], parameters["fallback"])
    everywhere = parameters["candidates"] == "all"
    plain = everywhere and not _is_weighted(parameters)
    certain = parameters["rate"] in (0.0, 1.0)
    expected = replace(
        base,
        whole=() if tokens or cuts else (str(parameters["units"]),),
        fresh=everywhere and not certain,
        distinct=plain and parameters["units"] in ("token", "word") and not certain,
        independent=plain and tokens,
        blind=plain and tokens,
        profile=np.ones(PROFILE_BINS) if plain and tokens else None,
    )
    if parameters["selection"] == "bernoulli":
        return replace(expected, rate=float(parameters["rate"]) if plain else None)
    if parameters["count"] == "unit" or not everywhere:
        return expected
    stochastic = parameters["rounding"] == "stochastic"
    return replace(
        expected,
        budget=_budget(parameters, max_length),
        budget_slack=int(stochastic),
        budget_tolerance=0.0 if tokens else UNIT_TOLERANCE,
        count_special=bool(parameters["count_special"]),
        rate=float(parameters["rate"])
        if stochastic and tokens and not parameters["at_least"] and not parameters["at_most"]
        else None,
    )


def _is_weighted(parameters: Any) -> bool:
    """Whether some tokens are meant to be masked more often than others."""
    return bool(parameters["weights"])


def _budget(parameters: Any, max_length: int) -> np.ndarray:
    rounding = str(parameters["rounding"])
    return budget_table(
        max_length,
        float(parameters["rate"]),
        "floor" if rounding == "stochastic" else rounding,
        parameters["at_least"],
        parameters["at_most"],
    )


def _span_corruption(parameters: Any, max_length: int) -> Expectation:
    if parameters["noise"] != "random_spans":
        return Expectation()
    noise, spans = noise_tables(
        max_length,
        float(parameters["rate"]),
        float(parameters["mean_span"]),
        single_precision=bool(parameters["t5_compat"]),
    )
    return Expectation(
        budget=noise, spans=spans, profile=np.ones(PROFILE_BINS), fresh=True, independent=False
    )


def _ul2(parameters: Any) -> Expectation:
    """Each denoiser masks its rate: R and X anywhere in the row, S at its end alone."""
    profile = np.zeros(PROFILE_BINS)
    middle = (np.arange(PROFILE_BINS) + 0.5) / PROFILE_BINS
    whole = float(sum(parameters["weights"]))
    for name, weight in zip("rsx", parameters["weights"], strict=True):
        entries = parameters[name]
        for entry in entries if weight else ():
            rate = float(entry) if name == "s" else float(entry[1])
            share = weight / whole / len(entries)
            profile += share * (
                middle > 1.0 - rate if name == "s" else np.full_like(middle, rate)
            )
    return Expectation(profile=profile / profile.mean(), fresh=False)
