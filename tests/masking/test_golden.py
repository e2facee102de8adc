"""The bits of every strategy on one batch, pinned: a change here changes users' masks."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from premask.masking._rows import PaddedRows
from premask.masking.policy import policy

from tests.masking.batches import BINDING

GOLDEN = {
    "adaptive": "5fa8b639292f03b3",
    "bernoulli": "c621176d2ba02914",
    "bert": "a5b26ee2d11e1ad5",
    "bert_whole_word": "d2079e043f0408c7",
    "contextual": "c782987f6fdcc30b",
    "entity": "6d41971824a43854",
    "ernie": "6722b14c494fc33f",
    "frequency": "1f6b3599150a640f",
    "frequency_common": "dc212aa37bdaed87",
    "frequency_rare": "b8313a4b9dd1d543",
    "frequency_word2vec": "9d1d1f565c61e3c4",
    "macbert": "08aabe34a0a1b59e",
    "mixture": "cde9e16f7b2614c1",
    "mlm": "eca1acaa41a8deba",
    "ngram": "8c9871990adf8f7a",
    "phrase": "cfffdbafab8da64b",
    "pmi": "db92adef8025b807",
    "random": "eca1acaa41a8deba",
    "rate_schedule": "34050742787378ff",
    "roberta": "50e44608401eb46c",
    "salient": "c4af8f1d679fb5d4",
    "schedule": "e19bc2778c1785af",
    "semantic": "f22bf639369ae3d0",
    "span": "f49981be74bffd71",
    "syntax": "b7e70d3362008e5a",
    "syntax_dependency": "576ae63dba805ef5",
    "syntax_phrase": "4d529c63f8bec488",
    "whole_word": "e19bc2778c1785af",
}


def fixed_rows() -> PaddedRows:
    """Eight rows made of remainders, so that no generator has a part in them."""
    row, place = np.arange(8)[:, None], np.arange(80)[None, :]
    mixed = row * 31 + place * 17 + place * place * 3
    bits = np.where(mixed % 3 > 0, 2, 0) | np.where(mixed % 11 == 0, 2 | 4, 0)
    bits = bits | np.where(mixed % 13 < 2, 32, 0) | np.where(mixed % 13 == 0, 16, 0)
    bits = bits | np.where(mixed % 7 < 3, 128, 0) | np.where(mixed % 7 == 0, 64, 0)
    bits = np.where((place == 0) | (mixed % 29 == 0), 1, bits)
    keys = np.stack([row[:, 0] * 0 + 7, row[:, 0] * 1001], axis=1)
    return PaddedRows(
        input_ids=(10 + mixed % 190).astype(np.int32),
        lengths=np.array([80, 80, 61, 40, 22, 9, 1, 0], np.int32),
        boundaries=bits.astype(np.int32),
        keys=keys.astype(np.int32),
        tracks={
            "pos_tags": (mixed % 6).astype(np.int32),
            "entity_labels": (mixed % 4).astype(np.int32),
            "depth": (mixed % 9).astype(np.int32),
            "salience": (mixed % 256).astype(np.int32),
        },
    )


def digest(name: str) -> str:
    outputs = policy(name).bind(BINDING)(fixed_rows(), 1)
    joined = b"".join(outputs[key].astype("<i4").tobytes() for key in sorted(outputs))
    return hashlib.sha256(joined).hexdigest()[:16]


@pytest.mark.parametrize(("name", "expected"), GOLDEN.items())
def test_the_masks_of_a_preset_never_change(name: str, expected: str) -> None:
    assert digest(name) == expected
