"""From spaCy's token attributes to annotation columns, with NumPy alone.

Input is one row per spaCy token, the pieces of a whole batch end to end. Nothing here loops
over tokens; a batch of 170,000 words takes some 20 ms, spaCy itself some 5 s.

**Phrases** without a parser are runs of ``(DET|NUM|ADJ|PROPN|NOUN)* (NOUN|PROPN)`` inside a
sentence; a determiner, and any modifier behind a noun, begins a new one.

**Salience** ranks words within their sentence by how much they are likely to say: first by
kind (a name or a number in an entity, then nouns, then verbs and adjectives, then adverbs, and
function words and punctuation last), then by length, since languages keep frequent words short.
It needs no counts, so it does not depend on the rest of the corpus. The best word gets 255;
equal scores get equal values; no word gets 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

POS_TAGS = (
    *("", "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)
_CONTENT = {"PROPN": 4, "NUM": 3, "NOUN": 3, "VERB": 2, "ADJ": 2, "ADV": 1, "INTJ": 1, "X": 1}
_IN_ENTITY = 4
_MAX_LENGTH = 31
_BEGIN, _INSIDE = 3, 1  # values of spaCy's ENT_IOB


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of a batch: spaCy's tokens but for white space.

    Attributes:
        starts_W, ends_W: code points into the word's document.
        document_W: number of the document in the batch, ascending.
        sentence_W: number of the sentence in the batch, ascending.
        words_before_T: for each token, and behind the last, how many words precede it.
    """

    starts_W: Int64
    ends_W: Int64
    document_W: Int64
    sentence_W: Int64
    words_before_T: Int64


def words_of(
    starts_T: Int64, lengths_T: Int64, space_T: Flags, document_T: Int64, border_T: Flags
) -> Words:
    """Leaves white space out. `border_T`: a sentence or a piece begins at this token."""
    word = np.flatnonzero(~space_T)
    return Words(
        starts_W=starts_T[word],
        ends_W=(starts_T + lengths_T)[word],
        document_W=document_T[word],
        sentence_W=np.cumsum(border_T, dtype=np.int64)[word],
        words_before_T=np.append(np.int64(0), np.cumsum(~space_T)),
    )


def sentence_first_words(words: Words) -> Int64:
    """Indices of the words that begin a sentence."""
    return np.flatnonzero(_changes(words.sentence_W))


def entity_token_spans(iob_T: Int64) -> tuple[Int64, Int64]:
    """First token, and the one behind the last, of each entity."""
    first = np.flatnonzero(iob_T == _BEGIN)
    stops = np.flatnonzero(np.append(iob_T, 0) != _INSIDE)
    return first, stops[np.searchsorted(stops, first, side="right")]


def to_words(words: Words, first_S: Int64, behind_S: Int64) -> tuple[Int64, Int64, Flags]:
    """Spans of tokens as spans of words, and which of them hold a word at all."""
    start, end = words.words_before_T[first_S], words.words_before_T[behind_S]
    held = start < end
    return start[held], end[held], held


def noun_phrases(words: Words, pos_W: Uint8) -> tuple[Int64, Int64]:
    """Spans of words that are noun phrases, from parts of speech alone."""
    member_W = _is(pos_W, "DET", "NUM", "ADJ", "PROPN", "NOUN")
    head_W = _is(pos_W, "PROPN", "NOUN")
    breaks_W = _changes(words.sentence_W) | _is(pos_W, "DET")
    # A blank line, an indentation or a wide gap separates what stands on its two sides.
    breaks_W[1:] |= words.starts_W[1:] - words.ends_W[:-1] > 1
    breaks_W[1:] |= ~member_W[:-1] | (head_W[:-1] & ~head_W[1:])
    first = np.flatnonzero(member_W & breaks_W)
    if not len(first):
        return first, first
    run_W = np.cumsum(member_W & breaks_W) - 1  # valid at members
    last_head = np.full(len(first), -1, np.int64)
    heads = np.flatnonzero(head_W)
    last_head[run_W[heads]] = heads  # ascending: the last assignment stays
    found = last_head >= 0
    return first[found], last_head[found] + 1


def depths(heads_T: Int64, words: Words) -> Uint8:
    """Distance to the root of the dependency tree, plus 1, at most 255: uint8 ``[W]``.

    `heads_T` are absolute token indices; roots point to themselves. Pointer doubling: the
    logarithm of the deepest tree, in passes.
    """
    ancestor = heads_T.copy()
    distance = (ancestor != np.arange(len(ancestor))).astype(np.int64)
    while np.any(step := distance[ancestor]):
        distance += step
        ancestor = ancestor[ancestor]
    is_word = np.diff(words.words_before_T) > 0
    return np.asarray(np.minimum(distance[is_word] + 1, 255), np.uint8)


def saliences(words: Words, pos_W: Uint8, in_entity_W: Flags) -> Uint8:
    """Rank of each word within its sentence, 255 for the most salient: uint8 ``[W]``."""
    num_words = len(pos_W)
    if not num_words:
        return np.zeros(0, np.uint8)
    kind_W = np.array([_CONTENT.get(tag, 0) for tag in POS_TAGS])[pos_W]
    names_W = in_entity_W & (kind_W > 0)
    length_W = np.minimum(words.ends_W - words.starts_W, _MAX_LENGTH)
    score_W = (kind_W + _IN_ENTITY * names_W) * (_MAX_LENGTH + 1) + length_W * (kind_W > 0)
    order = np.lexsort((-score_W, words.sentence_W))
    sentence, score = words.sentence_W[order], score_W[order]
    first = _starts_of(_changes(sentence))
    same = _starts_of(_changes(sentence) | _changes(score))
    size = np.bincount(np.cumsum(_changes(sentence)) - 1)[np.cumsum(_changes(sentence)) - 1]
    rank_W = np.empty(num_words, np.int64)
    rank_W[order] = 255 - (same - first) * 254 // size
    return rank_W.astype(np.uint8)


def _is(pos_W: Uint8, *tags: str) -> Flags:
    wanted = np.array([tag in tags for tag in POS_TAGS])
    return np.asarray(wanted[pos_W])


def _changes(values: Int64) -> Flags:
    """Where a value differs from the one before; true at the first."""
    changed = np.ones(len(values), bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _starts_of(changes: Flags) -> Int64:
    """For each place, the last change at or before it."""
    return np.maximum.accumulate(np.where(changes, np.arange(len(changes)), 0))
