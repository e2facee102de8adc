"""Pairs of source and target."""

from __future__ import annotations

import pytest
from premask._errors import PolicyError
from premask.masking._rows import PaddedRows, Vocabulary
from premask.masking.objectives.pairs import OPERATION

from tests.masking.objectives.support import (
    BOS,
    EOS,
    PAD,
    binding,
    compiled,
    make_rows,
    run,
    text_rows,
)

IDS = [[1, 5, 2, 6, 7, 3], [1, 5, 5, 2, 6, 3], [1, 2], [9, 9]]
SEGMENT = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1], [0, 0], [1, 1]]
BITS = [[2] * len(row) for row in IDS]


def pairs() -> PaddedRows:
    return make_rows(IDS, BITS, tracks={"segment": SEGMENT})


def test_labels_are_padded_as_hugging_face_pads_them() -> None:
    out = run(compiled(OPERATION, target_length=3), pairs())
    assert out["labels"][:2].tolist() == [[6, 7, 3], [6, 3, -100]]
    assert out["input_ids"][:2, :4].tolist() == [[1, 5, 2, PAD], [1, 5, 5, 2]]
    assert out["attention_mask"][:2, :4].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_a_missing_side_is_empty() -> None:
    out = run(compiled(OPERATION), pairs())
    assert (out["labels"][2] == -100).all()
    assert out["attention_mask"][3].sum() == 0


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("pad", [[PAD, 6, 7], [PAD, 6, PAD]]),
        ("bos", [[BOS, 6, 7], [BOS, 6, PAD]]),
        ("eos", [[EOS, 6, 7], [EOS, 6, PAD]]),
        ("last", [[3, 6, 7], [3, 6, PAD]]),
    ],
)
def test_decoder_inputs_start_as_the_model_expects(
    start: str, expected: list[list[int]]
) -> None:
    apply = compiled(OPERATION, target_length=3, decoder_input_ids=True, decoder_start=start)
    out = run(apply, pairs())
    assert out["decoder_input_ids"][:2].tolist() == expected
    assert out["decoder_attention_mask"][:2].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_long_sides_are_cut_to_the_asked_widths() -> None:
    out = run(compiled(OPERATION, input_length=2, target_length=1), pairs())
    assert out["input_ids"].tolist()[:2] == [[1, 5], [1, 5]]
    assert out["labels"].tolist()[:2] == [[6], [6]]


def test_rows_without_the_track_are_refused() -> None:
    with pytest.raises(PolicyError, match="no track segment, only none"):
        run(compiled(OPERATION), text_rows(4, 1))
    assert OPERATION.needs({}) == ("segment",)


def test_a_start_token_that_the_tokenizer_lacks_is_refused() -> None:
    with pytest.raises(PolicyError, match="no cls token"):
        compiled(
            OPERATION,
            binding(64, Vocabulary(size=9)),
            decoder_input_ids=True,
            decoder_start="cls",
        )
