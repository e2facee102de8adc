from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from premask._errors import FormatError
from premask._format import Boundary
from premask.schemas.records import ANNOTATIONS
from premask.stages.align import Alignment, align
from tokenizers import Tokenizer

from tests.stages.families import FAMILIES, REAL, offsets, random_text, real_tokenizer

Annotations = dict[str, list[list[int]]]


def columns(annotations: Annotations) -> dict[str, pa.Array]:
    return {name: pa.array(rows, ANNOTATIONS[name]) for name, rows in annotations.items()}


def run(
    texts: Sequence[str], tokens: Sequence[Sequence[tuple[int, int]]], annotations: Annotations
) -> Alignment:
    table = np.array([pair for row in tokens for pair in row], np.int64).reshape(-1, 2)
    splits = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
    return align(texts, table[:, 0], table[:, 1], splits, columns(annotations))


def has(alignment: Alignment, bit: Boundary) -> list[bool]:
    return [bool(bits & bit) for bits in alignment.boundaries.tolist()]


def random_spans(rng: random.Random, length: int) -> list[tuple[int, int]]:
    points = sorted(rng.sample(range(length + 1), min(length + 1, 2 * rng.randint(0, 6))))
    spans = list(zip(points[::2], points[1::2], strict=False))
    if len(spans) > 1 and rng.random() < 0.5:  # two spans that touch
        spans[1] = (spans[0][1], spans[1][1])
    return spans


def random_annotations(rng: random.Random, texts: Sequence[str]) -> Annotations:
    result: Annotations = {name: [] for name in ANNOTATIONS}
    for text in texts:
        for kind in ("entity", "phrase", "annotated_word"):
            spans = random_spans(rng, len(text))
            result[f"{kind}_starts"].append([start for start, _ in spans])
            result[f"{kind}_ends"].append([end for _, end in spans])
            if kind == "entity":
                result["entity_codes"].append([rng.randint(1, 255) for _ in spans])
        words = len(spans)
        for name in ("pos_tags", "depth", "salience"):
            result[name].append([rng.randint(1, 255) for _ in range(words)])
        starts = sorted(rng.sample(range(len(text)), min(len(text), rng.randint(0, 5))))
        result["sentence_starts"].append(starts)
    return result


def touches(token: tuple[int, int], span: tuple[int, int]) -> bool:
    return bool(set(range(*token)) & set(range(*span)))


def owners(tokens: list[tuple[int, int]], spans: list[tuple[int, int]]) -> list[int | None]:
    """The first span that shares a character with each token; empty tokens copy neighbours."""
    found: list[int | None] = [
        next((i for i, span in enumerate(spans) if touches(token, span)), None)
        for token in tokens
    ]
    text = [i for i, (start, end) in enumerate(tokens) if start < end]
    for i, (start, end) in enumerate(tokens):
        if start == end and text and text[0] < i < text[-1]:
            left = found[max(j for j in text if j < i)]
            right = found[min(j for j in text if j > i)]
            found[i] = left if left == right else None
    return found


