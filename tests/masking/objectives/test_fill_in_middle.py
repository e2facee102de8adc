"""Fill in the middle: the two arrangements, their law and their undoing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking._rows import Vocabulary
from premask.masking.objectives.fill_in_middle import OPERATION
from premask.masking.objectives.restore import undo_fill_in_middle, unpadded

from tests.masking.objectives.support import (
    BOS,
    DOCUMENT,
    EOS,
    SPECIAL,
    VOCABULARY,
    WORD,
    assert_law,
    binding,
    compiled,
    make_rows,
    ragged_rows,
    run,
    text_rows,
)

PRE, SUF, MID = VOCABULARY.sentinel_ids[:3]


def rearranged(num_tokens: int, count: int, **changes: Any) -> list[list[int]]:
    rows = text_rows(num_tokens, count, prefix=1, suffix=1)
    out = run(compiled(OPERATION, **changes), rows)
    pairs = zip(out["input_ids"], out["attention_mask"], strict=True)
    return [unpadded(ids, seen) for ids, seen in pairs]


def cut(prefix: list[int], suffix: list[int], middle: list[int]) -> tuple[int, int]:
    assert prefix + middle + suffix == list(range(100, 100 + len(prefix + middle + suffix)))
    return len(prefix), len(prefix) + len(middle)


def test_prefix_suffix_middle_has_every_pair_of_cuts_by_its_law() -> None:
    found = []
    for row in rearranged(4, 20_000, rate=1.0, spm_rate=0.0):
        assert (row[0], row[1], row[-1]) == (BOS, PRE, EOS)
        suffix_at, middle_at = row.index(SUF), row.index(MID)
        parts = row[2:suffix_at], row[suffix_at + 1 : middle_at], row[middle_at + 1 : -1]
        found.append(cut(*parts))
    pairs = [(a, b) for a in range(5) for b in range(a, 5)]
    # Two independent uniform cuts: an ordered pair of different ones comes in two ways.
    assert_law([found.count(pair) for pair in pairs], [1 if a == b else 2 for a, b in pairs])


def test_suffix_prefix_middle_puts_prefix_and_middle_together() -> None:
    lengths = []
    for row in rearranged(5, 3000, rate=1.0, spm_rate=1.0):
        assert row[:3] == [BOS, PRE, SUF]
        middle_at = row.index(MID)
        suffix, rest = row[3:middle_at], row[middle_at + 1 : -1]
        assert rest + suffix == [100, 101, 102, 103, 104]
        lengths.append(len(suffix))
    # The larger of two cuts among 0..5 leaves k tokens with weight 2(5 - k) + 1.
    assert_law(np.bincount(lengths, minlength=6), [11, 9, 7, 5, 3, 1])


def test_half_of_the_rows_are_rearranged_half_of_these_suffix_first() -> None:
    rows = rearranged(9, 8000)
    plain = sum(PRE not in row for row in rows)
    assert_law([plain, len(rows) - plain], [1, 1])
    # A row with an empty prefix begins PRE SUF in both arrangements.
    begins = sum(row[1:3] == [PRE, SUF] for row in rows)
    share = 0.5 * (0.5 + 0.5 * (1 - (9 / 10) ** 2))
    assert_law([begins, len(rows) - begins], [share, 1 - share])


@pytest.mark.parametrize("spm_rate", [0.0, 1.0])
def test_undoing_gives_back_the_row_and_no_token_is_lost(spm_rate: float) -> None:
    rows = text_rows(12, 500, prefix=1, suffix=1)
    for row in rearranged(12, 500, rate=1.0, spm_rate=spm_rate):
        assert sorted(row) == sorted([*rows.input_ids[0].tolist(), PRE, SUF, MID])
        assert undo_fill_in_middle(row, VOCABULARY) == rows.input_ids[0].tolist()


def test_one_document_of_a_row_is_rearranged_the_others_stay() -> None:
    ids = [BOS, 10, 11, 12, EOS, 20, 21, 22, 23, 24, 30, EOS]
    bits = [SPECIAL, WORD, WORD, WORD, SPECIAL, *[WORD] * 5, WORD | DOCUMENT, SPECIAL]
    out = run(compiled(OPERATION, rate=1.0), make_rows([ids] * 6000, [bits] * 6000))
    sizes = {1: 3, 5: 5, 10: 1}  # by the position of a document's first token
    starts = []
    for row in out["input_ids"].tolist():
        start = row.index(PRE)
        stop = start + sizes[start]
        assert row[:start] == ids[:start]
        assert row[stop + 3 :] == ids[stop:]
        assert sorted(row[start : stop + 3]) == sorted([*ids[start:stop], PRE, SUF, MID])
        starts.append(start)
    assert_law([starts.count(start) for start in sizes], [3, 5, 1])


def test_rows_without_text_stay_as_they_are() -> None:
    rows = make_rows([[], [BOS, EOS]], [[], [SPECIAL] * 2])
    out = run(compiled(OPERATION, rate=1.0), rows)
    assert out["attention_mask"].sum(-1).tolist() == [0, 2]
    assert out["input_ids"][1, :2].tolist() == [BOS, EOS]


def test_labels_are_the_rearranged_row() -> None:
    out = run(compiled(OPERATION, rate=1.0), ragged_rows(4))
    seen = out["attention_mask"] == 1
    assert (out["labels"][seen] == out["input_ids"][seen]).all()
    assert (out["labels"][~seen] == -100).all()


def test_sentinels_may_be_given_and_must_exist() -> None:
    out = run(compiled(OPERATION, rate=1.0, sentinels=[7, 8, 9]), text_rows(3, 1))
    assert {7, 8, 9} <= set(out["input_ids"][0].tolist())
    with pytest.raises(PolicyError, match="three sentinels"):
        compiled(OPERATION, binding(64, Vocabulary(size=9)))
