"""PEGASUS: which sentences are taken, and what becomes of them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking._rows import PaddedRows
from premask.masking.objectives.gap_sentences import OPERATION, gap_counts
from premask.masking.objectives.restore import target_ids, unpadded
from premask.masking.objectives.rouge import rouge1, sentence_ranks

from tests.masking.objectives.support import (
    BOS,
    EOS,
    MASK,
    SENTENCE,
    SPECIAL,
    WORD,
    assert_law,
    compiled,
    make_rows,
    run,
    text_rows,
)

SMALL = ["1 .", "2 1 .", "3 1 .", "4 5 6 .", "1 1 1 1 ."]
LARGE = ["1 1 1 1 .", "1 .", "2 1 .", "3 1 .", "4 5 6 ."]


def ranks(sentences: list[str], **options: Any) -> list[int]:
    return sentence_ranks([sentence.split() for sentence in sentences], **options)


@pytest.mark.parametrize("method", ["independent", "greedy"])
def test_precision_takes_the_short_first_sentence(method: str) -> None:
    assert ranks(SMALL, method=method, measure="precision")[0] == 1


@pytest.mark.parametrize("method", ["independent", "greedy"])
def test_recall_takes_the_long_first_sentence(method: str) -> None:
    assert ranks(LARGE, method=method, measure="recall")[0] == 1


@pytest.mark.parametrize("method", ["independent", "greedy"])
def test_of_equal_sentences_the_last_are_taken(method: str) -> None:
    found = ranks(["a b c ."] * 10, method=method)
    assert found == list(range(10, 0, -1))
    assert [i for i, rank in enumerate(found) if rank <= 5] == [5, 6, 7, 8, 9]


def test_rouge_of_three_sentences_equals_a_computation_by_hand() -> None:
    first, second, third = ["the", "cat", "sat"], ["the", "cat", "ran"], ["a", "dog"]
    # 2 of 3 words found among 5: precision 2/3, recall 2/5, F1 2 * 2 / (3 + 5)
    assert rouge1(first, second + third, "precision") == 2 / 3
    assert rouge1(first, second + third, "recall") == 2 / 5
    assert rouge1(first, second + third) == pytest.approx(0.5)
    assert rouge1(third, first + second) == 0.0
    assert sentence_ranks([first, second, third]) == [2, 1, 3]


def test_counts_are_clipped() -> None:
    assert rouge1(["1", "1", "1", "1"], ["1", "1"], "precision") == 0.5
    assert rouge1([], [], "f") == 0.0


def test_stop_words_do_not_count() -> None:
    sentences = [["the", "the", "cat"], ["the", "dog"], ["dog", "cow"]]
    assert sentence_ranks(sentences)[2] > 1
    assert sentence_ranks(sentences, stop_words={"the"})[0] == 3


def greedy_by_hand(sentences: list[list[str]]) -> list[int]:
    taken: list[int] = []
    while len(taken) < len(sentences):
        scores = {}
        for i in set(range(len(sentences))) - set(taken):
            chosen = [w for j in [*taken, i] for w in sentences[j]]
            rest = [
                w for j in range(len(sentences)) if j not in [*taken, i] for w in sentences[j]
            ]
            scores[i] = rouge1(chosen, rest)
        best = max(scores.values())
        taken.append(max(i for i, score in scores.items() if score == best))
    return [taken.index(i) + 1 for i in range(len(sentences))]


def test_greedy_ranks_equal_the_definition() -> None:
    random = np.random.default_rng(3)
    for _ in range(60):
        sizes = random.integers(0, 6, random.integers(1, 8))
        sentences = [random.choice(list("abcdef"), size).tolist() for size in sizes]
        assert sentence_ranks(sentences, method="greedy") == greedy_by_hand(sentences)


def test_numbers_of_sentences_follow_the_published_rule() -> None:
    table = gap_counts(12, 0.3)
    assert table.tolist() == [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert gap_counts(4, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert gap_counts(3, 0.0).tolist() == [0, 1, 1, 1]


def sentence_rows(count: int, ranking: list[int] | None = None) -> PaddedRows:
    """BOS, five sentences of two tokens (100 101, 102 103, ...), EOS."""
    ids = [BOS, *range(100, 110), EOS]
    bits = [SPECIAL, *([SENTENCE | WORD, WORD] * 5), SPECIAL]
    track = [0, *np.repeat(ranking or [1, 2, 3, 4, 5], 2).tolist(), 0]
    return make_rows([ids] * count, [bits] * count, tracks={"sentence_ranks": [track] * count})


def test_the_best_ranked_sentences_become_masks_and_targets() -> None:
    apply = compiled(OPERATION, ratio=0.4, mask_share=1.0)
    out = run(apply, sentence_rows(3, [3, 1, 5, 2, 4]))
    shown = unpadded(out["input_ids"][0], out["attention_mask"][0])
    assert shown == [BOS, 100, 101, MASK, 104, 105, MASK, 108, 109, EOS]
    assert target_ids(out["labels"][0]) == [102, 103, 106, 107, EOS]


def test_sentences_without_a_rank_come_last() -> None:
    apply = compiled(OPERATION, ratio=0.4, mask_share=1.0)
    out = run(apply, sentence_rows(1, [0, 0, 0, 0, 9]))
    assert target_ids(out["labels"][0]) == [100, 101, 108, 109, EOS]


def test_lead_takes_the_first_sentences() -> None:
    out = run(compiled(OPERATION, ratio=0.4, selection="lead"), sentence_rows(50))
    assert all(target_ids(row) == [100, 101, 102, 103, EOS] for row in out["labels"])


def test_random_takes_every_subset_equally_often() -> None:
    apply = compiled(OPERATION, ratio=0.4, selection="random")
    labels = run(apply, sentence_rows(8000))["labels"]
    picks = [tuple((x - 100) // 2 for x in row[:4:2]) for row in labels.tolist()]
    assert_law([picks.count(pair) for pair in combinations(range(5), 2)], [1] * 10)


def test_a_share_of_taken_sentences_stays_visible() -> None:
    out = run(compiled(OPERATION, ratio=0.2), sentence_rows(5000))
    masked = int((out["input_ids"] == MASK).any(-1).sum())
    assert_law([masked, 5000 - masked], [0.9, 0.1])
    kept = (out["input_ids"] != MASK).all(-1)
    assert (out["attention_mask"][kept].sum(-1) == 12).all()


def test_a_drawn_ratio_changes_the_number_of_sentences_by_row() -> None:
    apply = compiled(OPERATION, ratio=0.8, lowest_ratio=0.25, selection="random")
    labels = run(apply, sentence_rows(6000))["labels"]
    counts = np.bincount((labels != -100).sum(-1) // 2, minlength=6)
    # The ratio is uniform on [0.2, 0.8]: one, two or three of five sentences.
    assert_law(counts[1:4], [1, 1, 1])
    assert counts.sum() == counts[1:4].sum()


def test_rows_without_text_have_eos_as_their_target() -> None:
    rows = make_rows([[BOS, EOS], [BOS, 7, EOS]], [[SPECIAL] * 2, [SPECIAL, WORD, SPECIAL]])
    out = run(compiled(OPERATION, selection="lead", mask_share=1.0), rows)
    assert target_ids(out["labels"][0]) == [EOS]
    assert target_ids(out["labels"][1]) == [7, EOS]
    assert out["input_ids"][1].tolist() == [BOS, MASK, EOS]


def test_rows_without_ranks_are_refused_with_the_remedy() -> None:
    with pytest.raises(PolicyError, match="set selection: random"):
        run(compiled(OPERATION), text_rows(5, 1))
    assert OPERATION.needs({"selection": "rank"}) == ("sentence_start", "sentence_ranks")
    assert OPERATION.needs({"selection": "random"}) == ("sentence_start",)
