"""What is tokenized by itself: documents, their lines, a source and its target, or three parts.

A document is a list of parts, each encoded alone, with special tokens before some of them. The
parts of a document are one stretch of tokens; `arrange` is told their lengths where it cuts
rows by them.

**Fill in the middle** follows Bavarian et al. (2022): with probability `rate` a document is cut
at two independent uniform places between characters, and written as
``PRE prefix SUF suffix MID middle`` or, with probability `suffix_first`,
``PRE SUF suffix MID prefix middle``. The draws are keyed by the document's place in its unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._errors import RequestError
from premask.schemas.records import TARGET
from premask.schemas.rows import FillInMiddle, Rows
from premask.stages.row_identity import RowIdentity, below
from premask.stages.tokenizer import LoadedTokenizer

NO_OFFSETS = -1
_WORD = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """The parts of a batch of documents.

    Attributes:
        texts: of all parts, large strings.
        splits: int64 ``[D + 1]``: the number of each document's first part.
        starts_P: where each stands in its document's text, in code points; `NO_OFFSETS` where
            it does not; None where every document is one part.
        sentinels_P: special tokens before each part; None for none at all.
        told: whether `arrange` is told the lengths of parts.
        needs_all: whether a document without tokens in one of its parts is rejected.
    """

    texts: pa.Array
    splits: npt.NDArray[np.int64]
    starts_P: npt.NDArray[np.int64] | None = None
    sentinels_P: Sequence[tuple[int, ...]] | None = None
    told: bool = False
    needs_all: bool = False


Divide = Callable[[pa.RecordBatch], Divided]


def divider(rows: Rows, tokenizer: LoadedTokenizer, identity: RowIdentity) -> Divide:
    """How the documents of a unit are divided for these rows.

    Raises:
        RequestError: the tokenizer lacks a sentinel of `fill_in_middle`.
    """
    if rows.arrangement == "lines":
        return lines
    if rows.arrangement == "pairs":
        return pairs
    if rows.fill_in_middle is not None:
        return _Rearrange(
            options=rows.fill_in_middle,
            ids=sentinel_ids(rows.fill_in_middle, tokenizer),
            identity=identity,
        )
    return whole


def whole(batch: pa.RecordBatch) -> Divided:
    """Every document as it is."""
    return Divided(texts=batch.column("text"), splits=np.arange(batch.num_rows + 1))


def lines(batch: pa.RecordBatch) -> Divided:
    """Every line by itself; blank ones are left out."""
    texts: list[str] = []
    starts: list[int] = []
    splits = [0]
    for text in batch.column("text").to_pylist():
        start = 0
        for line in text.split("\n"):
            if line and not line.isspace():
                texts.append(line)
                starts.append(start)
            start += len(line) + 1
        if len(texts) == splits[-1]:  # rejected later on, as a document without tokens
            texts.append("")
            starts.append(0)
        splits.append(len(texts))
    return Divided(
        texts=pa.array(texts, pa.large_string()),
        splits=np.array(splits),
        starts_P=np.array(starts),
        told=True,
    )


def pairs(batch: pa.RecordBatch) -> Divided:
    """The text, then the target, of every document."""
    sides = [batch.column(name).to_pylist() for name in ("text", TARGET)]
    texts = [text for pair in zip(*sides, strict=True) for text in pair]
    return Divided(
        texts=pa.array(texts, pa.large_string()),
        splits=np.arange(0, len(texts) + 1, 2),
        starts_P=np.tile(np.array([0, NO_OFFSETS]), batch.num_rows),
        told=True,
        needs_all=True,
    )


def sentinel_ids(options: FillInMiddle, tokenizer: LoadedTokenizer) -> tuple[int, int, int]:
    """The ids of the three sentinels.

    Raises:
        RequestError: the tokenizer lacks one, or two are the same.
    """
    found = [tokenizer.tokenizer.token_to_id(name) for name in options.sentinels]
    ids = [token for token in found if token is not None]
    if len(set(ids)) < len(found):
        raise RequestError(
            f"the tokenizer needs three tokens for the sentinels {list(options.sentinels)}, it "
            f"has the ids {found}; name three special tokens of it",
            location="rows.fill_in_middle.sentinels",
        )
    first, second, third = ids
    return first, second, third


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rearrange:
    """Rearranges a share of the documents for filling in the middle."""

    options: FillInMiddle
    ids: tuple[int, int, int]
    identity: RowIdentity

    def __call__(self, batch: pa.RecordBatch) -> Divided:
        positions, texts = (batch.column(name).to_pylist() for name in ("position", "text"))
        parts: list[_Part] = []
        splits = [0]
        for position, text in zip(positions, texts, strict=True):
            parts += self._parts(position, text)
            splits.append(len(parts))
        return Divided(
            texts=pa.array([part.text for part in parts], pa.large_string()),
            splits=np.array(splits),
            starts_P=np.array([part.start for part in parts]),
            sentinels_P=[part.sentinels for part in parts],
        )

    def _parts(self, position: int, text: str) -> list[_Part]:
        words = self.identity.document_words(position)
        if words[0] >= int(self.options.rate * _WORD):
            return [_Part(0, text, ())]
        low, high = sorted(below(word, len(text) + 1) for word in words[1:3])
        prefix, middle, suffix = text[:low], text[low:high], text[high:]
        pre, suf, mid = self.ids
        if words[3] < int(self.options.suffix_first * _WORD):
            return [
                _Part(high, suffix, (pre, suf)),
                _Part(0, prefix, (mid,)),
                _Part(low, middle, ()),
            ]
        return [
            _Part(0, prefix, (pre,)),
            _Part(high, suffix, (suf,)),
            _Part(low, middle, (mid,)),
        ]


class _Part(NamedTuple):
    start: int
    text: str
    sentinels: tuple[int, ...]
