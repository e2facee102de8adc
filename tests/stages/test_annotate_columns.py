from __future__ import annotations

import random
import re

import numpy as np
import pytest
from premask.stages.annotate_columns import (
    POS_TAGS,
    Words,
    depths,
    entity_token_spans,
    noun_phrases,
    saliences,
    sentence_first_words,
    to_words,
    words_of,
)

LETTERS = {
    "D": "DET",
    "A": "ADJ",
    "N": "NOUN",
    "P": "PROPN",
    "#": "NUM",
    "v": "VERB",
    ".": "PUNCT",
}


def words(text: str, sentences: list[int] | None = None) -> Words:
    """One word per run of letters; every token that is a blank is white space."""
    tokens = [match.span() for match in re.finditer(r"\s|\S+", text)]
    starts = np.array([start for start, _ in tokens], np.int64)
    lengths = np.array([end - start for start, end in tokens], np.int64)
    border = np.zeros(len(tokens), bool)
    border[sentences or slice(1)] = True
    space = np.array([text[start].isspace() for start, _ in tokens], bool)
    return words_of(starts, lengths, space, np.zeros(len(tokens), np.int64), border)


def tags(letters: str) -> np.ndarray:
    return np.array([POS_TAGS.index(LETTERS[x]) for x in letters], np.uint8)


def phrases(letters: str) -> list[str]:
    first, behind = noun_phrases(words(" ".join(letters)), tags(letters))
    return [letters[a:b] for a, b in zip(first.tolist(), behind.tolist(), strict=True)]


def test_white_space_is_no_word() -> None:
    result = words("ab  c\n")
    assert result.starts_W.tolist() == [0, 4]
    assert result.ends_W.tolist() == [2, 5]


def test_a_sentence_begins_at_its_first_word() -> None:
    assert sentence_first_words(words("\na b c", [0, 4])).tolist() == [0, 2]


def test_a_span_of_white_space_alone_is_dropped_and_borders_are_trimmed() -> None:
    first, behind, held = to_words(words("a \n b"), np.array([0, 1]), np.array([3, 3]))
    assert (first.tolist(), behind.tolist(), held.tolist()) == ([0], [1], [True, False])


def test_entities_end_where_the_next_one_begins() -> None:
    first, behind = entity_token_spans(np.array([3, 1, 3, 2, 0, 3, 1, 1]))
    assert list(zip(first.tolist(), behind.tolist(), strict=True)) == [(0, 2), (2, 3), (5, 8)]


@pytest.mark.parametrize(
    ("letters", "found"),
    [
        ("DANvDAN.", ["DAN", "DAN"]),
        ("NDN", ["N", "DN"]),  # a determiner begins a phrase
        ("NAN", ["N", "AN"]),  # a modifier behind a noun begins a phrase
        ("PPN", ["PPN"]),
        ("DAv", []),
        ("N#", ["N"]),
        ("", []),
    ],
)
def test_noun_phrases_of_known_tags(letters: str, found: list[str]) -> None:
    assert phrases(letters) == found


@pytest.mark.parametrize("seed", range(10))
def test_noun_phrases_are_those_of_a_regular_expression(seed: int) -> None:
    letters = "".join(random.Random(seed).choices("DANP#v", k=200))
    runs = re.findall(r"D?[A#]*[NP]+|.", letters)
    assert phrases(letters) == [run for run in runs if run[-1] in "NP"]


def test_a_blank_line_parts_noun_phrases() -> None:
    first, behind = noun_phrases(words("Title\n\nNext one"), tags("NNN"))
    assert list(zip(first.tolist(), behind.tolist(), strict=True)) == [(0, 1), (1, 3)]


def test_depth_is_counted_up_to_255() -> None:
    text = " ".join("x" * 300)  # 599 tokens, each hanging on the one before it
    heads = np.maximum(np.arange(len(text)) - 1, 0)
    expected = [min(n + 1, 255) for n in range(0, len(text), 2)]
    assert depths(heads, words(text)).tolist() == expected


def test_names_come_before_nouns_verbs_and_function_words() -> None:
    result = words("The Bob sees dogs .")
    in_entity = np.array([False, True, False, False, False])
    ranks = saliences(result, tags("DPvN."), in_entity).tolist()
    assert ranks[1] == 255
    assert ranks[1] > ranks[3] > ranks[2] > ranks[0] == ranks[4] > 0


def test_equal_scores_get_equal_ranks_and_longer_words_come_first() -> None:
    ranks = saliences(words("cat dog horses"), tags("NNN"), np.zeros(3, bool)).tolist()
    assert ranks[0] == ranks[1] < ranks[2] == 255


def test_every_sentence_has_its_own_ranks() -> None:
    result = words("a b cc", [0, 4])
    assert saliences(result, tags("vNv"), np.zeros(3, bool)).tolist() == [128, 255, 255]


def test_no_words_have_no_ranks() -> None:
    empty = words("")
    assert saliences(empty, tags(""), np.zeros(0, bool)).shape == (0,)
