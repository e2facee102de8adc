"""Compiled loops and plain ones give the same."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages import compiled_loops, plain_loops
from premask.stages.loops import Loops

BOTH = [cast(Loops, compiled_loops), cast(Loops, plain_loops)]
SIZE = 12
DOCUMENTS = st.lists(
    st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 255)), max_size=9), max_size=6
)


def columns(
    documents: list[list[tuple[int, int]]], kind: type[np.unsignedinteger[Any]]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    flat = [token for document in documents for token in document]
    ids, bits = ([token[part] for token in flat] for part in (0, 1))
    found = np.array(ids, kind), np.array(bits, np.uint8)
    for column in found:
        column.flags.writeable = False  # as Arrow's are
    return found


@settings(deadline=None)
@given(documents=DOCUMENTS, kind=st.sampled_from([np.uint16, np.uint32]))
def test_tokens_and_documents_are_counted_one_by_one(
    documents: list[list[tuple[int, int]]], kind: type[np.unsignedinteger[Any]]
) -> None:
    texts = [[token for token, bits in document if not bits & 1] for document in documents]
    flat = [token for text in texts for token in text]
    lengths = np.array([len(document) for document in documents], np.int64)
    for loops in BOTH:
        counts_V, document_counts_V = np.ones(SIZE, np.int64), np.ones(SIZE, np.int64)
        loops.count_tokens(*columns(documents, kind), counts_V)
        loops.count_documents(*columns(documents, kind), lengths, document_counts_V)
        assert counts_V.tolist() == [1 + flat.count(token) for token in range(SIZE)]
        assert document_counts_V.tolist() == [
            1 + sum(token in text for text in texts) for token in range(SIZE)
        ]


def test_very_many_documents_of_a_large_vocabulary_are_counted() -> None:
    size, count = 250_000, 20_000
    ids = np.arange(count, dtype=np.uint32) % 7
    for loops in BOTH:
        counts_V = np.zeros(size, np.int64)
        bits, lengths = np.zeros(count, np.uint8), np.ones(count, np.int64)
        loops.count_documents(ids, bits, lengths, counts_V)
        assert counts_V[:8].tolist() == [2858, *[2857] * 6, 0]


@settings(deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9), st.integers(0, 3)))
    | st.lists(st.tuples(st.integers(0, 20), st.integers(60, 99), st.integers(0, 3))),
    kind=st.sampled_from([np.uint16, np.uint32]),
)
def test_pieces_are_copied_and_nothing_else_is_touched(
    pieces: list[tuple[int, int, int]], kind: type[np.unsignedinteger[Any]]
) -> None:
    source = np.arange(40, 160, dtype=np.uint32)
    expected: list[int] = []
    targets: list[int] = []
    for start, length, gap in pieces:
        targets.append(len(expected) + gap)
        expected += [7] * gap + list(range(40 + start, 40 + start + length))
    starts, lengths = (np.array([p[part] for p in pieces], np.int64) for part in (0, 1))
    for loops in BOTH:
        target = np.full(len(expected), 7, kind)
        loops.copy_pieces(starts, lengths, np.array(targets, np.int64), [(source, target)])
        assert target.tolist() == expected


def names(code: str) -> list[str]:
    """What a new process prints."""
    code = "import sys\nfrom premask.stages.loops import PATIENCE, loops\n" + code
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout.split()


def test_the_loops_are_plain_until_numba_is_loaded_for_something_else() -> None:
    code = "print(loops().__name__)\nimport numba\nprint(loops().__name__)"
    assert names(code) == ["premask.stages.plain_loops", "premask.stages.compiled_loops"]


def test_numba_is_loaded_when_that_pays() -> None:
    code = "loops(PATIENCE); print('numba' in sys.modules, loops(1).__name__)"
    assert names(code) == ["False", "premask.stages.compiled_loops"]