def slow_document(
    text: str, tokens: list[tuple[int, int]], row: dict[str, list[int]]
) -> dict[str, Any]:
    """The rule, character by character, one token after the other."""
    out: dict[str, Any] = {"bits": [0] * len(tokens), "snapped": 0, "lost": 0}
    for kind, start_bit, in_bit in (
        ("entity", Boundary.ENTITY_START, Boundary.IN_ENTITY),
        ("phrase", Boundary.PHRASE_START, Boundary.IN_PHRASE),
    ):
        spans = list(zip(row[f"{kind}_starts"], row[f"{kind}_ends"], strict=True))
        owned = owners(tokens, spans)
        for i, span in enumerate(owned):
            if span is not None:
                out["bits"][i] |= in_bit
                if i == 0 or owned[i - 1] != span:
                    out["bits"][i] |= start_bit
        for number, span_ in enumerate(spans):
            mine = [tokens[i] for i, o in enumerate(owned) if o == number]
            mine = [(start, end) for start, end in mine if start < end]
            out["lost"] += not mine
            if mine:
                widened = text[mine[0][0] : span_[0]] + text[span_[1] : mine[-1][1]]
                out["snapped"] += bool(widened.strip())
        if kind == "entity":
            codes = row["entity_codes"]
            out["entity_labels"] = [0 if o is None else codes[o] for o in owned]
    limits = [*row["sentence_starts"], len(text) + 1]
    for start, end in itertools.pairwise(limits):
        reaching = [i for i, t in enumerate(tokens) if t[1] > start and t[0] < t[1]]
        if reaching and tokens[reaching[0]][0] < end:
            out["bits"][reaching[0]] |= Boundary.SENTENCE_START
    words = list(zip(row["annotated_word_starts"], row["annotated_word_ends"], strict=True))
    word_of = [
        next((i for i, word in enumerate(words) if touches(token, word)), None)
        for token in tokens
    ]
    for name in ("pos_tags", "depth", "salience"):
        out[name] = [0 if w is None else row[name][w] for w in word_of]
    return out


@cache
def tiny(name: str) -> Tokenizer:
    return FAMILIES[name]()


def assert_equals_reference(tokenizer: Tokenizer, *, seed: int, specials: bool) -> None:
    rng = random.Random(seed)
    texts = [random_text(rng, rng.randint(0, 12)) for _ in range(40)]
    annotations = random_annotations(rng, texts)
    starts, ends, splits = offsets(tokenizer, texts, specials=specials)
    result = align(texts, starts, ends, splits, columns(annotations))
    snapped = lost = 0
    for d, text in enumerate(texts):
        here = slice(int(splits[d]), int(splits[d + 1]))
        tokens = list(zip(starts[here].tolist(), ends[here].tolist(), strict=True))
        row = {name: rows[d] for name, rows in annotations.items()}
        expected = slow_document(text, tokens, row)
        assert result.boundaries[here].tolist() == expected["bits"], text
        for name, values in result.tracks.items():
            assert values[here].tolist() == expected[name], (name, text)
        snapped, lost = snapped + expected["snapped"], lost + expected["lost"]
    assert result.boundaries.any()
    assert result.counters == Counter(snapped_spans=snapped, lost_spans=lost)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_random_unicode_equals_the_slow_reference(family: str, seed: int) -> None:
    assert_equals_reference(tiny(family), seed=seed, specials=False)


@pytest.mark.parametrize("name", REAL)
def test_random_unicode_equals_the_slow_reference_for_published_tokenizers(
    name: str, shared_small: Path, unpack: Callable[[Path], Path]
) -> None:
    tokenizer = real_tokenizer(shared_small, name, unpack)
    assert_equals_reference(tokenizer, seed=11, specials=True)


def test_unordered_tokens_are_aligned_by_the_same_rule() -> None:
    tokens = [(4, 6), (0, 3), (6, 9)]
    result = run(["abc defgh"], [tokens], {"entity_starts": [[4]], "entity_ends": [[9]]})
    assert has(result, Boundary.IN_ENTITY) == [True, False, True]


def test_a_span_that_ends_inside_a_token_takes_the_whole_token_and_is_counted() -> None:
    entity: Annotations = {"entity_starts": [[0]], "entity_ends": [[8]]}
    result = run(["New York-based"], [[(0, 3), (4, 14)]], entity)
    assert has(result, Boundary.IN_ENTITY) == [True, True]
    assert result.counters == {"snapped_spans": 1}


def test_white_space_brought_along_by_a_token_is_no_snap() -> None:
    entity: Annotations = {"entity_starts": [[3]], "entity_ends": [[8]]}
    result = run(["in Paris"], [[(0, 2), (2, 8)]], entity)
    assert has(result, Boundary.IN_ENTITY) == [False, True]
    assert not result.counters


def test_the_second_span_of_a_token_is_lost_and_counted() -> None:
    entity: Annotations = {
        "entity_starts": [[0, 2]],
        "entity_ends": [[2, 4]],
        "entity_codes": [[7, 9]],
    }
    result = run(["abcd"], [[(0, 4)]], entity)
    assert result.tracks["entity_labels"].tolist() == [7]
    assert result.counters == {"snapped_spans": 1, "lost_spans": 1}


