"""BART's denoising: the law of each noise, and the same draws done row by row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from premask._errors import PolicyError
from premask.masking._rows import PaddedRows, Vocabulary
from premask.masking.objectives._chance import pick, race
from premask.masking.objectives._infilling import SPARE_DRAWS, poisson_thresholds
from premask.masking.objectives.denoising import OPERATION
from premask.masking.objectives.restore import unpadded
from premask.masking.threefry import LENGTHS, SECOND, SELECT, words

from tests.masking.objectives.support import (
    BOS,
    DOCUMENT,
    EOS,
    MASK,
    SENTENCE,
    SPECIAL,
    VOCABULARY,
    WORD,
    assert_law,
    binding,
    compiled,
    keys_of,
    make_rows,
    ragged_rows,
    run,
    text_rows,
)

INFILL: dict[str, Any] = {"permute": 0.0, "mask_random": 0.0}
QUIET: dict[str, Any] = INFILL | {"mask": 0.0}
POISSON = [math.exp(-3.5) * 3.5**k / math.factorial(k) for k in range(40)]


def shown(out: dict[str, Any], i: int) -> list[int]:
    return unpadded(out["input_ids"][i], out["attention_mask"][i])


def test_span_lengths_follow_the_poisson_law() -> None:
    assert len(poisson_thresholds(3.0)) + 1 == 18
    draws = words(keys_of(text_rows(1, 200)), 200, LENGTHS)[0]
    counts = np.bincount(np.asarray(pick(draws, poisson_thresholds(3.5))).ravel())
    tail = [*POISSON[:12], sum(POISSON[12:])]
    assert_law([*counts[:12], counts[12:].sum()], tail)


def lengths_of_loop(draws: list[int], budget: int, num_words: int, mean: float) -> list[int]:
    """Lengths until they sum to the budget, the last one cut; plain Python."""
    chances: list[float] = []
    while len(chances) < 128 and (not chances or chances[-1] >= 1e-7):
        k = len(chances)
        chances.append(math.exp(-mean) * mean**k / math.factorial(k))
    limits = np.round(np.cumsum(chances)[:-1] / sum(chances) * 2**31) - 1
    lengths: list[int] = []
    for draw in draws[: num_words + SPARE_DRAWS]:
        if sum(lengths) >= budget:
            break
        lengths.append(min(int((draw > limits).sum()), budget - sum(lengths)))
    return lengths


def infill_loop(
    tokens: list[int], starts: list[bool], keys: list[int], lengths: list[int]
) -> list[int]:
    """Infilling of one segment of text, span by span; empty spans are left out."""
    begins = [i for i, start in enumerate(starts) if start]
    order = sorted(begins, key=lambda i: (keys[i], i))
    inner: set[int] = set()
    for begin, length in zip(order, filter(None, lengths), strict=False):
        end = begins.index(begin) + length
        inner |= set(range(begin + 1, begins[end] if end < len(begins) else len(tokens)))
    first = set(order[: sum(length > 0 for length in lengths)]) - inner
    return [MASK if i in first else x for i, x in enumerate(tokens) if i not in inner]


def word_rows(count: int, num_tokens: int = 40) -> PaddedRows:
    """Rows of one document with words of one to several tokens, between BOS and EOS."""
    random = np.random.default_rng(5)
    ids, bits = [], []
    for _ in range(count):
        length = int(random.integers(1, num_tokens + 1))
        flags = WORD * (random.random(length) < 0.6)
        ids.append([BOS, *range(100, 100 + length), EOS])
        bits.append([SPECIAL, *flags.tolist(), SPECIAL])
    return make_rows(ids, bits)


def test_infilling_equals_a_plain_loop_on_the_same_draws() -> None:
    rows = word_rows(600)
    out = run(compiled(OPERATION, **INFILL), rows)
    width = rows.input_ids.shape[1]
    key = keys_of(rows)
    draws = np.asarray(words(key, width + SPARE_DRAWS, LENGTHS)[0]).astype(np.int64)
    draws = (draws & 0xFFFFFFFF) >> 1
    keys = (np.asarray(words(key, width, SELECT)[0]).astype(np.int64) & 0xFFFFFFFF) >> 10
    num_inserted = 0
    for i, n in enumerate(rows.lengths):
        starts = ((rows.boundaries[i, 1 : n - 1] & WORD) != 0).tolist()
        starts[0] = True
        budget = -(-sum(starts) * 3 // 10)
        lengths = lengths_of_loop(draws[i].tolist(), budget, sum(starts), 3.5)
        assert sum(lengths) == budget
        tokens = rows.input_ids[i, 1 : n - 1].tolist()
        expected = infill_loop(tokens, starts, keys[i, 1:].tolist(), lengths)
        inserts = min(lengths.count(0), len(tokens) - len(expected))
        num_inserted += inserts
        found = shown(out, i)
        assert (found[0], found[-1]) == (BOS, EOS)
        assert len(found) - 2 == len(expected) + inserts
        assert [x for x in found[1:-1] if x != MASK] == [x for x in expected if x != MASK]
        assert found.count(MASK) == expected.count(MASK) + inserts
        if not inserts:
            assert found[1:-1] == expected
    assert num_inserted > 20


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(token in rest for token in part)


@pytest.mark.parametrize("replace_length", [-1, 0, 1])
def test_visible_tokens_are_a_subsequence_of_the_labels(replace_length: int) -> None:
    rows = ragged_rows(9, num_rows=60)
    rows.input_ids[rows.input_ids == MASK] = 5
    out = run(compiled(OPERATION, **INFILL, replace_length=replace_length), rows)
    for i, n in enumerate(rows.lengths):
        visible = [x for x in shown(out, i) if x != MASK]
        assert is_subsequence(visible, rows.input_ids[i, :n].tolist())
        assert out["labels"][i, :n].tolist() == rows.input_ids[i, :n].tolist()
        if replace_length < 0:
            assert out["attention_mask"][i].sum() == n


def test_rows_never_grow_without_insertion() -> None:
    rows = ragged_rows(13, num_rows=200)
    out = run(compiled(OPERATION, poisson_mean=0.5), rows)
    assert out["input_ids"].shape == rows.input_ids.shape
    assert (out["attention_mask"].sum(-1) <= rows.lengths).all()


def test_a_share_of_masks_are_ordinary_random_tokens() -> None:
    rows = text_rows(60, 2000, prefix=1, suffix=1)
    apply = compiled(OPERATION, permute=0.0, mask_length="word", replace_length=-1)
    inputs = run(apply, rows)["input_ids"]
    changed = inputs != rows.input_ids
    masks = (inputs == MASK).sum()
    others = inputs[changed & (inputs != MASK)]
    share = len(others) / (len(others) + masks)
    assert abs(share - 0.1) < 4.5 * (0.09 / (len(others) + masks)) ** 0.5
    ranges = VOCABULARY.replacement_ranges
    assert all(any(low <= x < high for low, high in ranges) for x in others)


SENTENCES = make_rows(
    [[BOS, 100, 101, 110, 120, 121, 122, 130, 131, EOS]] * 24_000,
    [[SPECIAL, SENTENCE, WORD, SENTENCE, SENTENCE, WORD, WORD, SENTENCE, WORD, SPECIAL]]
    * 24_000,
    seeds=range(24_000),
)
PARTS = {100: [100, 101], 110: [110], 120: [120, 121, 122], 130: [130, 131]}


def sentence_orders(**changes: Any) -> list[tuple[int, ...]]:
    out = run(compiled(OPERATION, **(QUIET | changes)), SENTENCES)["input_ids"]
    orders = []
    for row in out.tolist():
        order = tuple(x for x in row if x in PARTS)
        assert row == [BOS, *(x for first in order for x in PARTS[first]), EOS]
        orders.append(order)
    return orders


def test_every_order_of_sentences_is_equally_likely() -> None:
    orders = sentence_orders(permute=1.0)
    counts = [orders.count(order) for order in sorted(set(orders))]
    assert len(counts) == 24
    assert_law(counts, [1] * 24)


def test_a_share_of_sentences_changes_places_among_itself() -> None:
    orders = sentence_orders(permute=0.5)
    home = (100, 110, 120, 130)
    moved = [sum(a != b for a, b in zip(order, home, strict=True)) for order in orders]
    # Two of four sentences, any two of them, swapped in half of the rows.
    assert set(moved) == {0, 2}
    assert_law([moved.count(0), moved.count(2)], [1, 1])
    swaps = [order for order in orders if order != home]
    assert_law([swaps.count(order) for order in sorted(set(swaps))], [1] * 6)


def test_sentences_stay_in_their_document_and_specials_in_their_place() -> None:
    ids = [BOS, 10, 11, 12, EOS, 20, 21, 22, 30, 31, EOS]
    bits = [SPECIAL, SENTENCE, SENTENCE, SENTENCE, SPECIAL, SENTENCE, SENTENCE, SENTENCE]
    bits += [SENTENCE | DOCUMENT, SENTENCE, SPECIAL]
    rows = make_rows([ids] * 7200, [bits] * 7200)
    out = run(compiled(OPERATION, **(QUIET | {"permute": 1.0})), rows)["input_ids"]
    assert (out[:, [0, 4, 10]] == [BOS, EOS, EOS]).all()
    assert (np.sort(out[:, 1:4]) == [10, 11, 12]).all()
    assert (np.sort(out[:, 5:8]) == [20, 21, 22]).all()
    assert (np.sort(out[:, 8:10]) == [30, 31]).all()
    _, counts = np.unique(out, axis=0, return_counts=True)
    assert_law(counts, [1] * 72)


def test_a_permutation_of_sentences_keeps_every_token() -> None:
    rows = ragged_rows(31, num_rows=100)
    out = run(compiled(OPERATION, **(QUIET | {"permute": 0.7})), rows)
    for i, n in enumerate(rows.lengths):
        assert sorted(shown(out, i)) == sorted(rows.input_ids[i, :n].tolist())


def test_the_order_of_sentences_is_that_of_the_drawn_keys() -> None:
    rows = SENTENCES
    orders = sentence_orders(permute=1.0)[:200]
    word = words(keys_of(rows), rows.input_ids.shape[1], SECOND)[0]
    everywhere = np.ones(word.shape, bool)
    keys = np.asarray(race(word, everywhere, binding().position_bits))
    firsts = [100, 110, 120, 130]  # units 1 to 4; unit 0 is BOS
    for i, order in enumerate(orders):
        drawn = sorted(range(4), key=lambda unit: int(keys[i, unit + 1]))
        assert order == tuple(firsts[unit] for unit in drawn)


def test_rotation_is_uniform_and_leaves_the_ends() -> None:
    rows = text_rows(9, 18_000, prefix=1, suffix=1)
    out = run(compiled(OPERATION, **(QUIET | {"rotate": 1.0})), rows)["input_ids"]
    assert (out[:, 0] == BOS).all()
    assert (out[:, -1] == EOS).all()
    turns = out[:, 1] - 100
    assert_law(np.bincount(turns, minlength=9), [1] * 9)
    for turn, row in zip(turns[:100], out[:100], strict=True):
        assert np.roll(row[1:-1], turn).tolist() == list(range(100, 109))


def test_a_share_of_rows_is_rotated() -> None:
    rows = text_rows(50, 4000)
    out = run(compiled(OPERATION, **(QUIET | {"rotate": 0.5})), rows)["input_ids"]
    turned = int((out[:, 0] != 100).sum())
    assert_law([turned, 4000 - turned], [0.5 * 49 / 50, 0.5 + 0.5 / 50])


def test_inserted_masks_fall_uniformly_and_their_number_is_exact() -> None:
    rows = text_rows(8, 6000, prefix=1, suffix=1)
    out = run(compiled(OPERATION, **(QUIET | {"insert": 0.25})), rows)
    assert out["input_ids"].shape[1] == 10 + 3  # ceil(0.25 * 10)
    assert (out["attention_mask"].sum(-1) == 12).all()
    body = out["input_ids"][:, 1:11]
    assert ((body == MASK).sum(-1) == 2).all()
    pairs = [tuple(np.flatnonzero(row == MASK)) for row in body]
    assert_law([pairs.count(pair) for pair in sorted(set(pairs))], [1] * 45)


def test_no_noise_leaves_rows_as_they_are() -> None:
    rows = ragged_rows(2, num_rows=50)
    out = run(compiled(OPERATION, **QUIET), rows)
    for i, n in enumerate(rows.lengths):
        assert shown(out, i) == rows.input_ids[i, :n].tolist()


def test_a_row_of_one_word_becomes_one_mask() -> None:
    rows = make_rows([[BOS, 7, 8, EOS]] * 50, [[SPECIAL, WORD, 0, SPECIAL]] * 50)
    out = run(compiled(OPERATION, **INFILL), rows)
    seen = {tuple(shown(out, i)) for i in range(50)}
    # A span of length zero before it may insert one mask for the token that was removed.
    assert seen == {(BOS, MASK, EOS), (BOS, MASK, MASK, EOS)}


def test_fairseq_decoder_inputs_move_the_last_token_to_the_front() -> None:
    apply = compiled(OPERATION, decoder_input_ids=True, decoder_start="last")
    out = run(apply, text_rows(3, 2, prefix=1, suffix=1))
    assert out["decoder_input_ids"][0].tolist() == [EOS, BOS, 100, 101, 102]


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    with pytest.raises(PolicyError, match="neither a mask token nor a sentinel"):
        compiled(OPERATION, binding(64, Vocabulary(size=9, replacement_ranges=((0, 9),))))
    with pytest.raises(PolicyError, match="ordinary token ids"):
        compiled(OPERATION, binding(64, Vocabulary(size=9, mask_id=1)))


def test_sentence_starts_are_needed_only_to_permute() -> None:
    assert OPERATION.needs({"permute": 1.0}) == ("sentence_start",)
    assert OPERATION.needs({"permute": 0.0}) == ()
