"""Cuts documents into pieces that spaCy can take.

spaCy's memory grows with the longest text (3 GB at a million characters), and its tokenizer is
quadratic in a run of punctuation without a space (20,000 brackets take most of a minute). So a
document is cut at paragraph or sentence borders, and unspaced runs are kept from spaCy. Pieces
are slices: offsets into them plus their start are offsets into the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PIECE_CHARACTERS = 20_000
MAX_RUN_CHARACTERS = 200

_RUN = re.compile(rf"\S{{{MAX_RUN_CHARACTERS},}}")
_BORDERS = (
    re.compile(r"\n\s*\n\s*"),
    re.compile(r"\n\s*|[。！？]"),
    re.compile(r"""[.!?]["'’”)\]]*\s+"""),
    re.compile(r"\s+"),
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Characters ``start:end`` of a document."""

    start: int
    end: int


def unspaced_runs(text: str) -> list[Slice]:
    """Runs of `MAX_RUN_CHARACTERS` and more without white space."""
    return [Slice(*match.span()) for match in _RUN.finditer(text)]


def pieces(text: str, runs: list[Slice]) -> Iterator[Slice]:
    """What is left of `text` without `runs`, in pieces of `MAX_PIECE_CHARACTERS` at most.

    A piece ends at a paragraph, else a line, a sentence or a space, where one lies in the
    second half of what it may hold.
    """
    start = 0
    for run in [*runs, Slice(len(text), len(text))]:
        while start < run.start:
            end = _border(text, start, run.start)
            yield Slice(start, end)
            start = end
        start = run.end


def _border(text: str, start: int, end: int) -> int:
    limit = start + MAX_PIECE_CHARACTERS
    if limit >= end:
        return end
    for border in _BORDERS:
        places = [match.end() for match in border.finditer(text, (start + limit) // 2, limit)]
        if places:
            return places[-1]
    return limit


def num_words(text: str) -> int:
    """About how many words a text has; only for packing batches."""
    return text.count(" ") + text.count("\n") + 1
