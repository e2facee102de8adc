"""What a kernel is told: the parameters of a policy as numbers and tables, no Numba needed.

Every float was spent by the reference's own tables, which are taken over as they are, so a
kernel can differ from the reference in its loops alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from premask._format import Boundary
from premask.masking._backend import INT32_MAX
from premask.masking._operation import Binding
from premask.masking.budget import compile_budget, threshold
from premask.masking.objectives.denoising import make_denoiser
from premask.masking.race import exponential_table
from premask.masking.select import FALLBACKS, OVERFLOWS
from premask.masking.substitute import COHERENCES, alias_table, ordinary_ids
from premask.masking.weights import weight_tables

RACE = -2  # in place of a Bernoulli threshold
NOTHING = np.empty(0, np.int32)


class Budgets(NamedTuple):
    """`premask.masking.budget.Budget` as numbers; `carry` is empty but for ``stochastic``."""

    table: np.ndarray
    carry: np.ndarray
    at_least: int
    at_most: int
    count_special: bool


class Corruption(NamedTuple):
    """`premask.masking.substitute` as numbers; `mask_id` is -1 where there is none."""

    mask_id: int
    pad_id: int
    mask_until: int
    random_until: int
    lowest: int
    coherence: int
    replacements: np.ndarray
    alias_until: np.ndarray
    alias: np.ndarray


class Choice(NamedTuple):
    """Candidates, weights, units and rules of `premask.masking.mask_units` as numbers.

    A unit opens at a text position that follows no text, that has one of `opening_bits`, where
    `span_bits` begin or end, or that has one of `outside_bits` outside of spans.
    """

    bits: int
    chosen_until: int
    candidate_bits: int
    otherwise: bool
    weighted: bool
    id_weights: np.ndarray
    track_weights: np.ndarray
    exponential: np.ndarray
    opening_bits: int
    span_bits: int
    outside_bits: int
    by_unit: bool
    overflow: int
    fallback: int


class Anchors(NamedTuple):
    """Span lengths of `premask.masking.mask_spans` (31-bit thresholds), and their borders."""

    thresholds: np.ndarray
    border_bits: int
    whole_words: bool


class Spans(NamedTuple):
    """`premask.masking.objectives.span_corruption` as numbers; `end_id` -1: none is added.

    `noise`, `spans` and `roll` are by number of text tokens. Runs beyond `limit` stay visible.
    """

    bits: int
    noise: np.ndarray
    spans: np.ndarray
    roll: np.ndarray
    sentinels: np.ndarray
    limit: int
    final_sentinel: bool
    final_limit: int
    end_id: int
    closes: bool
    pad_id: int


class Noise(NamedTuple):
    """`premask.masking.objectives.denoising` as numbers; `sentences` empty: none moves.

    Ordinary ids are `range_sizes` ids from each of `range_firsts`, `num_ordinary` in all.
    """

    bits: int
    slot_bits: int
    sentences: np.ndarray
    budgets: np.ndarray
    draws_lengths: bool
    thresholds: np.ndarray
    whole_words: bool
    replace_length: int
    insertions: np.ndarray
    rotate: int
    mask_random: int
    num_ordinary: int
    range_firsts: np.ndarray
    range_sizes: np.ndarray
    mask_id: int
    pad_id: int


def noise(parameters: Mapping[str, Any], binding: Binding) -> Noise:
    """The noise of ``denoising``."""
    found = make_denoiser(parameters, binding)
    most = len(found.insertions) + int(found.insertions[-1])
    thresholds = found.spans.thresholds
    return Noise(
        bits=found.bits,
        slot_bits=max(found.bits, most.bit_length()),
        sentences=NOTHING if found.sentences is None else found.sentences,
        budgets=found.spans.budgets,
        draws_lengths=thresholds is not None,
        thresholds=np.array(thresholds or (), np.int32),
        whole_words=found.whole_words,
        replace_length=found.replace_length,
        insertions=found.insertions,
        rotate=found.rotate,
        mask_random=found.mask_random if found.ranges else -1,
        num_ordinary=max(1, sum(high - low for low, high in found.ranges)),
        range_firsts=np.array([low for low, _ in found.ranges], np.int32),
        range_sizes=np.array([high - low for low, high in found.ranges], np.int32),
        mask_id=found.mask_id,
        pad_id=found.pad,
    )


def budgets(parameters: Mapping[str, Any], binding: Binding) -> Budgets:
    """The budget law of `parameters`."""
    found = compile_budget(parameters, binding.max_length)
    return Budgets(
        table=found.table.values,
        carry=NOTHING if found.carry is None else found.carry.values,
        at_least=found.at_least,
        at_most=INT32_MAX if found.at_most is None else found.at_most,
        count_special=bool(parameters["count_special"]),
    )


def corruption(parameters: Mapping[str, Any], binding: Binding) -> Corruption:
    """The corruption C1 of `parameters`."""
    vocabulary = binding.vocabulary
    mask_until = threshold(parameters["mask"])
    coherence = COHERENCES.index(parameters["coherence"])
    replacements = alias_until = alias = NOTHING
    random_until = mask_until
    if parameters["random"] > 0:
        random_until = threshold(parameters["mask"] + parameters["random"])
        replacements = ordinary_ids(vocabulary, special=parameters["random_special"])
        if parameters["random_from"] == "unigram":
            counts = np.asarray(binding.tables["counts"], np.int64)[replacements]
            alias_until, alias = alias_table(counts)
    return Corruption(
        mask_id=-1 if vocabulary.mask_id is None else vocabulary.mask_id,
        pad_id=vocabulary.pad_id or 0,
        mask_until=mask_until,
        random_until=random_until,
        lowest=min(mask_until + 1, INT32_MAX) if coherence == 0 else 0,
        coherence=coherence,
        replacements=replacements,
        alias_until=alias_until,
        alias=alias,
    )


def choice(parameters: Mapping[str, Any], binding: Binding) -> Choice | None:
    """The selection of ``mask_units``; None where kernels do not cover it."""
    unit, laws = parameters["units"], parameters["weights"]
    bernoulli = parameters["selection"] == "bernoulli"
    if unit == "collocation" or parameters["selection"] == "pareto" or (bernoulli and laws):
        return None
    tables = weight_tables(laws, binding)
    if len(_tracks(tables)) > 1:
        return None
    opening, span, outside = _unit_bits(unit, parameters["within"])
    return Choice(
        bits=binding.position_bits,
        chosen_until=threshold(parameters["rate"]) if bernoulli else RACE,
        candidate_bits=_SPANS.get(parameters["candidates"], (0, 0))[1],
        otherwise=parameters["otherwise"] == "all",
        weighted=bool(laws),
        id_weights=_summed([values for track, values in tables if track is None]),
        track_weights=_summed([values for track, values in tables if track is not None]),
        exponential=exponential_table().values if laws else NOTHING,
        opening_bits=opening,
        span_bits=span,
        outside_bits=outside,
        by_unit=parameters["count"] == "unit",
        overflow=OVERFLOWS.index(parameters["overflow"]),
        fallback=FALLBACKS.index(parameters["fallback"]),
    )


# Bits that open a span, and all bits that lie in one.
_SPANS = {
    "entity": (int(Boundary.ENTITY_START), int(Boundary.ENTITY_START | Boundary.IN_ENTITY)),
    "phrase": (int(Boundary.PHRASE_START), int(Boundary.PHRASE_START | Boundary.IN_PHRASE)),
}


def _unit_bits(unit: str, within: str) -> tuple[int, int, int]:
    borders = int(Boundary.DOCUMENT_START)
    if within == "sentence" or unit == "sentence":
        borders |= int(Boundary.SENTENCE_START)
    if unit == "word":
        return borders | int(Boundary.WORD_START), 0, 0
    if unit in _SPANS:
        opens, span = _SPANS[unit]
        return borders | opens, span, int(Boundary.WORD_START)
    return borders, 0, 0


def track_of_weights(parameters: Mapping[str, Any], binding: Binding) -> str | None:
    """The one track that the weights read; None: none but token ids."""
    names = _tracks(weight_tables(parameters["weights"], binding))
    return names[0] if names else None


def _tracks(tables: Sequence[tuple[str | None, np.ndarray]]) -> list[str]:
    return list(dict.fromkeys(track for track, _ in tables if track is not None))


def _summed(tables: Sequence[np.ndarray]) -> np.ndarray:
    """One table for several that are read at the same place, each held at its own end."""
    if not tables:
        return NOTHING
    place = np.arange(max(len(table) for table in tables))
    whole = sum(table[np.minimum(place, len(table) - 1)].astype(np.int64) for table in tables)
    return np.asarray(whole, np.int32)
