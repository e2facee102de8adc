"""What span lengths a policy of spans must give: an obvious simulation, a row at a time.

SpanBERT's and ALBERT's masked runs have no law in closed form: drawn spans meet, are passed
over, and are cut at the budget. So the published procedure is carried out here, with loops and
an ordinary generator, on some of the rows that are audited; it shares no code with the masks.
Costs about two milliseconds per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking.span_lengths import length_shares
from premask.pipeline.audit.inputs import AuditInput
from premask.pipeline.audit.observation import SourceRows
from premask.pipeline.audit.statistics import LONGEST_RUN

OPERATIONS = ("mask_spans", "mask_ngrams")
NUM_ROWS = 400
_PLACES = 8
_DRAWS = 4
_SEED = 20190724


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row's words as ranges of text places, with each word's segment, which no span leaves,
    and its block, the text between two special tokens."""

    length: int
    words: list[range]
    segments: list[int]
    blocks: list[int]


# (row, budget, shares, generator) -> masked places
_Procedure = Callable[[_Row, int, Sequence[float], np.random.Generator], set[int]]


def sample(source: AuditInput) -> list[SourceRows]:
    """About `NUM_ROWS` rows, from up to eight places of the input."""
    tasks = source.tasks()
    chosen = tasks[:: max(1, -(-len(tasks) // _PLACES))]
    found = []
    for task in chosen:
        stop = min(task.stop, task.start + max(1, NUM_ROWS // len(chosen)))
        found += [rows for rows, _ in source.blocks(replace(task, stop=stop))]
    return found


def reference_word_runs(
    rows: Sequence[SourceRows], operation: str, parameters: Any, budget: np.ndarray
) -> np.ndarray:
    """Masked runs by the number of words they touch, int64 ``[65]``.

    Args:
        rows: the rows to draw spans in.
        operation: one of `OPERATIONS`.
        budget: tokens to mask by number of text tokens (or of all, with `count_special`).
    """
    draw = _PROCEDURES[operation]
    shares = length_shares(parameters)
    generator = np.random.Generator(np.random.PCG64(_SEED))
    runs = np.zeros(LONGEST_RUN + 1, np.int64)
    for row in (row for source in rows for row in _rows(source)):
        places = sum(map(len, row.words))
        wanted = int(budget[row.length if parameters["count_special"] else places])
        for _ in range(_DRAWS if places else 0):
            masked = draw(row, min(wanted, places), shares, generator)
            for size in _runs(row, masked):
                runs[min(size, LONGEST_RUN)] += 1
    return runs


def _rows(source: SourceRows) -> Iterator[_Row]:
    borders = Boundary.DOCUMENT_START
    if source.sentence_borders:
        borders |= Boundary.SENTENCE_START
    bits_N = source.bits_N if source.bits_N is not None else np.zeros(len(source.ids_N), int)
    segment_N = np.cumsum(source.opens_run_N | ((bits_N & int(borders)) != 0)).tolist()
    block_N = np.cumsum(source.opens_run_N).tolist()
    behind_B = np.cumsum(source.num_text_B).tolist()
    for length, first, behind in zip(
        source.lengths_B.tolist(), [0, *behind_B[:-1]], behind_B, strict=True
    ):
        starts = [place for place in range(first, behind) if source.word_start_N[place]]
        yield _Row(
            length=length,
            words=[range(a - first, b - first) for a, b in pairwise([*starts, behind])],
            segments=[segment_N[start] for start in starts],
            blocks=[block_N[start] for start in starts],
        )


def _spans(
    row: _Row, budget: int, shares: Sequence[float], generator: np.random.Generator
) -> set[int]:
    """SpanBERT: anchors in random order open spans of words; the last one is cut."""
    word_of = [word for word, places in enumerate(row.words) for _ in places]
    masked: set[int] = set()
    for anchor in generator.permutation(len(word_of)).tolist():
        if len(masked) >= budget:
            break
        if anchor in masked:
            continue
        first = word_of[anchor]
        wanted = 1 + int(generator.choice(len(shares), p=shares))
        for word in range(first, _behind(row, first, wanted)):
            masked.update(list(row.words[word])[: max(0, budget - len(masked))])
    return masked


def _ngrams(
    row: _Row, budget: int, shares: Sequence[float], generator: np.random.Generator
) -> set[int]:
    """ALBERT: words in random order open n-grams, shrunk to fit, passed over where covered."""
    masked: set[int] = set()
    for first in generator.permutation(len(row.words)).tolist():
        behind = _behind(row, first, 1 + int(generator.choice(len(shares), p=shares)))
        while sum(map(len, row.words[first:behind])) > budget - len(masked):
            behind -= 1
        places = {place for word in row.words[first:behind] for place in word}
        if not places & masked:
            masked |= places
    return masked


def _behind(row: _Row, first: int, wanted: int) -> int:
    """The word behind a span of `wanted` words from `first`, cut at the segment's end."""
    behind = first + 1
    while behind < min(first + wanted, len(row.words)):
        if row.segments[behind] != row.segments[first]:
            break
        behind += 1
    return behind


def _runs(row: _Row, masked: set[int]) -> Iterator[int]:
    """Words touched by each maximal run of masked places."""
    touched: set[int] = set()
    block = 0
    for word, places in enumerate(row.words):
        for place in places:
            if touched and (place not in masked or row.blocks[word] != block):
                yield len(touched)
                touched = set()
            if place in masked:
                touched.add(word)
            block = row.blocks[word]
    if touched:
        yield len(touched)


_PROCEDURES: dict[str, _Procedure] = {"mask_spans": _spans, "mask_ngrams": _ngrams}
