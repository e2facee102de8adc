"""Keeps the documents of one part of the corpus, train or held out, told by their text alone.

A document is held out where a 64-bit hash of its cleaned text lies below the share asked for.
So it stays on its side whatever it is called, whatever else there is, and whoever reads it;
equal documents stand on one side, and a larger share holds out all that a smaller one does.
Of a pair the text decides without its target: two targets of one text are not torn apart.

Costs 0.2 us per document and at most 1 ns per byte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from premask.schemas.job import Split
from premask.schemas.unit import Ledger

OTHER_PART = "other_part"
_PURPOSE = 0x73706C69  # tells this hash of a text from that by which repeats are found


def own_part(batch: pa.RecordBatch, split: Split, ledger: Ledger) -> pa.RecordBatch:
    """The documents of the part that is asked for; the others are counted as `OTHER_PART`."""
    is_own_D = held_out(batch.column("text"), split.heldout) == (split.part == "heldout")
    others = int(np.count_nonzero(~is_own_D))
    if not others:
        return batch
    ledger.pass_over(OTHER_PART, others)
    return batch.filter(pa.array(is_own_D))


def held_out(texts: pa.LargeStringArray, share: float) -> npt.NDArray[np.bool_]:
    """Whether each document is held out: bool ``[D]`` for D cleaned texts."""
    limit = int(share * 2.0**64)  # exact: a power of two moves no digit
    data = texts.cast(pa.large_binary()).to_pylist()
    return np.array([xxhash.xxh3_64_intdigest(x, _PURPOSE) < limit for x in data], np.bool_)
