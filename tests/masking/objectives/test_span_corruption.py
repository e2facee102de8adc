"""Span corruption: published examples, exact law, and the same draws done row by row."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking._rows import Vocabulary
from premask.masking.objectives._layout import layout
from premask.masking.objectives._sentinels import compile_sentinels
from premask.masking.objectives.lengths import noise_counts
from premask.masking.objectives.restore import restore_spans, target_ids, unpadded
from premask.masking.objectives.span_corruption import OPERATION, noise_law

from tests.masking.objectives.support import (
    BOS,
    DOCUMENT,
    EOS,
    FIRST_SENTINEL,
    SPECIAL,
    VOCABULARY,
    WORD,
    binding,
    compiled,
    keys_of,
    make_rows,
    parameters,
    ragged_rows,
    run,
    span_masks,
    text_rows,
)

T5 = Vocabulary(
    size=32100,
    pad_id=0,
    eos_id=1,
    unk_id=2,
    special_ids=(0, 1, 2, *range(32000, 32100)),
    sentinel_ids=tuple(range(32099, 31999, -1)),
    suffix_ids=(1,),
    replacement_ranges=((3, 32000),),
)


def masked(
    ids: list[int], mask: str, vocabulary: Vocabulary = VOCABULARY, **changes: Any
) -> tuple[list[int], list[int]]:
    """Inputs and targets of a row of text under a mask written as T and F."""
    rows = make_rows([ids], [[WORD] * len(ids)])
    values = parameters(OPERATION, **({"rate": 0.9} | changes))
    bound = binding(len(ids), dataclasses.replace(vocabulary, suffix_ids=()))
    corrupt = compile_sentinels(values, bound, noise_law(values, bound))
    noise = np.array([[letter == "T" for letter in mask]])
    result = corrupt(rows, layout(rows), noise, keys_of(rows))
    inputs = unpadded(result["input_ids"][0], result["attention_mask"][0])
    return inputs, target_ids(result["labels"][0])


def test_the_cute_dog_becomes_the_published_ids() -> None:
    # The published mask ends with a kept token, which T5 marks by one more sentinel.
    ids = [37, 5295, 1782, 10681, 16, 8, 2447]
    inputs, targets = masked(ids, "FTTFFTF", T5, final_sentinel=True)
    assert inputs == [37, 32099, 10681, 16, 32098, 2447, 1]
    assert targets == [32099, 5295, 1782, 32098, 8, 32097, 1]


def test_without_a_final_sentinel_targets_end_with_the_last_span() -> None:
    _, targets = masked([37, 5295, 1782, 10681, 16, 8, 2447], "FTTFFTF", T5)
    assert targets == [32099, 5295, 1782, 32098, 8, 1]


def test_noise_spans_become_descending_sentinels() -> None:
    inputs, targets = masked([10, 11, 12, 13, 14, 15], "TTFFTF", append_eos=False)
    assert inputs == [999, 12, 13, 998, 15]
    assert targets == [999, 10, 11, 998, 14]


def test_kept_spans_become_one_single_sentinel() -> None:
    complement = "FFTTFT"
    inputs, _ = masked(
        [10, 11, 12, 13, 14, 15],
        complement,
        inputs="single_sentinel",
        targets="noise",
        append_eos=False,
    )
    assert inputs == [10, 11, 999, 14, 999]


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("sentinel_tokens", [999, 999, 12, 13, 999, 15]),
        ("single_sentinel", [999, 12, 13, 999, 15]),
        ("drop", [12, 13, 15]),
    ],
)
def test_other_inputs_are_the_published_variants(style: str, expected: list[int]) -> None:
    inputs, targets = masked(
        [10, 11, 12, 13, 14, 15], "TTFFTF", inputs=style, targets="noise", append_eos=False
    )
    assert inputs == expected
    assert targets == [10, 11, 14]


def test_random_tokens_are_ordinary_ids_in_the_places_of_noise() -> None:
    rows = text_rows(40, 300)
    out = run(compiled(OPERATION, inputs="random_tokens", targets="original"), rows)
    mask = span_masks(rows)
    inputs = out["input_ids"][:, :40]
    assert (inputs[~mask] == rows.input_ids[~mask]).all()
    low = [(a, b) for a, b in VOCABULARY.replacement_ranges]
    assert all(any(a <= x < b for a, b in low) for x in inputs[mask])
    assert (out["labels"][:, :40] == rows.input_ids).all()


def test_nine_tokens_at_rate_55_give_the_published_shapes() -> None:
    assert noise_counts(9, 0.55, 1.5) == (5, 3)
    apply = compiled(OPERATION, rate=0.55, mean_span=1.5)
    out = run(apply, text_rows(9, 50, suffix=1))
    assert (out["attention_mask"].sum(-1) == 8).all()  # four kept, three sentinels, EOS
    assert ((out["labels"] != -100).sum(-1) == 9).all()  # five hidden, three sentinels, EOS


def test_interleaving_inputs_and_targets_restores_every_row() -> None:
    for roll in ("never", "always", "single_span"):
        rows = ragged_rows(11, num_rows=80)
        out = run(compiled(OPERATION, rate=0.3, random_roll=roll), rows)
        for i, length in enumerate(rows.lengths):
            row = rows.input_ids[i, :length].tolist()
            inputs = unpadded(out["input_ids"][i], out["attention_mask"][i])
            restored = restore_spans(inputs, target_ids(out["labels"][i]), VOCABULARY)
            assert restored == row


def test_rows_are_closed_with_eos_where_the_template_does_not() -> None:
    bare = dataclasses.replace(VOCABULARY, prefix_ids=(), suffix_ids=())
    rows = make_rows([[], [7], [7, 8], [7, EOS]], [[], [WORD], [WORD] * 2, [WORD, SPECIAL]])
    out = run(compiled(OPERATION, binding(vocabulary=bare)), rows)
    shown = [
        unpadded(ids, seen)
        for ids, seen in zip(out["input_ids"], out["attention_mask"], strict=True)
    ]
    assert shown[:2] == [[EOS], [7, EOS]]
    assert shown[2] in ([7, FIRST_SENTINEL, EOS], [FIRST_SENTINEL, 8, EOS])
    assert shown[3] == [7, EOS]
    assert target_ids(out["labels"][0]) == target_ids(out["labels"][1]) == [EOS]


def test_specials_are_never_noise_and_stay_in_the_inputs() -> None:
    rows = text_rows(30, 200, prefix=2, suffix=1)
    out = run(compiled(OPERATION), rows)
    assert (out["input_ids"][:, :2] == BOS).all()
    last = out["attention_mask"].sum(-1) - 1
    assert (out["input_ids"][np.arange(200), last] == EOS).all()
    assert ((out["input_ids"] == EOS).sum(-1) == 1).all()
    assert not (out["labels"] == BOS).any()
    assert ((out["labels"] == EOS).sum(-1) == 1).all()


def test_a_span_is_cut_at_a_document_border() -> None:
    ids, bits = list(range(100, 112)), [WORD] * 12
    bits[7] |= DOCUMENT
    rows = make_rows([ids] * 200, [bits] * 200)
    out = run(compiled(OPERATION, rate=0.5, mean_span=6.0), rows)
    mask = span_masks(rows, rate=0.5, mean_span=6.0)
    crossing = mask[:, 6] & mask[:, 7]
    assert crossing.any()
    for i in np.flatnonzero(crossing):
        targets = target_ids(out["labels"][i])
        assert targets[targets.index(107) - 1] in VOCABULARY.sentinel_ids


def test_a_row_of_very_many_documents_keeps_the_runs_beyond_its_limit_visible() -> None:
    ids = list(range(100, 140))
    rows = make_rows([ids] * 20, [[WORD | DOCUMENT] * 40] * 20)
    apply = compiled(OPERATION, binding(40), rate=0.5, mean_span=5.0, final_sentinel=True)
    out = run(apply, rows)
    for shown, seen, labels in zip(
        out["input_ids"], out["attention_mask"], out["labels"], strict=True
    ):
        targets = target_ids(labels)
        hidden = [x for x in targets if x in ids]
        assert len(hidden) == 4 + 8  # the law's spans and 8 more, one token each
        assert targets[-2] == VOCABULARY.sentinel_ids[12]
        assert restore_spans(unpadded(shown, seen), targets, VOCABULARY) == ids


def test_too_few_sentinels_are_an_error_before_any_row_is_read() -> None:
    compiled(OPERATION, binding(1990))
    with pytest.raises(PolicyError, match=r"need up to 102 sentinels.*has 100"):
        compiled(OPERATION, binding(2048))


def test_a_tokenizer_without_sentinels_is_refused_with_the_remedy() -> None:
    plain = Vocabulary(size=100, mask_id=4)
    with pytest.raises(PolicyError, match="use a tokenizer with more sentinels"):
        compiled(OPERATION, binding(64, plain))


def test_asked_widths_cut_long_rows_and_close_them() -> None:
    apply = compiled(OPERATION, input_length=10, target_length=4)
    out = run(apply, text_rows(40, 20, suffix=1))
    assert out["input_ids"].shape == (20, 10)
    assert out["labels"].shape == (20, 4)
    assert (out["input_ids"][:, -1] == EOS).all()
    assert (out["labels"][:, -1] == EOS).all()


def test_rows_of_the_computed_length_fill_the_asked_widths_exactly() -> None:
    apply = compiled(OPERATION, binding(569), input_length=512, target_length=114)
    out = run(apply, text_rows(568, 20, suffix=1))
    assert (out["attention_mask"] == 1).all()
    assert (out["labels"] != -100).all()
    assert ((out["labels"] == EOS).sum(-1) == 1).all()


def test_literal_pad_and_eos_ids_in_text_are_ordinary_noise() -> None:
    ids = [VOCABULARY.pad_id or 0, EOS] * 20
    rows = make_rows([ids] * 50, [[WORD] * 40] * 50)
    out = run(compiled(OPERATION, append_eos=False), rows)
    assert (out["attention_mask"].sum(-1) == 40 - 6 + 2).all()


def test_decoder_inputs_are_the_labels_moved_right() -> None:
    out = run(compiled(OPERATION, decoder_input_ids=True), text_rows(20, 5))
    count = (out["labels"] != -100).sum(-1)
    for i in range(5):
        expected = [VOCABULARY.pad_id, *out["labels"][i, : count[i] - 1]]
        assert out["decoder_input_ids"][i, : count[i]].tolist() == expected
        assert out["decoder_attention_mask"][i].sum() == count[i]


def test_the_first_sentinel_is_extra_id_0() -> None:
    out = run(compiled(OPERATION), text_rows(20, 5))
    assert (out["labels"][:, 0] == FIRST_SENTINEL).all()
