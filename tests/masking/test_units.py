"""Units: what stays together, what never does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.masking._backend import gather
from premask.masking._layout import segment_starts
from premask.masking._operation import Binding
from premask.masking.collocations import collocation_table, pmi_score
from premask.masking.cover import span_ends
from premask.masking.policy import policy
from premask.masking.units import find_units, unit_starts

from tests.masking.batches import (
    BINDING,
    MASK,
    TRACKS,
    WORD,
    random_rows,
    selected,
    text_of,
    text_rows,
)
from tests.masking.references import units

# [CLS] Barack Obama was born in Hawaii . [SEP]
SENTENCE = ["[CLS]", "Barack", "Obama", "was", "born", "in", "Hawaii", ".", "[SEP]"]
BITS = [1, 2 | 16 | 32, 2 | 32, 2, 2, 2, 2 | 16 | 32, 2, 1]


def words_after(outputs: dict[str, np.ndarray]) -> list[str]:
    ids = outputs["input_ids"][0]
    return ["[MASK]" if token == MASK else SENTENCE[token - 50] for token in ids]


def test_entity_masking_of_barack_obama_was_born_in_hawaii() -> None:
    rows = text_rows(1, BITS, ids=list(range(50, 59)))
    chosen = policy("entity", candidates="entity", rate=1.0, mask=1.0, random=0.0)
    outputs = chosen.bind(BINDING)(rows)
    assert " ".join(words_after(outputs)) == ("[CLS] [MASK] [MASK] was born in [MASK] . [SEP]")
    assert outputs["labels"][0].tolist() == [-100, 51, 52, *[-100] * 3, 56, -100, -100]


def test_barack_obama_is_one_unit_among_six() -> None:
    rows = text_rows(3000, BITS)
    hits = selected(policy("ernie", rate=0.15).bind(BINDING)(rows))
    np.testing.assert_array_equal(hits[:, 1], hits[:, 2])
    assert not hits[:, [0, 8]].any()
    np.testing.assert_allclose(hits[:, [1, 3, 4, 5, 6, 7]].mean(axis=0), 0.15, atol=0.03)


def test_two_entities_side_by_side_never_merge() -> None:
    rows = text_rows(500, [2 | 48, 2 | 32, 2 | 48, 2 | 32, 2, 2, 2, 2])
    hits = selected(policy("entity", rate=0.25).bind(BINDING)(rows))
    assert {tuple(row) for row in hits[:, [0, 2]].tolist()} >= {(True, False), (False, True)}
    np.testing.assert_array_equal(hits[:, 0], hits[:, 1])
    np.testing.assert_array_equal(hits[:, 2], hits[:, 3])


@pytest.mark.parametrize("kind", ["word", "entity", "phrase"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_units_are_masked_whole_or_not_at_all(kind: str, seed: int) -> None:
    rows = random_rows(np.random.default_rng(seed), 10, 60)
    hits = selected(policy("random", units=kind, rate=0.3).bind(BINDING)(rows))
    for row in range(10):
        for unit in units(rows, row, kind):
            assert hits[row, unit].all() or not hits[row, unit].any()


def test_pitfall_10_a_piece_after_a_separator_is_no_part_of_the_word_before_it() -> None:
    rows = text_rows(4000, [1, 2, 2, 1, 0, 2, 2, 1])
    hits = selected(policy("whole_word", rate=0.34).bind(BINDING)(rows))
    together = hits[:, 2] & hits[:, 4]
    assert 0.05 < together.mean() / hits[:, 4].mean() < 0.5


def test_a_piece_after_a_document_border_is_no_part_of_the_word_before_it() -> None:
    rows = text_rows(1000, [1, 2, 0, 8, 0, 2, 1])
    hits = selected(policy("whole_word", rate=0.4).bind(BINDING)(rows))
    np.testing.assert_array_equal(hits[:, 1], hits[:, 2])
    np.testing.assert_array_equal(hits[:, 3], hits[:, 4])
    assert (hits[:, 2] != hits[:, 3]).any()


@pytest.mark.parametrize("within", ["document", "sentence"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_pitfall_11_spans_end_with_their_segment(within: str, seed: int) -> None:
    rows = random_rows(np.random.default_rng(seed), 6, 60)
    member = text_of(rows)
    segment = segment_starts(rows, member, within)
    found = find_units(member, unit_starts(rows, member, "word", within), 60)
    ends = span_ends(found, gather(segment, found.first_BU), 5)
    for row in range(6):
        words = np.flatnonzero(found.present_BU[row])
        for word in words:
            first = int(found.first_BU[row, word])
            later = [i for i in range(first + 1, 60) if segment[row, i] or not member[row, i]]
            border = min([*later, int(rows.lengths[row])])
            reached = found.last_BU[row, word : word + 5]
            inside = [int(end) for end in reached if first <= end < border]
            padded = inside + [inside[-1]] * (5 - len(inside))
            assert [int(end[row, word]) for end in ends] == padded


def test_a_row_that_begins_inside_a_word_or_entity_has_a_fragment_as_its_unit() -> None:
    rows = text_rows(500, [0, 0, 2, 2, 0, 2])
    hits = selected(policy("whole_word", rate=0.34).bind(BINDING)(rows))
    np.testing.assert_array_equal(hits[:, 0], hits[:, 1])
    rows = text_rows(500, [2 | 32, 2 | 32, 2, 2, 2, 2])
    hits = selected(policy("entity", rate=0.34).bind(BINDING)(rows))
    np.testing.assert_array_equal(hits[:, 0], hits[:, 1])
    assert (hits[:, 1] != hits[:, 2]).any()


def test_pitfall_12_independent_draws_and_overshoot_do_not_spare_long_words() -> None:
    rng = np.random.default_rng(2)
    rows = random_rows(rng, 3000, 90, shortest=90)
    bits = np.where(rng.random(rows.boundaries.shape) < 0.5, WORD, 0)
    rows = dataclasses.replace(rows, boundaries=np.where(rows.boundaries & 1, 1, bits))
    lengths = [(row, len(u), u[0]) for row in range(3000) for u in units(rows, row, "word")]
    row, length, first = (np.array(part) for part in zip(*lengths, strict=True))
    for changes, tolerance in (
        ({"selection": "bernoulli"}, 0.04),
        ({"overflow": "under"}, 0.08),
    ):
        hits = selected(policy("whole_word", **changes).bind(BINDING)(rows))[row, first]
        rates = np.array([hits[length == size].mean() for size in (1, 2, 3, 4)])
        np.testing.assert_allclose(rates, hits.mean(), rtol=tolerance)


def test_pitfall_13_all_pieces_of_a_word_can_share_one_decision() -> None:
    rows = text_rows(3000, [2, 0, 0, 2, 0, 0])
    for coherence, same in (("unit", True), ("token", False)):
        chosen = policy("whole_word", rate=0.5, coherence=coherence)
        outputs = chosen.bind(BINDING)(rows)
        masked = (outputs["input_ids"] == MASK)[selected(outputs)].reshape(-1, 3)
        assert bool((masked.all(axis=1) == masked.any(axis=1)).all()) is same


def test_tokens_of_one_run_share_one_decision_in_spans() -> None:
    rows = text_rows(2000, [2] * 40)
    outputs = policy("span").bind(BINDING)(rows)
    hits, masked = selected(outputs), outputs["input_ids"] == MASK
    joined = hits[:, 1:] & hits[:, :-1]
    assert (masked[:, 1:][joined] == masked[:, :-1][joined]).all()
    assert 0.75 < masked[hits].mean() < 0.85


def test_salient_masks_exactly_one_entity_and_nothing_else() -> None:
    rows = random_rows(np.random.default_rng(1), 300, 60)
    hits = selected(policy("salient").bind(BINDING)(rows))
    for row in range(300):
        inside = [
            set(unit)
            for unit in units(rows, row, "entity")
            if rows.boundaries[row, unit[0]] & 48
        ]
        places = set(np.flatnonzero(hits[row]).tolist())
        assert not places if not inside else any(places <= unit for unit in inside)
        assert bool(places) is bool(inside)


def test_salient_can_fall_back_to_a_word_where_there_is_no_entity() -> None:
    rows = text_rows(50, [2, 0, 2, 2])
    assert not selected(policy("salient").bind(BINDING)(rows)).any()
    hits = selected(policy("salient", otherwise="all").bind(BINDING)(rows))
    assert set(hits.sum(axis=1)) == {1, 2}


def test_a_filter_on_parts_of_speech_masks_no_other_word() -> None:
    rows = random_rows(np.random.default_rng(1), 200, 60)
    nouns = [{"by": "pos", "weights": {"NOUN": 1}, "other": 0}]
    chosen = policy("random", weights=nouns, rate=0.5)
    hits = selected(chosen.bind(BINDING)(rows))
    noun = rows.tracks["pos_tags"] == TRACKS["pos_tags"].index("NOUN")
    np.testing.assert_array_equal(hits & noun, hits)
    np.testing.assert_array_equal(hits.any(axis=1), (noun & text_of(rows)).any(axis=1))


@pytest.mark.parametrize(
    ("law", "track", "rising"),
    [({"by": "salience"}, "salience", True), ({"by": "depth"}, "depth", False)],
)
def test_inclusion_rises_with_the_score(
    law: dict[str, object], track: str, rising: bool
) -> None:
    rows = text_rows(20_000, [2] * 6, tracks={track: [1, 2, 4, 8, 120, 250]})
    chosen = policy("random", weights=[law], rate=0.34)
    shares = selected(chosen.bind(BINDING)(rows)).mean(axis=0)
    ordered = shares if rising else shares[::-1]
    assert (np.diff(ordered) > -0.01).all()
    assert ordered[-1] > ordered[0] + 0.2


def test_no_strength_is_uniform() -> None:
    rows = text_rows(20_000, [2] * 4, tracks={"salience": [1, 80, 160, 255]})
    chosen = policy("random", weights=[{"by": "salience", "strength": 0}], rate=0.25)
    shares = selected(chosen.bind(BINDING)(rows)).mean(axis=0)
    np.testing.assert_allclose(shares, 0.25, atol=0.012)


def collocated(*ngrams: list[int]) -> Binding:
    table = collocation_table([[(token,) for token in ngram] for ngram in ngrams])
    return dataclasses.replace(BINDING, tables={"collocations": table})


def units_of(binding: Binding, ids: list[int], bits: list[int] | None = None) -> set[str]:
    """The partitions that the pmi policy uses for one row, as text, over many keys."""
    rows = text_rows(400, bits or [2] * len(ids), ids=ids)
    chosen = policy("pmi", selection="bernoulli", rate=0.5)
    hits = selected(chosen.bind(binding)(rows))
    joined = (hits[:, 1:] == hits[:, :-1]).mean(axis=0)
    return {f"{i}{i + 1}" for i in range(len(ids) - 1) if joined[i] > 0.65}


def test_of_collocations_the_longest_wins() -> None:
    # the united states air force
    binding = collocated([21, 22], [23, 24], [21, 22, 23, 24])
    assert units_of(binding, [20, 21, 22, 23, 24, 25]) == {"12", "23", "34"}


def test_of_two_collocations_that_overlap_each_is_kept_half_the_time() -> None:
    # "by the way out" with {by the way, the way out}
    binding = collocated([20, 21, 22], [21, 22, 23])
    rows = text_rows(4000, [2] * 4, ids=[20, 21, 22, 23])
    chosen = policy("pmi", selection="bernoulli", rate=0.5)
    hits = selected(chosen.bind(binding)(rows))
    np.testing.assert_array_equal(hits[:, 1], hits[:, 2])
    first = (hits[:, 0] == hits[:, 1]).mean()
    last = (hits[:, 2] == hits[:, 3]).mean()
    np.testing.assert_allclose([first, last], 0.75, atol=0.03)


def test_collocations_begin_and_end_with_words_and_cross_no_border() -> None:
    binding = collocated([20, 21])
    assert units_of(binding, [20, 21, 30]) == {"01"}
    assert units_of(binding, [20, 21, 21], [2, 2, 0]) == {"12"}
    assert units_of(binding, [20, 21, 30], [2, 8 | 2, 2]) == set()


def test_the_score_of_a_collocation_is_against_its_best_split() -> None:
    a, b, c = (1,), (2,), (3,)
    counts: dict[tuple[tuple[int, ...], ...], int] = {((),) * n: 100 for n in (1, 2, 3)}
    counts |= {(a,): 10, (b,): 10, (c,): 10, (a, b): 5, (b, c): 2, (a, b, c): 2}
    # Against the split ab|c: log2(0.02 ** 2 / (0.05 * 0.1)).
    assert pmi_score([a, b, c], counts) == pytest.approx(np.log2(0.02**2 / (0.05 * 0.1)))
    assert pmi_score([a, b], counts) == pytest.approx(np.log2(0.05**2 / 0.01))
