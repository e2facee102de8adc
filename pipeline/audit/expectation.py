"""What a policy promises, as numbers that the audit can hold against its counts.

Derived from the policy's parameters alone, by the same integer tables that masks are made
from. Objectives without a promise in a field leave it empty, and nothing is tested there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from premask.masking.budget import budget_table
from premask.masking.objectives.lengths import noise_tables
from premask.masking.policy import Policy, policy
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
        spares_specials: special tokens are not predicted.
        whole: units that are masked whole or not at all.
        sentence_borders: a sentence's border ends a unit.
        profile: masked share by relative position, ``[64]``, relative to the mean, or None.
        profile_margin: bins at either end that have a law of their own.
        profile_tolerance: how far a part of the row may be off its share, relative.
        blind: how frequent a token is does not matter.
        independent: what one epoch masks has no bearing on the next.
        fresh: no row gets the same mask twice.
        distinct: no two rows share a mask, nor a seed.
        spans: int ``[max_length + 1]``, masked spans in a row, by its text tokens.
        word_runs: masked runs by words they touch, as the procedure itself gives them on some
            of the rows; only their proportions count.
        span_law: span lengths are those of a random composition of the budget into `spans`.
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
    spares_specials: bool = False
    whole: tuple[str, ...] = ()
    sentence_borders: bool = False
    profile: np.ndarray | None = None
    profile_margin: int = 2
    profile_tolerance: float = 0.1
    blind: bool = False
    independent: bool = False
    fresh: bool = False
    distinct: bool = False
    spans: np.ndarray | None = None
    span_law: bool = False
    word_runs: np.ndarray | None = None


def expectation_of(value: Policy, *, max_length: int) -> Expectation:
    """What a policy promises for rows of at most `max_length` tokens."""
    parameters = value.parameters
    if "policies" in parameters:
        return _common(
            [
                expectation_of(policy(part), max_length=max_length)
                for part in parameters["policies"]
            ]
        )
    if value.operation in _OBJECTIVES:
        return _OBJECTIVES[value.operation](parameters, max_length)
    if "mask" not in parameters or "random" not in parameters:
        return Expectation()
    expected = _substitution(parameters)
    if value.operation == "mask_units":
        return _mask_units(expected, parameters, max_length)
    if value.operation in _SPANS:
        return _mask_spans(expected, parameters, max_length)
    return expected


def _common(parts: Sequence[Expectation]) -> Expectation:
    """What all parts of a mixture or a schedule promise alike."""
    first, *others = parts
    alike = {
        item.name: getattr(first, item.name)
        for item in fields(Expectation)
        if item.name not in ("rate", "budget", "spans")
        and all(_equal(getattr(first, item.name), getattr(one, item.name)) for one in others)
    }
    return Expectation(**alike)


def _equal(first: Any, second: Any) -> bool:
    return bool(np.array_equal(first, second))


def _substitution(parameters: Any) -> Expectation:
    """What every policy promises that predicts tokens in their place."""
    mask, random = float(parameters["mask"]), float(parameters["random"])
    special = bool(parameters["random_special"])
    return Expectation(
        split=(mask, random, max(0.0, 1.0 - mask - random)),
        uniform_replacements=parameters["random_from"] == "uniform" and not special,
        ordinary_replacements=not special,
        in_place=True,
        spares_specials=True,
        sentence_borders=parameters.get("within") == "sentence",
    )


def _mask_units(base: Expectation, parameters: Any, max_length: int) -> Expectation:
    unit, rate = str(parameters["units"]), float(parameters["rate"])
    everywhere = parameters["candidates"] == "all" and not parameters["weights"]
    varied = everywhere and 0.0 < rate < 1.0
    tokens = unit == "token"
    cuts = not tokens and "cut" in (parameters["overflow"], parameters["fallback"])
    expected = replace(
        base,
        whole=() if tokens or cuts else (unit,),
        fresh=varied,
        distinct=varied and unit in ("token", "word"),
        independent=everywhere and tokens,
        blind=everywhere and tokens,
        profile=np.ones(PROFILE_BINS) if everywhere and tokens else None,
    )
    if parameters["selection"] == "bernoulli":
        return replace(expected, rate=rate if everywhere else None)
    if parameters["count"] == "unit" or not everywhere:
        return expected
    return _with_budget(expected, parameters, max_length, exact=tokens)


def _mask_spans(base: Expectation, parameters: Any, max_length: int) -> Expectation:
    expected = replace(base, fresh=0.0 < float(parameters["rate"]) < 1.0)
    cut = parameters.get("overflow") == "cut"
    whole = () if cut or parameters.get("fallback") == "cut" else ("word",)
    return _with_budget(replace(expected, whole=whole), parameters, max_length, exact=cut)


def _with_budget(
    base: Expectation, parameters: Any, max_length: int, *, exact: bool
) -> Expectation:
    """`base` with the table of budgets that the parameters describe."""
    rounding, rate = str(parameters["rounding"]), float(parameters["rate"])
    stochastic = rounding == "stochastic"
    table = budget_table(
        max_length,
        rate,
        "floor" if stochastic else rounding,
        parameters["at_least"],
        parameters["at_most"],
    )
    free = not parameters["at_least"] and parameters["at_most"] is None
    return replace(
        base,
        budget=table,
        budget_slack=int(stochastic),
        budget_tolerance=0.0 if exact else UNIT_TOLERANCE,
        count_special=bool(parameters["count_special"]),
        rate=rate if stochastic and exact and free else None,
    )


def _replaced_token(parameters: Any, max_length: int) -> Expectation:
    mask = float(parameters["mask_share"])
    return Expectation(
        split=(mask, 0.0, 1.0 - mask),
        in_place=True,
        spares_specials=True,
        budget=budget_table(max_length, float(parameters["rate"]), "nearest", 1, None),
        profile=np.ones(PROFILE_BINS),
        blind=True,
        independent=True,
        fresh=True,
        distinct=True,
    )


def _span_corruption(parameters: Any, max_length: int) -> Expectation:
    """T5's masks favour the row's end; only rolled ones treat every position alike."""
    if parameters["noise"] != "random_spans":
        return Expectation()
    noise, spans = noise_tables(
        max_length,
        float(parameters["rate"]),
        float(parameters["mean_span"]),
        single_precision=bool(parameters["t5_compat"]),
    )
    rolled = parameters["random_roll"] == "always" and not parameters["t5_compat"]
    return Expectation(
        budget=noise,
        spans=spans,
        # Rows of one span are rolled, and a roll may cut the span in two.
        span_law=not rolled and int(spans[-1]) > 1,
        profile=np.ones(PROFILE_BINS),
        profile_margin=2 if rolled else PROFILE_BINS // 4,
        profile_tolerance=0.1 if rolled else 0.3,
    )


def _ul2(parameters: Any, _max_length: int) -> Expectation:
    """Each denoiser masks its rate: R and X anywhere in the row, S at its end alone."""
    profile = np.zeros(PROFILE_BINS)
    middle = (np.arange(PROFILE_BINS) + 0.5) / PROFILE_BINS
    whole = float(sum(parameters["mode_weights"]))
    for name, weight in zip("rsx", parameters["mode_weights"], strict=True):
        entries = parameters[name] if weight else ()
        for entry in entries:
            rate = float(entry if name == "s" else entry[1])
            here = middle > 1.0 - rate if name == "s" else np.full(PROFILE_BINS, rate)
            profile += weight / whole / len(entries) * here
    return Expectation(
        profile=profile / profile.mean(),
        profile_margin=PROFILE_BINS // 8,
        profile_tolerance=0.3,
    )


def _in_place(_parameters: Any, _max_length: int) -> Expectation:
    return Expectation(in_place=True)


_OBJECTIVES = {
    "clm": _in_place,
    "span_corruption": _span_corruption,
    "ul2": _ul2,
    "replaced_token": _replaced_token,
}
_SPANS = ("mask_spans", "mask_ngrams")
