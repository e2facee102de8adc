"""Repeats over units, from hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from premask.stages import duplicates
from premask.stages.duplicates import (
    NO_NUMBERS,
    Hashes,
    Numbers,
    distinct,
    hashes_bytes,
    numbers_bytes,
    read_hashes,
    read_numbers,
    repeats,
)

# Units of documents; equal numbers are equal documents.
units_of_documents = st.lists(st.lists(st.integers(0, 12), max_size=12), min_size=1, max_size=6)


def hashed(documents: Sequence[int]) -> Hashes:
    return distinct(b"".join(hashlib.md5(bytes([x])).digest() for x in documents))


def by_hand(units: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    seen: set[int] = set()
    found: dict[int, list[int]] = {}
    for unit, documents in enumerate(units):
        for number, document in enumerate(documents):
            if document in seen:
                found.setdefault(unit, []).append(number)
            seen.add(document)
    return found


@given(units_of_documents, st.sampled_from([1, 3, 1000]))
def test_all_but_the_first_of_equal_documents_are_repeats(
    units: list[list[int]], range_documents: int
) -> None:
    parts = [hashed(documents) for documents in units]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "RANGE_DOCUMENTS", range_documents)
        total = sum(len(part.high_H) for part in parts)
        found = dict(repeats(len(parts), total, lambda unit: parts[unit]))
    assert {unit: numbers.tolist() for unit, numbers in found.items()} == by_hand(units)


def test_hashes_at_the_ends_of_the_range_belong_to_it() -> None:
    ends = [b"\x00" * 16, b"\xff" * 16, b"\x7f" + b"\xff" * 15, b"\x80" + b"\x00" * 15]
    parts = [distinct(b"".join(ends)), distinct(b"".join(reversed(ends)))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "RANGE_DOCUMENTS", 2)
        ((unit, numbers),) = repeats(2, 8, lambda unit: parts[unit])
    assert (unit, numbers.tolist()) == (1, [0, 1, 2, 3])


def test_both_halves_of_a_hash_count() -> None:
    left, right = bytes(8) + b"12345678", bytes(8) + b"12345679"
    assert len(distinct(left + right).high_H) == 2
    assert distinct(left + right + left).repeats_R.tolist() == [2]


@given(st.lists(st.integers(0, 9), max_size=20))
def test_hashes_come_back_from_bytes(documents: list[int]) -> None:
    hashes = hashed(documents)
    found = read_hashes(pa.py_buffer(hashes_bytes(hashes)))
    for name in ("high_H", "low_H", "numbers_H", "repeats_R"):
        assert np.array_equal(getattr(found, name), getattr(hashes, name))


@given(st.sets(st.integers(0, 40)))
def test_numbers_know_what_is_in_them(numbers: set[int]) -> None:
    found = read_numbers(numbers_bytes(np.array(sorted(numbers), np.int64)))
    assert {number for number in range(-1, 42) if number in found} == numbers
    assert isinstance(found, Numbers)
    assert 0 not in NO_NUMBERS
    assert "0" not in found