def test_adjacent_spans_keep_their_own_starts() -> None:
    entity: Annotations = {"entity_starts": [[0, 2]], "entity_ends": [[2, 4]]}
    result = run(["abcd"], [[(0, 1), (1, 2), (2, 4)]], entity)
    assert has(result, Boundary.ENTITY_START) == [True, False, True]


def test_a_span_without_tokens_is_lost() -> None:
    entity: Annotations = {"entity_starts": [[2]], "entity_ends": [[4]]}
    result = run(["ab\u200b\u200b cd"], [[(0, 2), (5, 7)]], entity)
    assert not result.boundaries.any()
    assert result.counters == {"lost_spans": 1}


def test_an_empty_token_inside_a_span_belongs_to_it_and_one_at_its_border_does_not() -> None:
    tokens = [(0, 0), (0, 2), (0, 0), (2, 4), (0, 0), (5, 6), (0, 0)]
    entity: Annotations = {"entity_starts": [[0]], "entity_ends": [[4]]}
    result = run(["abcd e"], [tokens], entity)
    assert has(result, Boundary.IN_ENTITY) == [False, True, True, True, False, False, False]
    assert has(result, Boundary.ENTITY_START)[1:] == [True] + [False] * 5


def test_the_first_word_gives_a_token_its_tag() -> None:
    words: Annotations = {
        "annotated_word_starts": [[0, 3]],
        "annotated_word_ends": [[3, 6]],
        "pos_tags": [[5, 6]],
    }
    result = run(["gonna!"], [[(0, 5), (5, 6)]], words)
    assert result.tracks["pos_tags"].tolist() == [5, 6]


def test_every_piece_of_a_split_character_carries_what_the_character_carries() -> None:
    entity: Annotations = {"entity_starts": [[2]], "entity_ends": [[3]]}
    result = run(["a 😀 b"], [[(0, 1), (2, 3), (2, 3), (2, 3), (4, 5)]], entity)
    assert has(result, Boundary.IN_ENTITY) == [False, True, True, True, False]
    assert sum(has(result, Boundary.ENTITY_START)) == 1


def test_sentences_start_at_the_first_token_that_reaches_into_them() -> None:
    text = "Hi.\r\n Bye.No"
    tokens = [(0, 2), (2, 3), (5, 9), (9, 12)]
    result = run([text], [tokens], {"sentence_starts": [[0, 6, 10]]})
    assert has(result, Boundary.SENTENCE_START) == [True, False, True, True]


def test_documents_do_not_reach_into_each_other() -> None:
    entity: Annotations = {"entity_starts": [[0], [], [0]], "entity_ends": [[2], [], [1]]}
    result = run(["ab", "", "c"], [[(0, 2)], [], [(0, 1)]], entity)
    assert has(result, Boundary.ENTITY_START) == [True, True]


def test_sliced_and_null_lists_are_read_as_what_they_hold() -> None:
    starts = pa.array([[9], None, [0]], ANNOTATIONS["entity_starts"]).slice(1)
    ends = pa.array([[10], None, [1]], ANNOTATIONS["entity_ends"]).slice(1)
    splits = np.array([0, 1, 2])
    zero, one = np.zeros(2, np.int64), np.ones(2, np.int64)
    spans = {"entity_starts": starts, "entity_ends": ends}
    result = align(["x", "y"], zero, one, splits, spans)
    assert has(result, Boundary.IN_ENTITY) == [False, True]


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(FormatError, match=r"entity spans .* must not overlap"):
        run(["abcd"], [[(0, 4)]], {"entity_starts": [[0, 1]], "entity_ends": [[2, 4]]})


def test_no_documents_give_no_tokens() -> None:
    result = run([], [], {"entity_starts": [], "entity_ends": [], "sentence_starts": []})
    assert result.boundaries.shape == (0,)
