"""Corruption C1 inside a kernel: `premask.masking.substitute`, one row at a time.

The loops that write a row have no branch, so they become vector instructions, and each writes
one array: writing several at a time takes half as much again, as they seldom begin at the start
of a cache line. The few positions that get a random token are visited in another loop.
"""

from __future__ import annotations

import numpy as np
from premask._format import IGNORE_LABEL
from premask.kernels._compile import Integer, compiled, widest_vectors
from premask.kernels._fill import pad_row
from premask.kernels._flags import places_of
from premask.kernels._laws import Corruption
from premask.kernels._random import word_of
from premask.masking.threefry import REPLACE

_UNIT = 1
_IGNORE = np.int32(IGNORE_LABEL)


@compiled
def share_decisions(
    law: Corruption,
    count: Integer,
    keys: np.ndarray,
    level: Integer,
    opens: np.ndarray,
    words: np.ndarray,
    decisions: np.ndarray,
) -> None:
    """The deciding number of each position: that of its unit or of its run."""
    start, before = 0, False
    for place in range(count):
        taken = keys[place] <= level
        begins = opens[place] != 0 if law.coherence == _UNIT else taken and not before
        if begins:
            start = place
        decisions[place] = words[start]
        before = taken


@compiled
def _replacement(
    law: Corruption, high: Integer, low: Integer, place: Integer, word: Integer
) -> Integer:
    size = len(law.replacements)
    if len(law.alias) == 0:
        above: Integer = np.int64(word) - law.lowest
        return law.replacements[(above if above > 0 else 0) % size]
    number = word_of(high, low, place, REPLACE)[0]
    index = number % size
    if number // size >= law.alias_until[index]:
        index = np.int64(law.alias[index])
    return law.replacements[index]


@compiled
def write_row(
    law: Corruption,
    high: Integer,
    low: Integer,
    tokens: np.ndarray,
    keys: np.ndarray,
    level: Integer,
    words: np.ndarray,
    decisions: np.ndarray,
    marks: np.ndarray,
    places: np.ndarray,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    """One row of `input_ids`, `attention_mask` and `labels`, padding and all."""
    widest_vectors()
    count = len(tokens)
    mask_id, mask_until = np.int32(law.mask_id), np.int32(law.mask_until)
    random_until = np.int32(law.random_until)
    if law.mask_id < 0:
        mask_until = np.int32(-1)
    for place in range(count):
        decision, taken = decisions[place], keys[place] <= level
        redrawn = (decision > mask_until) & (decision <= random_until)
        marks[place] = np.uint8(taken & redrawn)
    for place in range(count):
        token = np.int32(tokens[place])  # read in any case: few machines read under a mask
        labels[place] = token if keys[place] <= level else _IGNORE
    for place in range(count):
        token = np.int32(tokens[place])
        hidden = (keys[place] <= level) & (decisions[place] <= mask_until)
        ids[place] = mask_id if hidden else token
    if random_until > mask_until and len(law.replacements) > 0:
        for index in range(places_of(marks, count, places)):
            place = places[index]
            ids[place] = _replacement(law, high, low, place, words[place])
    pad_row(count, count, law.pad_id, ids, attention, labels)
