"""Corruption C1 inside a kernel: `premask.masking.substitute`, one row at a time.

The loop that writes a row has no branch, so it becomes vector instructions; the few positions
that get a random token are visited in a second loop.
"""

from __future__ import annotations

import numpy as np
from premask._format import IGNORE_LABEL
from premask.kernels._compile import Integer, compiled
from premask.kernels._laws import Corruption
from premask.kernels._race import marked_places
from premask.kernels._random import word_of
from premask.masking.threefry import REPLACE

_UNIT = 1
_IGNORE = np.int32(IGNORE_LABEL)


@compiled
def share_decisions(
    law: Corruption,
    count: Integer,
    chosen: np.ndarray,
    opens: np.ndarray,
    words: np.ndarray,
    decisions: np.ndarray,
) -> None:
    """The deciding number of each position: that of its unit or of its run."""
    start, before = 0, np.uint8(0)
    for place in range(count):
        begins = opens[place] if law.coherence == _UNIT else np.uint8(chosen[place] > before)
        if begins:
            start = place
        decisions[place] = words[start]
        before = chosen[place]


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
    chosen: np.ndarray,
    words: np.ndarray,
    decisions: np.ndarray,
    marks: np.ndarray,
    eights: np.ndarray,
    places: np.ndarray,
    ids: np.ndarray,
    attention: np.ndarray,
    labels: np.ndarray,
) -> None:
    """One row of `input_ids`, `attention_mask` and `labels`, padding and all."""
    count = len(tokens)
    mask_id, mask_until = np.int32(law.mask_id), np.int32(law.mask_until)
    random_until = np.int32(law.random_until)
    if law.mask_id < 0:
        mask_until = np.int32(-1)
    for place in range(count):
        token, decision = np.int32(tokens[place]), decisions[place]
        taken = chosen[place] != 0
        labels[place] = token if taken else _IGNORE
        ids[place] = mask_id if taken & (decision <= mask_until) else token
    for place in range(count):
        decision = decisions[place]
        redrawn = (decision > mask_until) & (decision <= random_until)
        marks[place] = chosen[place] & np.uint8(redrawn)
        attention[place] = 1
    if random_until > mask_until and len(law.replacements) > 0:
        for index in range(marked_places(marks, eights, count, places)):
            place = places[index]
            ids[place] = _replacement(law, high, low, place, words[place])
    for place in range(count, len(ids)):
        ids[place], attention[place], labels[place] = law.pad_id, 0, _IGNORE
