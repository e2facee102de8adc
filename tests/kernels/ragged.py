"""Ragged batches for kernels: rows of any length, empty ones and ones without text included."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st
from premask import Rows, make_rows
from premask._format import BOUNDARIES, INPUT_IDS
from premask.masking._operation import Binding

from tests.masking.batches import BINDING, SENTENCE, SEP, SPECIAL, WORD, random_rows

LONGEST = BINDING.max_length
# With sentinels, and with no template that closes rows.
WITH_SENTINELS = dataclasses.replace(
    BINDING,
    vocabulary=dataclasses.replace(
        BINDING.vocabulary, sentinel_ids=tuple(range(199, 150, -1)), suffix_ids=(), eos_id=5
    ),
)
LENGTHS = st.one_of(st.sampled_from([0, 1, 2, LONGEST]), st.integers(0, LONGEST))


@st.composite
def ragged(draw: st.DrawFn, binding: Binding = BINDING) -> Rows:
    """Rows with words, sentences, documents, entities, phrases and tracks."""
    lengths = draw(st.lists(LENGTHS, min_size=1, max_size=9))
    only_specials = draw(st.lists(st.booleans(), min_size=9, max_size=9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rows_of(rng, lengths, only_specials, binding=binding)


def rows_of(
    rng: np.random.Generator,
    lengths: list[int],
    only_specials: list[bool],
    *,
    long_ids: bool = False,
    binding: Binding = BINDING,
) -> Rows:
    """Rows of these lengths; some of specials alone; ids above 65,535 where `long_ids`."""
    longest = binding.max_length
    padded = random_rows(rng, len(lengths), longest, shortest=longest)
    ids, bounds = padded.input_ids, padded.boundaries
    for row, length in enumerate(lengths):
        if only_specials[row]:
            bounds[row], ids[row] = SPECIAL, SEP
        elif length and rng.random() < 0.3:  # a cut row: text up to its end
            bounds[row, length - 1] = WORD | SENTENCE
    if long_ids:
        ids = ids + 70_000 * (rng.random(ids.shape) < 0.2)
    columns = {INPUT_IDS: ids, BOUNDARIES: bounds, **padded.tracks}
    lists = {
        name: [row[:length] for row, length in zip(column, lengths, strict=True)]
        for name, column in columns.items()
    }
    seed = rng.integers(0, 2**64, len(lengths), dtype=np.uint64)
    return make_rows(binding, lists, seed=seed)


def batch_of(num_rows: int, *, seed: int = 0, long_ids: bool = False) -> Rows:
    """`num_rows` rows of random lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, LONGEST + 1, num_rows).tolist()
    return rows_of(rng, lengths, [False] * num_rows, long_ids=long_ids)
