"""The weight laws, one function each: from parameters and tables to log2 weights.

A law returns float64 log2 weights by class, ``-inf`` for a weight of 0. The class is the token
id, or the code in a track. Logarithms are made of IEEE basic operations (`race.log2`), so the
tables, and with them the masks, are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._errors import PolicyError
from premask.masking._operation import Binding, Parameter
from premask.masking.race import log2
from premask.masking.validate import choose

_CODES = 256
# Weight tables of a shard set are log2 weights, int32 (see `premask.stages.weights`).
_TABLE_FRACTION_BITS = 16
_TABLE_EXCLUDED = -(1 << 31)

# Universal parts of speech (de Marneffe et al. 2021); a track need not use all of them.
UNIVERSAL_TAGS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightLaw:
    """One weight law.

    Attributes:
        summary: one sentence for the documentation.
        parameters: by name.
        track: the track whose codes are the classes; None where token ids are.
        log2_weights: (parameters, binding, location) to float64 ``[classes]``.
    """

    summary: str
    parameters: Mapping[str, Parameter]
    log2_weights: Callable[[Mapping[str, Any], Binding, str], np.ndarray]
    track: str | None = None


def token_counts(binding: Binding, location: str) -> np.ndarray:
    """The corpus counts by token id, float64 ``[V]``.

    Raises:
        PolicyError: the binding has none.
    """
    counts = binding.tables.get("counts")
    if counts is None or len(counts) < binding.vocabulary.size:
        raise PolicyError(
            "this weight needs the corpus counts of every token (table 'counts'), which a "
            "built shard set carries; bind the policy with them",
            location=location,
        )
    return np.asarray(counts[: binding.vocabulary.size], np.float64)


def _log2(weights: np.ndarray) -> np.ndarray:
    positive = weights > 0
    return np.where(positive, log2(np.where(positive, weights, 1.0)), -np.inf)


def _inverse_power(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    floor = max(parameters["floor"], 1.0)
    values: np.ndarray = -parameters["alpha"] * log2(
        np.maximum(token_counts(binding, place), floor)
    )
    return values


def _rare(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    counts = token_counts(binding, place)
    return np.where(counts <= parameters["threshold"], 0.0, -np.inf)


def _common(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    counts = token_counts(binding, place)
    return np.where(counts >= parameters["threshold"], 0.0, -np.inf)


def _word2vec(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    counts = token_counts(binding, place)
    # Integers up to 2**53 add up exactly in any order, so this sum is reproducible.
    ratio = parameters["sample"] * max(counts.sum(), 1.0) / np.maximum(counts, 1.0)
    keep = np.minimum(np.sqrt(ratio) + ratio, 1.0)
    return _log2(keep if parameters["use"] == "keep" else 1.0 - keep)


def _named_codes(
    parameters: Mapping[str, Any], binding: Binding, place: str, track: str
) -> np.ndarray:
    names = binding.tracks.get(track)
    if names is None:
        raise PolicyError(
            f"this weight needs the names of the track {track}, which the rows lack; build "
            f"with annotate: {{tracks: [{'pos' if track == 'pos_tags' else 'entities'}]}}",
            location=place,
        )
    weights = np.full(_CODES, parameters["other"], np.float64)
    for name, weight in parameters["weights"].items():
        if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not weight >= 0:
            raise PolicyError(
                f"expected a weight of at least 0, got {weight!r}",
                location=f"{place}.weights.{name}",
            )
        if name in names:
            weights[names.index(name)] = weight
        elif track != "pos_tags" or name not in UNIVERSAL_TAGS:
            known = (set(names) | set(UNIVERSAL_TAGS if track == "pos_tags" else ())) - {""}
            choose(name, known, what="name", location=f"{place}.weights.{name}")
    return _log2(weights)


def _pos(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    return _named_codes(parameters, binding, place, "pos_tags")


def _label(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    return _named_codes(parameters, binding, place, "entity_labels")


def _depth(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    del binding, place
    # Code d is a distance of d - 1 to the root; code 0, no word, counts as the deepest.
    distance = np.arange(_CODES, dtype=np.float64)
    distance[0] = _CODES - 1
    values: np.ndarray = -parameters["strength"] * log2(distance)
    return values


def _salience(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    del binding, place
    ranks = np.arange(_CODES, dtype=np.float64) / (_CODES - 1)
    values: np.ndarray = parameters["strength"] * ranks
    return values


def _table(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    table = binding.tables.get(parameters["table"])
    if table is None or len(table) < binding.vocabulary.size:
        raise PolicyError(
            f"no table {parameters['table']!r} with a weight for each of "
            f"{binding.vocabulary.size} tokens; tables: {', '.join(sorted(binding.tables))}",
            location=f"{place}.table",
        )
    values = np.asarray(table[: binding.vocabulary.size])
    if values.dtype == np.int32:  # a weight table of a shard set, quantised when it was built
        fixed = values / (1 << _TABLE_FRACTION_BITS)
        return np.where(values == _TABLE_EXCLUDED, -np.inf, fixed)
    return _log2(values.astype(np.float64))


def num_classes(law: Mapping[str, Any], binding: Binding) -> int:
    """How many classes an ``adaptive`` law tells apart."""
    return _CODES if law["of"] == "pos_tags" else binding.vocabulary.size


def _adaptive(parameters: Mapping[str, Any], binding: Binding, place: str) -> np.ndarray:
    table = binding.tables.get("adaptive")
    classes = num_classes(parameters, binding)
    if table is None:
        return np.zeros(classes, np.float64)
    if len(table) != classes:
        raise PolicyError(
            f"the table 'adaptive' has {len(table)} weights, but there are {classes} classes",
            location=place,
        )
    return np.asarray(table, np.float64) / 256


def _number(default: float, text: str, *, minimum: float | None = 0) -> Parameter:
    return Parameter(default=default, minimum=minimum, help=text)


_WEIGHTS_HELP = "weights by name; 0 means never"
_OTHER = _number(1.0, "the weight of every other name, and of none")

LAWS: Mapping[str, WeightLaw] = {
    "inverse_power": WeightLaw(
        summary="weight max(count, floor) ** -alpha: rare tokens are preferred",
        parameters={
            "alpha": _number(0.5, "exponent; 0 is uniform", minimum=None),
            "floor": _number(1.0, "counts below this are taken as this"),
        },
        log2_weights=_inverse_power,
    ),
    "rare": WeightLaw(
        summary="only tokens that the corpus has at most `threshold` times",
        parameters={"threshold": _number(1000.0, "the highest count")},
        log2_weights=_rare,
    ),
    "common": WeightLaw(
        summary="only tokens that the corpus has at least `threshold` times",
        parameters={"threshold": _number(1000.0, "the lowest count")},
        log2_weights=_common,
    ),
    "word2vec": WeightLaw(
        summary="word2vec's subsampling: min(1, sqrt(r) + r) with r = sample * total / count",
        parameters={
            "sample": _number(1e-3, "the share of the corpus above which tokens are damped"),
            "use": Parameter(
                default="keep",
                kind=(str,),
                choices=("keep", "discard"),
                help="weigh by the chance to be kept, or (1 - that) to be discarded",
            ),
        },
        log2_weights=_word2vec,
    ),
    "pos": WeightLaw(
        summary="a weight per universal part of speech",
        parameters={
            "weights": Parameter(default={}, kind=(dict,), help=_WEIGHTS_HELP),
            "other": _OTHER,
        },
        log2_weights=_pos,
        track="pos_tags",
    ),
    "label": WeightLaw(
        summary="a weight per entity label",
        parameters={
            "weights": Parameter(default={}, kind=(dict,), help=_WEIGHTS_HELP),
            "other": _OTHER,
        },
        log2_weights=_label,
        track="entity_labels",
    ),
    "depth": WeightLaw(
        summary="(1 + distance to the root) ** -strength in the dependency tree",
        parameters={"strength": _number(1.0, "exponent; 0 is uniform")},
        log2_weights=_depth,
        track="depth",
    ),
    "salience": WeightLaw(
        summary="2 ** (strength * rank) by the rank (0 to 1) of the score in its sentence",
        parameters={"strength": _number(4.0, "octaves from lowest to highest; 0 is uniform")},
        log2_weights=_salience,
        track="salience",
    ),
    "adaptive": WeightLaw(
        summary="sigmoid(2 z), z the standardised mean loss of the class; uniform at first",
        parameters={
            "of": Parameter(
                default="token",
                kind=(str,),
                choices=("token", "pos_tags"),
                help="the classes: token ids or parts of speech",
            ),
            "decay": Parameter(
                default=0.999, minimum=0, maximum=1, help="what a batch leaves of the mean"
            ),
        },
        log2_weights=_adaptive,
    ),
    "table": WeightLaw(
        summary="a weight per token id, from a named table",
        parameters={"table": Parameter(default="weights", kind=(str,), help="its name")},
        log2_weights=_table,
    ),
}
