"""The selection of a policy over a partition: candidates, weights, keys, budget, S1 or S2.

The random word of a unit is that of its ordinal in the row, the random word of a token that of
its position; in both cases nothing beyond the row has a say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._errors import PolicyError
from premask.masking._backend import (
    INT32_MAX,
    Array,
    Table,
    clip,
    int32,
    lookup,
    namespace,
    positions,
    total,
)
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows
from premask.masking.budget import compile_budget, threshold
from premask.masking.inclusion import bernoulli_thresholds, pareto_probability
from premask.masking.race import pareto_key, race_key
from premask.masking.select import bernoulli, race_tokens, race_units, uniform_key
from premask.masking.units import Units, find_units, span_positions
from premask.masking.weight_laws import token_counts
from premask.masking.weights import Weigh, allowed, compile_weights, unit_weights, weight_tables

# (rows, text BL, start BL, key, random words BL) -> selected BL
Select = Callable[[PaddedRows, Array, Array, Array, Array], Array]
# (random words, log2 weights or None, candidates, costs, budget B1) -> keys of a race
Key = Callable[[Array, Array | None, Array, Array, Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """Which tokens may be selected, and their weights (None where all are equal)."""

    parameters: Mapping[str, Any]
    weigh: Weigh | None

    def __call__(self, rows: PaddedRows, text_BL: Array) -> tuple[Array, Array | None]:
        candidate_BL, weight_BL = text_BL, None
        if self.parameters["candidates"] != "all":
            candidate_BL = text_BL & span_positions(rows, self.parameters["candidates"])
        if self.weigh is not None:
            weight_BL = self.weigh(rows, text_BL)
            candidate_BL = candidate_BL & allowed(weight_BL)
        if self.parameters["otherwise"] == "all" and candidate_BL is not text_BL:
            none_B1 = total(candidate_BL) == 0
            candidate_BL = candidate_BL | (text_BL & none_B1)
            if weight_BL is not None:
                weight_BL = namespace(weight_BL).where(none_B1, 0, weight_BL)
        return candidate_BL, weight_BL


def compile_selection(parameters: Mapping[str, Any], binding: Binding) -> Select:
    """Compiles the selection of `premask.masking.mask_units`.

    Raises:
        PolicyError: a weight needs tables that the binding lacks, or the parameters do not go
            together.
    """
    if parameters["selection"] == "bernoulli":
        return _compile_bernoulli(parameters, binding)
    candidates = _Candidates(
        parameters=parameters, weigh=compile_weights(parameters["weights"], binding)
    )
    if parameters["units"] == "token":
        return _compile_token_race(parameters, binding, candidates)
    return _compile_unit_race(parameters, binding, candidates)


def _compile_count(
    parameters: Mapping[str, Any], binding: Binding
) -> Callable[[PaddedRows, Array, Array, Array], Array]:
    """(rows, text BL, candidates, key) -> budget B1."""
    budget = compile_budget(parameters, binding.max_length)

    def count(rows: PaddedRows, text_BL: Array, candidate: Array, key: Array) -> Array:
        if parameters["count"] == "unit":
            return budget(total(candidate), key)
        if parameters["count_special"]:
            return budget(rows.lengths[:, None], key)
        return budget(total(text_BL), key)

    return count


def _compile_key(parameters: Mapping[str, Any], bits: int) -> Key:
    if parameters["selection"] == "pareto":

        def pareto(
            word: Array, weight: Array | None, candidate: Array, cost: Array, budget: Array
        ) -> Array:
            weight = word * 0 if weight is None else weight
            chance = pareto_probability(weight, candidate, cost, budget)
            certain = chance == INT32_MAX
            return namespace(word).where(certain, 0, pareto_key(word, chance, bits))

        return pareto

    def race(
        word: Array, weight: Array | None, candidate: Array, cost: Array, budget: Array
    ) -> Array:
        del candidate, cost, budget
        return uniform_key(word, bits) if weight is None else race_key(word, weight, bits)

    return race


def _compile_token_race(
    parameters: Mapping[str, Any], binding: Binding, candidates: _Candidates
) -> Select:
    bits = binding.position_bits
    budget_of = _compile_count(parameters, binding)
    key_of = _compile_key(parameters, bits)

    def select(
        rows: PaddedRows, text_BL: Array, start_BL: Array, key: Array, word_BL: Array
    ) -> Array:
        del start_BL
        candidate_BL, weight_BL = candidates(rows, text_BL)
        budget_B1 = budget_of(rows, text_BL, candidate_BL, key)
        key_BL = key_of(word_BL, weight_BL, candidate_BL, int32(candidate_BL), budget_B1)
        return race_tokens(key_BL, candidate_BL, budget_B1, bits)

    return select


def _compile_unit_race(
    parameters: Mapping[str, Any], binding: Binding, candidates: _Candidates
) -> Select:
    bits = binding.position_bits
    budget_of = _compile_count(parameters, binding)
    key_of = _compile_key(parameters, bits)
    by_unit = parameters["count"] == "unit"
    rules = {name: parameters[name] for name in ("overflow", "fallback")}

    def select(
        rows: PaddedRows, text_BL: Array, start_BL: Array, key: Array, word_BL: Array
    ) -> Array:
        candidate_BL, weight_BL = candidates(rows, text_BL)
        units = find_units(text_BL, start_BL, binding.max_length)
        weight_BU = None if weight_BL is None else unit_weights(weight_BL, units)
        candidate_BU = _unit_candidates(units, candidate_BL)
        cost_BU = units.length_BU
        if by_unit:
            cost_BU = int32(units.present_BU)
        budget_B1 = budget_of(rows, text_BL, candidate_BU, key)
        word_BU = word_BL[:, : units.first_BU.shape[1]]
        key_BU = key_of(word_BU, weight_BU, candidate_BU, cost_BU, budget_B1)
        taken_BU = race_units(key_BU, candidate_BU, cost_BU, budget_B1, bits, **rules)
        taken_BL = units.spread(taken_BU)
        if by_unit or "cut" not in rules.values():
            return text_BL & (taken_BL > 0)
        offset_BL = positions(word_BL, word_BL.shape[1]) - units.spread(units.first_BU)
        return text_BL & (offset_BL < taken_BL)

    return select


def _unit_candidates(units: Units, candidate_BL: Array) -> Array:
    """bool ``[B, U]``: the unit has a token that is a candidate."""
    if candidate_BL is units.member_BL:
        return units.present_BU
    return units.holds(candidate_BL)


def _compile_bernoulli(parameters: Mapping[str, Any], binding: Binding) -> Select:
    candidates = _Candidates(parameters=parameters, weigh=None)
    if parameters["weights"]:
        return _compile_weighted_bernoulli(parameters, binding, candidates)
    level, by_token = threshold(parameters["rate"]), parameters["units"] == "token"

    def select(
        rows: PaddedRows, text_BL: Array, start_BL: Array, key: Array, word_BL: Array
    ) -> Array:
        del key
        candidate_BL, _ = candidates(rows, text_BL)
        if by_token:
            return candidate_BL & bernoulli(word_BL, level)
        units = find_units(text_BL, start_BL, binding.max_length)
        chosen_BU = bernoulli(word_BL[:, : units.first_BU.shape[1]], level)
        return text_BL & units.spread(chosen_BU & _unit_candidates(units, candidate_BL))

    return select


def _compile_weighted_bernoulli(
    parameters: Mapping[str, Any], binding: Binding, candidates: _Candidates
) -> Select:
    tables = weight_tables(parameters["weights"], binding)
    if parameters["units"] != "token" or any(track is not None for track, _ in tables):
        raise PolicyError(
            "selection: bernoulli takes weights by token id and units: token only, as other "
            "averages are unknown beforehand; use selection: pareto",
            location="policy.selection",
        )
    counts = token_counts(binding, "policy.weights").astype(np.int64)
    weights = np.sum([values for _, values in tables], axis=0)
    levels = Table(bernoulli_thresholds(weights, counts, parameters["rate"]))

    def select(
        rows: PaddedRows, text_BL: Array, start_BL: Array, key: Array, word_BL: Array
    ) -> Array:
        del start_BL, key
        candidate_BL, _ = candidates(rows, text_BL)
        ids = clip(namespace(text_BL).where(text_BL, rows.input_ids, 0), 0, len(counts) - 1)
        return candidate_BL & bernoulli(word_BL, lookup(levels(ids), ids))

    return select
