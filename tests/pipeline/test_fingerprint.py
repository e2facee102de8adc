"""Fingerprints: equal for equal things, different for any change that they can see."""

from __future__ import annotations

import io

import pytest
from premask.pipeline.fingerprint import (
    describe_differences,
    differing_fields,
    fingerprint,
    sample_hash,
)
from premask.pipeline.journal import Header, changed_files

JOB = {"seed": 1, "rows": {"max_length": 512, "stride": 0}, "sources": [{"path": "a"}]}


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint(dict(reversed(JOB.items()))) == fingerprint(JOB)
    assert fingerprint({**JOB, "seed": 2}) != fingerprint(JOB)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (JOB, ()),
        ({**JOB, "seed": 2}, ("seed",)),
        ({**JOB, "rows": {"max_length": 64, "stride": 0}}, ("rows.max_length",)),
        ({**JOB, "sources": [{"path": "a"}, {"path": "b"}]}, ("sources.1.path",)),
        ({**JOB, "annotate": None}, ("annotate",)),
    ],
)
def test_differing_fields_are_dotted_paths(
    new: dict[str, object], expected: tuple[str, ...]
) -> None:
    assert differing_fields(JOB, new) == expected


def test_differences_are_told_with_both_values() -> None:
    assert describe_differences(JOB, {**JOB, "seed": 2}) == "seed (was 1, is 2)"


def test_many_differences_are_counted() -> None:
    old = {f"k{i}": 0 for i in range(9)}
    new = {f"k{i}": 1 for i in range(9)}
    assert describe_differences(old, new).endswith("and 4 more")


@pytest.mark.parametrize("place", [0, 70_000, 999_999])
def test_a_small_file_is_sampled_whole(place: int) -> None:
    data = bytearray(1_000_000)
    before = sample_hash(io.BytesIO(data), len(data))
    data[place] = 1
    assert sample_hash(io.BytesIO(data), len(data)) != before


def test_the_size_is_part_of_a_sample() -> None:
    assert sample_hash(io.BytesIO(b""), 0) != sample_hash(io.BytesIO(b""), 1)


def test_changed_added_and_missing_files_are_told() -> None:
    told = changed_files({"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1", "d": "1"})
    assert told == "a is gone, d is new, b is not what it was"


def test_a_header_depends_on_every_part() -> None:
    header = Header(kind="build", job=JOB, inputs={"a": "1"}, num_units=2)
    others = [
        Header(kind="freeze", job=JOB, inputs={"a": "1"}, num_units=2),
        Header(kind="build", job={**JOB, "seed": 2}, inputs={"a": "1"}, num_units=2),
        Header(kind="build", job=JOB, inputs={"a": "2"}, num_units=2),
        Header(kind="build", job=JOB, inputs={"a": "1"}, num_units=3),
    ]
    assert len({header.fingerprint, *(other.fingerprint for other in others)}) == 5
