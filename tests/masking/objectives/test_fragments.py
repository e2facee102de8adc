"""MASS and ProphetNet: windows, decoder inputs and streams."""

from __future__ import annotations

import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking._rows import Vocabulary
from premask.masking.objectives.future_ngram import OPERATION as FUTURE_NGRAM
from premask.masking.objectives.mass import OPERATION as MASS
from premask.masking.objectives.restore import target_ids

from tests.masking.objectives.support import (
    BOS,
    DOCUMENT,
    EOS,
    MASK,
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


def test_the_start_of_the_window_is_uniform() -> None:
    out = run(compiled(MASS), text_rows(20, 11_000, prefix=1, suffix=1))
    starts = out["labels"][:, 0] - 100
    assert_law(np.bincount(starts, minlength=11), [1] * 11)


def test_the_fragment_is_contiguous_and_half_of_the_text() -> None:
    out = run(compiled(MASS), text_rows(20, 300, prefix=1, suffix=1))
    for row in out["labels"]:
        targets = target_ids(row)
        assert targets == list(range(targets[0], targets[0] + 10))


def test_the_decoder_gets_the_token_before_each_target_and_its_position() -> None:
    rows = ragged_rows(3, num_rows=80)
    out = run(compiled(MASS), rows)
    for i in range(80):
        targets = target_ids(out["labels"][i])
        places = out["decoder_position_ids"][i, : len(targets)]
        assert rows.input_ids[i, places].tolist() == targets
        before = [rows.input_ids[i, p - 1] if p else BOS for p in places]
        assert out["decoder_input_ids"][i, : len(targets)].tolist() == before
        assert out["decoder_attention_mask"][i].sum() == len(targets)


def test_hidden_tokens_become_mask_random_or_stay_in_8_1_1() -> None:
    rows = text_rows(60, 3000)
    out = run(compiled(MASS), rows)
    places = out["decoder_position_ids"]
    hidden = np.take_along_axis(out["input_ids"], places, 1)
    masks, kept = int((hidden == MASK).sum()), int((hidden == out["labels"]).sum())
    others = hidden[(hidden != MASK) & (hidden != out["labels"])]
    ordinary = sum(high - low for low, high in VOCABULARY.replacement_ranges)
    again = 0.1 / ordinary
    assert_law([masks, len(others), kept], [0.8, 0.1 - again, 0.1 + again])
    assert all(any(a <= x < b for a, b in VOCABULARY.replacement_ranges) for x in others)
    assert (
        np.delete(out["input_ids"][0], places[0]) == np.delete(rows.input_ids[0], places[0])
    ).all()


def test_every_block_of_64_hides_9_tokens_inside_itself() -> None:
    rows = text_rows(150, 500, prefix=1)
    out = run(compiled(FUTURE_NGRAM, binding(151)), rows)
    for row in out["labels"]:
        targets = np.array(target_ids(row)) - 100
        assert [int((targets // 64 == b).sum()) for b in range(3)] == [9, 9, 3]
        assert (np.diff(targets) == 1).sum() >= 18


def test_a_block_too_short_for_a_window_hides_nothing() -> None:
    out = run(compiled(FUTURE_NGRAM), text_rows(6, 20))
    assert (out["labels"] == -100).all()
    assert (out["input_ids"] == text_rows(6, 20).input_ids).all()


def test_windows_do_not_cross_documents_or_specials() -> None:
    ids = [BOS, *range(10, 14), EOS, *range(20, 26), *range(30, 38), EOS]
    bits = [SPECIAL, *[WORD] * 4, SPECIAL, *[WORD] * 6, WORD | DOCUMENT, *[WORD] * 7, SPECIAL]
    out = run(compiled(MASS), make_rows([ids] * 400, [bits] * 400))
    tens = out["labels"][:, :9] // 10
    assert (tens == [1, 1, 2, 2, 2, 3, 3, 3, 3]).all()


def test_later_streams_lack_the_head_of_every_fragment() -> None:
    rows = text_rows(150, 50)
    out = run(compiled(FUTURE_NGRAM, binding(150), ngram=3), rows)
    for i in range(3):
        expected = np.where(out["target_index"] >= i, out["labels"], -100)
        assert (out["ngram_labels"][:, i] == expected).all()
    assert out["target_index"][0].tolist()[:21] == [*range(9), *range(9), *range(3)]


def test_one_stream_is_the_plain_objective() -> None:
    out = run(compiled(FUTURE_NGRAM, ngram=1), text_rows(64, 20))
    assert (out["ngram_labels"][:, 0] == out["labels"]).all()


def test_targets_always_fit_however_a_row_is_cut() -> None:
    # 0.29 * 100 is 28.999... as a float, yet 29 of 100 tokens are meant.
    rows = text_rows(200, 20)
    out = run(compiled(MASS, binding(200), rate=0.29, block=100), rows)
    assert out["labels"].shape == (20, 58)
    assert (out["labels"] != -100).all()


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    with pytest.raises(PolicyError, match="mask"):
        compiled(MASS, binding(64, Vocabulary(size=9, replacement_ranges=((0, 9),))))
