"""The special tokens of a row: before its text, between its parts, behind it.

Three frames. A row of plain text has the tokenizer's template, and separators where documents
share it. Two segments (BERT, ALBERT) have the template that the tokenizer has for two texts,
read off a probe. Two sequences (a source and its target) are each wrapped as if alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from premask._errors import RequestError
from premask._format import SEGMENT, TOKEN_TYPE_IDS
from premask.masking._rows import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Special tokens of a row, and the number of the part that each belongs to.

    Attributes:
        before, between, behind: ids; `between` stands between any two parts.
        track: the column that holds the numbers of parts; None where there is none.
        kinds: numbers of the first part and of all others.
        before_kinds, between_kinds, behind_kinds: one per special token.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    behind: tuple[int, ...]
    track: str | None = None
    kinds: tuple[int, int] = (0, 0)
    before_kinds: tuple[int, ...] = ()
    between_kinds: tuple[int, ...] = ()
    behind_kinds: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Special tokens of a row of two parts."""
        return len(self.before) + len(self.between) + len(self.behind)


def text_frame(vocabulary: Vocabulary, separator: int | None) -> Frame:
    """The template of one text, with `separator` between parts."""
    return Frame(
        before=vocabulary.prefix_ids,
        between=() if separator is None else (separator,),
        behind=vocabulary.suffix_ids,
    )


def segments_frame(vocabulary: Vocabulary, tokenizer: Any = None) -> Frame:
    """The template of two segments: ``[CLS] A [SEP] B [SEP]`` for BERT, with its types.

    A tokenizer without a template for two texts gets its template for one, a separator between
    the segments, and the types of BERT.

    Args:
        tokenizer: a `tokenizers.Tokenizer`; None takes the template of one text.

    Raises:
        RequestError: there is no separator, so that masks would run from one into the other.
    """
    found = None if tokenizer is None else _probed(tokenizer)
    if found is not None:
        return found
    separator = separator_of(vocabulary)
    if separator is None:
        raise RequestError(
            "the tokenizer has neither a separator nor an end token to put between two "
            "segments; use a tokenizer with [SEP] or </s>",
            location="rows.arrangement",
        )
    before, behind = vocabulary.prefix_ids, vocabulary.suffix_ids
    return Frame(
        before=before,
        between=(separator,),
        behind=behind,
        track=TOKEN_TYPE_IDS,
        kinds=(0, 1),
        before_kinds=(0,) * len(before),
        between_kinds=(0,),
        behind_kinds=(1,) * len(behind),
    )


def sequences_frame(vocabulary: Vocabulary) -> Frame:
    """Two sequences, each in the template of one text; without a template, each with its end.

    Raises:
        RequestError: there is neither a template nor an end token.
    """
    before, behind = vocabulary.prefix_ids, vocabulary.suffix_ids
    if not before and not behind:
        end = vocabulary.sep_id if vocabulary.eos_id is None else vocabulary.eos_id
        if end is None:
            raise RequestError(
                "the tokenizer has neither a template nor an end token, so nothing would tell "
                "a source from its target; use a tokenizer with </s> or [SEP]",
                location="rows.arrangement",
            )
        behind = (end,)
    return Frame(
        before=before,
        between=(*behind, *before),
        behind=behind,
        track=SEGMENT,
        kinds=(0, 1),
        before_kinds=(0,) * len(before),
        between_kinds=(0,) * len(behind) + (1,) * len(before),
        behind_kinds=(1,) * len(behind),
    )


def separator_of(vocabulary: Vocabulary) -> int | None:
    """What stands between documents that share a row."""
    return vocabulary.eos_id if vocabulary.sep_id is None else vocabulary.sep_id


def _probed(tokenizer: Any) -> Frame | None:
    """What the tokenizer itself puts around two texts; None if nothing stands between them."""
    encoding = tokenizer.encode("a", "b")
    texts, ids, types = encoding.sequence_ids, encoding.ids, encoding.type_ids
    if 0 not in texts or 1 not in texts:
        return None
    starts = texts.index(0), texts.index(1)
    ends = [len(texts) - texts[::-1].index(number) for number in (0, 1)]
    if ends[0] == starts[1]:
        return None
    return Frame(
        before=tuple(ids[: starts[0]]),
        between=tuple(ids[ends[0] : starts[1]]),
        behind=tuple(ids[ends[1] :]),
        track=TOKEN_TYPE_IDS,
        kinds=(types[starts[0]], types[starts[1]]),
        before_kinds=tuple(types[: starts[0]]),
        between_kinds=tuple(types[ends[0] : starts[1]]),
        behind_kinds=tuple(types[ends[1] :]),
    )
