"""Each selection against its exact law, by enumeration: Pearson's chi-square, fixed seeds."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from premask.masking import threefry
from premask.masking._operation import Binding
from premask.masking.policy import Policy, policy
from premask.masking.span_lengths import draw_lengths, length_shares, length_thresholds

from tests.masking.batches import BINDING, MASK, chi_square, random_keys, selected, text_rows
from tests.masking.references import race_over_units

NUM_ROWS = 40_000
LEVEL = 1e-4  # of about 40 tests with fixed seeds
WORDS = [2, 2, 0, 2, 2, 0, 0, 2]  # units of 1, 2, 1, 3 and 1 tokens
PARTS = [[0], [1, 2], [3], [4, 5, 6], [7]]


def patterns(
    chosen: Policy, boundaries: list[int], binding: Binding = BINDING, seed: int = 0
) -> Counter[tuple[int, ...]]:
    """How often each set of positions is selected."""
    rows = text_rows(NUM_ROWS, boundaries, seed=seed)
    hits = selected(chosen.bind(binding)(rows))
    codes, counts = np.unique(hits @ (1 << np.arange(hits.shape[1])), return_counts=True)
    return Counter(
        {
            tuple(i for i in range(hits.shape[1]) if int(code) >> i & 1): int(count)
            for code, count in zip(codes, counts, strict=True)
        }
    )


def assert_law(
    observed: Mapping[tuple[int, ...], int],
    expected: Mapping[tuple[int, ...], float | Fraction],
) -> None:
    likely = {key: float(chance) for key, chance in expected.items() if chance > 0}
    assert set(observed) <= set(likely)
    counts = np.array([observed.get(key, 0) for key in likely], np.float64)
    means = np.array([chance * counts.sum() for chance in likely.values()])
    assert chi_square(counts, means) > LEVEL


def over_orders(
    take: Callable[[list[list[int]]], set[int]],
) -> dict[tuple[int, ...], Fraction]:
    """The law of what `take` makes of the parts in uniformly random order."""
    law: dict[tuple[int, ...], Fraction] = {}
    orders = list(itertools.permutations(PARTS))
    for order in orders:
        key = tuple(sorted(take(list(order))))
        law[key] = law.get(key, Fraction(0)) + Fraction(1, len(orders))
    return law


def test_every_pair_of_six_tokens_is_equally_likely() -> None:
    observed = patterns(policy("random", rate=0.34), [2] * 6)
    pairs = list(itertools.combinations(range(6), 2))
    assert_law(observed, dict.fromkeys(pairs, Fraction(1, 15)))


@pytest.mark.parametrize("overflow", ["skip", "stop", "under", "cut"])
@pytest.mark.parametrize("limit", [2, 3, 4])
def test_whole_words_follow_the_law_of_random_orders(overflow: str, limit: int) -> None:
    chosen = policy("whole_word", overflow=overflow, rate=limit / 8)
    law = over_orders(
        lambda order: race_over_units(order, limit, overflow=overflow, fallback="whole")
    )
    assert_law(patterns(chosen, WORDS, seed=limit), law)


def successive(weights: list[float], size: int) -> dict[tuple[int, ...], float]:
    """Sets drawn one by one, each in proportion to the weights that are left."""
    law: dict[tuple[int, ...], float] = {}
    for order in itertools.permutations(range(len(weights)), size):
        chance, left = 1.0, sum(weights)
        for place in order:
            chance *= weights[place] / left
            left -= weights[place]
        key = tuple(sorted(order))
        law[key] = law.get(key, 0.0) + chance
    return law


def weighted(weights: Sequence[float]) -> Binding:
    """The test binding, with these weights for the token ids 10, 11, ..."""
    table = np.zeros(200)
    table[10 : 10 + len(weights)] = weights
    return dataclasses.replace(BINDING, tables={"weights": table})


@pytest.mark.parametrize(
    "weights", [[1, 2, 1, 4, 1], [8, 1, 1, 1, 0.25], [64, 1, 1, 1, 1 / 64]]
)
def test_a_weighted_race_follows_successive_sampling(weights: list[float]) -> None:
    chosen = policy("random", rate=0.4, weights=["table"])
    observed = patterns(chosen, [2] * 5, weighted(weights), seed=3)
    assert_law(observed, successive(weights, 2))


def test_of_two_tokens_that_weigh_1_and_4_the_first_wins_one_time_in_five() -> None:
    chosen = policy("random", rate=0.5, weights=["table"])
    assert_law(patterns(chosen, [2, 2], weighted([1, 4])), {(0,): 0.2, (1,): 0.8})


def test_a_weight_of_zero_is_never_selected() -> None:
    chosen = policy("random", rate=0.6, weights=["table"])
    observed = patterns(chosen, [2] * 5, weighted([1, 0, 1, 1, 1]))
    assert not any(1 in key for key in observed)


def inclusion(observed: Mapping[tuple[int, ...], int], length: int) -> np.ndarray:
    shares = np.zeros(length)
    for key, count in observed.items():
        shares[list(key)] += count
    return shares / sum(observed.values())


def test_pareto_sampling_includes_in_proportion_to_weights() -> None:
    weights = [1, 2, 4, 1, 2, 4, 1, 1, 2, 2]
    chosen = policy("random", rate=0.3, weights=["table"], selection="pareto")
    shares = inclusion(patterns(chosen, [2] * 10, weighted(weights)), 10)
    wanted = 3 * np.array(weights) / sum(weights)
    np.testing.assert_allclose(shares, wanted, rtol=0.04)


def test_a_race_includes_heavy_tokens_less_than_in_proportion() -> None:
    weights = [1, 2, 4, 1, 2, 4, 1, 1, 2, 2]
    chosen = policy("random", rate=0.3, weights=["table"])
    shares = inclusion(patterns(chosen, [2] * 10, weighted(weights)), 10)
    assert (shares[[2, 5]] < 3 * 4 / sum(weights) - 0.03).all()


def test_a_certain_candidate_of_pareto_sampling_is_always_included() -> None:
    chosen = policy("random", rate=0.5, weights=["table"], selection="pareto")
    shares = inclusion(patterns(chosen, [2] * 4, weighted([64, 1, 1, 1])), 4)
    assert shares[0] == 1.0


def test_independent_units_are_selected_whatever_their_length() -> None:
    chosen = policy("ernie", rate=0.3)
    law = {}
    for flags in itertools.product([0, 1], repeat=5):
        key = tuple(i for flag, part in zip(flags, PARTS, strict=True) if flag for i in part)
        law[key] = 0.3 ** sum(flags) * 0.7 ** (5 - sum(flags))
    assert_law(patterns(chosen, WORDS), law)


def test_weighted_bernoulli_keeps_the_rate_of_the_corpus() -> None:
    counts = np.zeros(200, np.int64)
    counts[10:14] = [4000, 2000, 1000, 1000]
    binding = dataclasses.replace(BINDING, tables={"counts": counts})
    laws = [{"by": "inverse_power", "alpha": 1.0}]
    chosen = policy("bernoulli", weights=laws, rate=0.2)
    shares = inclusion(patterns(chosen, [2] * 4, binding), 4)
    assert float((shares * counts[10:14]).sum() / 8000) == pytest.approx(0.2, abs=0.005)
    np.testing.assert_allclose(shares / shares[0], [1, 2, 4, 4], rtol=0.1)


def test_stochastic_rounding_adds_one_as_often_as_the_fraction_says() -> None:
    observed = patterns(policy("roberta", rate=0.3), [2] * 8)
    sizes: Counter[tuple[int, ...]] = Counter({(2,): 0, (3,): 0})
    for key, count in observed.items():
        sizes[(len(key),)] += count
    assert_law(sizes, {(2,): 0.6, (3,): 0.4})


def lengths_by_word(shares: list[float]) -> list[tuple[tuple[int, ...], float]]:
    """All draws of a length for each of four words, with their chances."""
    sizes = range(1, len(shares) + 1)
    draws = itertools.product(sizes, repeat=4)
    return [(draw, float(np.prod([shares[n - 1] for n in draw]))) for draw in draws]


ROW = [2, 2, 0, 2, 2]  # words of 1, 2, 1 and 1 tokens
ROW_PARTS = [[0], [1, 2], [3], [4]]


@pytest.mark.parametrize("limit", [2, 3])
def test_spans_follow_the_enumerated_law_of_spanbert(limit: int) -> None:
    chosen = policy("span", rate=limit / 5, longest=3, p=0.4)
    of_token = [0, 1, 1, 2, 3]
    law: dict[tuple[int, ...], float] = {}
    for draw, chance in lengths_by_word(length_shares(chosen.parameters)):
        for order in itertools.permutations(range(5)):
            masked: list[int] = []
            for anchor in order:
                if anchor in masked or len(masked) >= limit:
                    continue
                word = of_token[anchor]
                span = [i for part in ROW_PARTS[word : word + draw[word]] for i in part]
                masked += [i for i in span if i not in masked][: limit - len(masked)]
            key = tuple(sorted(masked))
            law[key] = law.get(key, 0.0) + chance / 120
    assert_law(patterns(chosen, ROW, seed=limit), law)


@pytest.mark.parametrize("limit", [1, 3])
def test_ngrams_follow_the_enumerated_law_of_albert(limit: int) -> None:
    chosen = policy("ngram", rate=limit / 5)
    law: dict[tuple[int, ...], float] = {}
    for draw, chance in lengths_by_word([6 / 11, 3 / 11, 2 / 11]):
        for order in itertools.permutations(range(4)):
            masked: set[int] = set()
            for word in order:
                span = ROW_PARTS[word : word + draw[word]]
                while sum(map(len, span)) > limit - len(masked):
                    span = span[:-1]
                tokens = {i for part in span for i in part}
                masked |= tokens if not tokens & masked else set()
            key = tuple(sorted(masked))
            law[key] = law.get(key, 0.0) + chance / 24
    assert_law(patterns(chosen, ROW, seed=limit), law)


@pytest.mark.parametrize(
    ("changes", "mean"),
    [
        ({"lengths": "geometric", "longest": 10, "p": 0.2}, 3.797),
        ({"lengths": "harmonic", "longest": 3}, 1.636),
        ({"lengths": "reversed_harmonic", "longest": 3}, 2.364),
        ({"lengths": "uniform", "longest": 5}, 3.0),
        ({"shares": [0.4, 0.3, 0.2, 0.1]}, 2.0),
    ],
)
def test_span_lengths_follow_their_law(changes: dict[str, object], mean: float) -> None:
    shares = length_shares(policy("span", **changes).parameters)
    keys = random_keys(np.random.default_rng(1), NUM_ROWS)
    drawn = draw_lengths(threefry.words(keys, 1, 2)[0], length_thresholds(shares))
    counts = np.bincount(drawn[:, 0], minlength=len(shares) + 1)[1:].astype(np.float64)
    assert chi_square(counts, np.array(shares) * NUM_ROWS) > LEVEL
    expected = float(np.dot(shares, np.arange(1, len(shares) + 1)))
    assert expected == pytest.approx(mean, abs=1e-3)


def corrupted(chosen: Policy) -> np.ndarray:
    """What ten thousands of selected tokens, all of id 50, become."""
    rows = text_rows(NUM_ROWS, [2] * 10, ids=[50] * 10, seed=7)
    outputs = chosen.bind(BINDING)(rows)
    return np.asarray(outputs["input_ids"][selected(outputs)])


def test_eight_of_ten_are_masked_one_is_random_and_one_stays() -> None:
    ids = corrupted(policy("random", rate=0.5))
    ordinary = 170
    counts = np.array([(ids == MASK).sum(), (ids == 50).sum()], np.float64)
    counts = np.append(counts, len(ids) - counts.sum())
    shares = np.array([0.8, 0.1 + 0.1 / ordinary, 0.1 * (ordinary - 1) / ordinary])
    assert chi_square(counts, shares * len(ids)) > LEVEL


def test_random_tokens_are_uniform_over_all_ordinary_ids_and_no_other() -> None:
    ids = corrupted(policy("random", rate=0.5, mask=0.0, random=1.0))
    ordinary = [*range(10, 100), *range(120, 200)]
    counts = np.bincount(ids, minlength=200)
    assert counts.sum() == counts[ordinary].sum()
    assert chi_square(counts[ordinary], np.full(170, len(ids) / 170)) > LEVEL


def test_random_tokens_by_frequency_follow_the_counts() -> None:
    chosen = policy("random", rate=0.5, mask=0.2, random=0.8, random_from="unigram")
    ids = corrupted(chosen)
    ids = ids[ids != MASK]
    ordinary = np.array([*range(10, 100), *range(120, 200)])
    weights = BINDING.tables["counts"][ordinary].astype(np.float64)
    counts = np.bincount(ids, minlength=200)[ordinary].astype(np.float64)
    assert chi_square(counts, weights / weights.sum() * len(ids)) > LEVEL


def test_special_ids_come_only_when_asked_for() -> None:
    ids = corrupted(policy("random", rate=0.5, mask=0.0, random=1.0, random_special=True))
    assert set(np.unique(ids)) == set(range(200))


def test_a_mixture_draws_its_policies_by_their_shares() -> None:
    members = [{"preset": "random", "rate": rate} for rate in (0.1, 0.2, 0.3)]
    chosen = policy("mixture", policies=members, shares=[0.5, 0.3, 0.2])
    sizes: Counter[tuple[int, ...]] = Counter({(1,): 0, (2,): 0, (3,): 0})
    for key, count in patterns(chosen, [2] * 10).items():
        sizes[(len(key),)] += count
    assert_law(sizes, {(1,): 0.5, (2,): 0.3, (3,): 0.2})


def test_two_epochs_overlap_as_two_independent_masks_do() -> None:
    rows = text_rows(2000, [2] * 100)
    function = policy("random", rate=0.15).bind(dataclasses.replace(BINDING, max_length=100))
    both = selected(function(rows, 0)) & selected(function(rows, 1))
    assert both.sum() / 2000 == pytest.approx(0.15 * 15, rel=0.05)
