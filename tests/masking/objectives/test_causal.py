"""Next-token and prefix language modelling."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from premask.masking.objectives.causal import OPERATION as CLM
from premask.masking.objectives.prefix_lm import OPERATION as PREFIX_LM
from premask.masking.objectives.prefix_lm import shortest_prefixes
from premask.masking.objectives.restore import target_ids, unpadded

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
    run,
    text_rows,
)


def test_labels_are_the_unshifted_row_and_padding_is_ignored() -> None:
    rows = make_rows([[BOS, 7, 8, EOS], [BOS, 9, EOS]], [[1, 2, 2, 1], [1, 2, 1]])
    out = run(compiled(CLM), rows)
    assert out["labels"].tolist() == [[BOS, 7, 8, EOS], [BOS, 9, EOS, -100]]
    assert out["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert out["input_ids"][1, 3] == VOCABULARY.pad_id


def test_eos_is_learned_where_the_tokenizer_pads_with_it() -> None:
    vocabulary = dataclasses.replace(VOCABULARY, pad_id=EOS)
    rows = make_rows([[7, 8, EOS], [9, EOS]], [[2, 2, 1], [2, 1]])
    out = run(compiled(CLM, binding(vocabulary=vocabulary)), rows)
    assert out["labels"].tolist() == [[7, 8, EOS], [9, EOS, -100]]


PACKED = make_rows(
    [[BOS, 5, 6, EOS, 7, 8, EOS, 9]],
    [[SPECIAL, WORD | DOCUMENT, WORD, SPECIAL, WORD | DOCUMENT, WORD, SPECIAL, DOCUMENT]],
    width=9,
)


def test_positions_restart_in_every_document() -> None:
    out = run(compiled(CLM, reset_positions=True), PACKED)
    assert out["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 2, 0, 0]]
    assert out["document_ids"].tolist() == [[1, 1, 1, 1, 2, 2, 2, 3, 0]]


def test_no_label_crosses_a_document_if_asked() -> None:
    out = run(compiled(CLM, mask_first=True), PACKED)
    assert out["labels"].tolist() == [[-100, 5, 6, EOS, -100, 8, EOS, -100, -100]]


@pytest.mark.parametrize(("rate", "shortest"), [(0.5, 1), (0.25, 4), (0.0, 9)])
def test_prefix_lengths_are_uniform(rate: float, shortest: int) -> None:
    assert shortest_prefixes(10, rate)[10] == shortest
    out = run(compiled(PREFIX_LM, rate=rate, form="decoder"), text_rows(10, 20_000))
    lengths = out["prefix_mask"].sum(-1)
    assert lengths.min() == shortest
    assert lengths.max() == 9
    if shortest < 9:
        assert_law(np.bincount(lengths)[shortest:], [1] * (10 - shortest))


def test_prefix_and_continuation_make_the_row_and_both_are_closed() -> None:
    rows = text_rows(12, 200, prefix=1, suffix=1)
    out = run(compiled(PREFIX_LM), rows)
    for i in range(200):
        inputs = unpadded(out["input_ids"][i], out["attention_mask"][i])
        targets = target_ids(out["labels"][i])
        assert inputs[-1] == EOS == targets[-1]
        assert inputs[:-1] + targets == rows.input_ids[i].tolist()
        assert inputs[:2] == [BOS, 100]
        assert targets[-2] == 111


def test_a_single_text_token_is_given_and_only_specials_are_predicted() -> None:
    bare = dataclasses.replace(VOCABULARY, suffix_ids=())
    rows = make_rows([[BOS, 7, EOS], [7]], [[SPECIAL, WORD, SPECIAL], [WORD]])
    out = run(compiled(PREFIX_LM, binding(vocabulary=bare)), rows)
    assert unpadded(out["input_ids"][0], out["attention_mask"][0]) == [BOS, 7, EOS]
    assert target_ids(out["labels"][0]) == [EOS]
    assert target_ids(out["labels"][1]) == [EOS]


def test_the_decoder_form_labels_the_continuation_in_its_place() -> None:
    rows = text_rows(10, 50, suffix=1)
    out = run(compiled(PREFIX_LM, form="decoder"), rows)
    prefix = out["prefix_mask"] == 1
    assert (out["labels"][prefix] == -100).all()
    assert (out["labels"][~prefix] == rows.input_ids[~prefix]).all()
    assert (np.diff(out["prefix_mask"], axis=1) <= 0).all()
