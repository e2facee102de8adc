"""Corruption C1: selected tokens become ``[MASK]``, a random token, or stay as they are.

One word decides per token, per unit, or per run of selected tokens (`coherence`); a random
replacement is drawn per token. Replacements come from the vocabulary's ordinary ids, uniformly
or as often as the corpus has them, and are never special ids unless a policy asks for it.

Cost: a comparison, a few wheres, one gather for the replacement; coherence adds a running
maximum and a gather, replacements by frequency a second block of random words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from premask._errors import PolicyError
from premask._format import IGNORE_LABEL
from premask.masking._backend import (
    INT32_MAX,
    Array,
    Table,
    clip,
    cummax,
    gather,
    int32,
    lookup,
    namespace,
    positions,
)
from premask.masking._layout import opens_run, valid_positions
from premask.masking._operation import Binding, Parameter
from premask.masking._rows import PaddedRows, Vocabulary
from premask.masking.budget import threshold
from premask.masking.threefry import REPLACE, shift_right_logical, words

COHERENCES = ("token", "unit", "run")

PARAMETERS: Mapping[str, Parameter] = {
    "mask": Parameter(
        default=0.8,
        minimum=0,
        maximum=1,
        help="share of the selected tokens that become [MASK]",
    ),
    "random": Parameter(
        default=0.1,
        minimum=0,
        maximum=1,
        help="share that become a random token; the rest (1 - mask - random) stays",
    ),
    "coherence": Parameter(
        default="token",
        kind=(str,),
        choices=COHERENCES,
        help="what shares one decision: each token, each unit, or each run of selected tokens",
    ),
    "random_from": Parameter(
        default="uniform",
        kind=(str,),
        choices=("uniform", "unigram"),
        help="random tokens: all equally likely, or as often as the corpus has them",
    ),
    "random_special": Parameter(
        default=False,
        kind=(bool,),
        help="let random tokens be special, unknown or unused ids as well",
    ),
}

# (rows, selected BL, unit starts BL, key, decision words BL) -> outputs
Corrupt = Callable[[PaddedRows, Array, Array, Array, Array], dict[str, Array]]


def ordinary_ids(vocabulary: Vocabulary, *, special: bool) -> np.ndarray:
    """The ids that a random replacement may draw, ascending, int32.

    Raises:
        PolicyError: the vocabulary has no ordinary id.
    """
    if special:
        return np.arange(vocabulary.size, dtype=np.int32)
    ranges = [np.arange(*pair, dtype=np.int32) for pair in vocabulary.replacement_ranges]
    ids: np.ndarray = np.unique(np.concatenate([np.empty(0, np.int32), *ranges]))
    ids = ids[~np.isin(ids, np.array(vocabulary.special_ids, np.int32))]
    if not ids.size:
        raise PolicyError(
            "random replacements need ordinary ids, but the vocabulary's replacement_ranges "
            "are empty; set random to 0 or name the ranges",
            location="policy.random",
        )
    return ids


def alias_table(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias method in integers: draws an index as often as `counts` says.

    Index `i` of a uniform ``x`` in ``0 .. 2**31 - 1`` is ``x % N`` if ``x // N`` lies below
    ``threshold[i]``, else ``alias[i]``; exact to ``N / 2**31`` per index.

    Returns:
        threshold, alias: int32 ``[N]``.
    """
    size, total = len(counts), int(counts.sum())
    share = [int(count) * size for count in counts]
    alias = list(range(size))
    small = [index for index in range(size) if share[index] < total]
    large = [index for index in range(size) if share[index] > total]
    while small and large:
        low, high = small.pop(), large[-1]
        alias[low] = high
        share[high] -= total - share[low]
        if share[high] <= total:
            large.pop()
            if share[high] < total:
                small.append(high)
    coins = 2**31 // size + 1
    thresholds = [min(value * coins // total, INT32_MAX) for value in share]
    return np.array(thresholds, np.int32), np.array(alias, np.int32)


def compile_corruption(parameters: Mapping[str, Any], binding: Binding) -> Corrupt:
    """Compiles C1 from `PARAMETERS`.

    Raises:
        PolicyError: the vocabulary has no mask id, no ordinary ids, or no counts, and the
            parameters need them.
    """
    mask_id, pad_id = binding.vocabulary.mask_id, binding.vocabulary.pad_id or 0
    if parameters["mask"] > 0 and mask_id is None:
        raise PolicyError(
            "this policy masks, but the vocabulary has no mask token; "
            "set mask to 0 or use a tokenizer with one",
            location="policy.mask",
        )
    mask_until = threshold(parameters["mask"])
    random_until = threshold(parameters["mask"] + parameters["random"])
    draw = _compile_draw(parameters, binding) if parameters["random"] > 0 else None
    coherence = parameters["coherence"]
    lowest = min(mask_until + 1, INT32_MAX) if coherence == "token" else 0

    def corrupt(
        rows: PaddedRows, selected: Array, start: Array, key: Array, word: Array
    ) -> dict[str, Array]:
        xp = namespace(selected)
        decision = _decisions(word, selected, start, coherence)
        valid = valid_positions(rows)
        ids = xp.where(valid, rows.input_ids, pad_id)
        masked = ids
        if draw is not None:
            fresh = draw(key, word, lowest)
            masked = xp.where(selected & (decision <= random_until), fresh, masked)
        if mask_id is not None:
            masked = xp.where(selected & (decision <= mask_until), mask_id, masked)
        return {
            "input_ids": masked,
            "attention_mask": int32(valid),
            "labels": xp.where(selected, ids, IGNORE_LABEL),
        }

    return corrupt


def _decisions(word: Array, selected: Array, start: Array, coherence: str) -> Array:
    """31-bit numbers, one per position, equal within whatever decides together."""
    decision = shift_right_logical(word, 1)
    if coherence == "token":
        return decision
    xp = namespace(word)
    opens = opens_run(selected) if coherence == "run" else start
    place = positions(word, word.shape[1])
    return gather(decision, cummax(xp.where(opens, place, 0)))


def _compile_draw(
    parameters: Mapping[str, Any], binding: Binding
) -> Callable[[Array, Array, int], Array]:
    """(key, word BL, lowest 31-bit number that leads here) -> replacement ids BL."""
    ids = ordinary_ids(binding.vocabulary, special=parameters["random_special"])
    id_table = None if ids[-1] - ids[0] + 1 == len(ids) else Table(ids)
    lowest_id, size = int(ids[0]), len(ids)

    def name(index: Array) -> Array:
        return index + lowest_id if id_table is None else lookup(id_table(index), index)

    def uniform(key: Array, word: Array, low: int) -> Array:
        del key
        # What is left of the deciding number is uniform; below `low` the draw is not used.
        # The bias of the modulus is at most len(ids) / (2**31 * random).
        number = clip(shift_right_logical(word, 1) - low, 0, None)
        return name(number - number // size * size)

    if parameters["random_from"] == "uniform":
        return uniform
    counts = _counts_of(binding, ids)
    threshold_table, alias = (Table(table) for table in alias_table(counts))

    def unigram(key: Array, word: Array, low: int) -> Array:
        del low
        number = shift_right_logical(words(key, word.shape[1], REPLACE)[0], 1)
        coin = number // size
        index = number - coin * size
        keeps = coin < lookup(threshold_table(index), index)
        return name(namespace(word).where(keeps, index, lookup(alias(index), index)))

    return unigram


def _counts_of(binding: Binding, ids: np.ndarray) -> np.ndarray:
    counts = binding.tables.get("counts")
    if counts is None or len(counts) < binding.vocabulary.size:
        raise PolicyError(
            "random_from: unigram needs the corpus counts of every token (table 'counts'); "
            "use random_from: uniform or a shard set, which carries them",
            location="policy.random_from",
        )
    chosen: np.ndarray = np.asarray(counts, np.int64)[ids]
    if not chosen.any():
        raise PolicyError(
            "random_from: unigram needs an ordinary token with a count above 0",
            location="policy.random_from",
        )
    return chosen
