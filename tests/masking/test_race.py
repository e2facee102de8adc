"""The integer logarithms of weighted races."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from premask.masking import race
from premask.masking.inclusion import exp2
from premask.masking.weights import EXCLUDED, fixed_point


def numbers(low: int, high: int) -> np.ndarray:
    return np.random.default_rng(low).integers(low, high, 20_000).astype(np.int32)


def as_words(number: np.ndarray) -> np.ndarray:
    return (number.astype(np.int64) << 1).astype(np.uint32).view(np.int32)


def exact(number: np.ndarray) -> np.ndarray:
    """log2 of -ln u, from the side of u that keeps its digits."""
    u, rest = (number + 0.5) / 2**31, (2**31 - number.astype(np.int64) - 0.5) / 2**31
    pairs = zip(u, rest, strict=True)
    return np.array([math.log2(-math.log(a) if a < 0.5 else -math.log1p(-b)) for a, b in pairs])


def test_the_tables_are_the_ones_that_masks_were_made_with() -> None:
    digests = [
        hashlib.sha256(table().values.astype("<i4").tobytes()).hexdigest()
        for table in (race.exponential_table, race.odds_table)
    ]
    assert digests == [
        "0e358b926d52c37ae0d70b8762ecb5edb1fe2520433059f6e504b8ea9cf272f8",
        "f94543639c55f9e9ae053c099af1000515eff6c617729ee3b942de147beac420",
    ]


@pytest.mark.parametrize(
    ("low", "high", "error"),
    [
        (0, 2**31 - 1, 1e-3),
        (128, 2**13, 1e-3),
        (2**31 - 2**25, 2**31 - 2**13, 1e-3),
        (2**31 - 2**13, 2**31 - 129, 1e-3),
        (0, 128, 0.5),
        (2**31 - 128, 2**31 - 1, 0.51),
    ],
)
def test_the_logarithm_of_an_exponential_variate_is_as_near_as_declared(
    low: int, high: int, error: float
) -> None:
    number = numbers(low, high)
    got = race.log2_exponential(as_words(number)) / 65536
    assert np.abs(got - exact(number)).max() < error


def test_variates_have_the_mean_and_variance_of_an_exponential() -> None:
    words = np.random.default_rng(4).integers(-(2**31), 2**31, 400_000).astype(np.int32)
    variates = 2.0 ** (race.log2_exponential(words) / 65536)
    assert float(variates.mean()) == pytest.approx(1, abs=0.006)
    assert float(variates.var()) == pytest.approx(1, abs=0.015)


def test_the_logarithm_of_odds_is_near_and_antisymmetric() -> None:
    number = numbers(2**8, 2**31 - 2**8)
    u = (number + 0.5) / 2**31
    got = race.log2_odds(number)
    assert np.abs(got / 65536 - np.log2(u / (1 - u))).max() < 1e-3
    assert np.abs(got + race.log2_odds(2**31 - 1 - number)).max() <= 8


def test_log2_and_exp2_agree_with_libm() -> None:
    x = np.random.default_rng(0).random(10_000) * 1000 + 1e-9
    np.testing.assert_allclose(race.log2(x), np.log2(x), rtol=1e-13, atol=1e-13)
    assert exp2(0) == 1.0
    assert exp2(-640) == pytest.approx(2**-2.5, rel=1e-15)


@pytest.mark.parametrize("bits", [9, 10, 13, 17])
def test_keys_leave_the_places_their_bits(bits: int) -> None:
    words = np.random.default_rng(4).integers(-(2**31), 2**31, 10_000).astype(np.int32)
    extremes = np.array([-(2**31), -1, 0, 1, 2**31 - 1], np.int32)
    for weight in (-(1 << 20), -5000, 0, 5000):
        key = race.race_key(
            np.concatenate([words, extremes]), np.array([weight], np.int32), bits
        )
        assert key.min() >= 0
        assert key.max() < 2 ** (31 - bits)


def test_weights_are_centred_on_the_corpus_and_zero_is_kept_apart() -> None:
    fixed = fixed_point(np.array([1.0, 3.0, -np.inf]), np.array([3, 1, 50]))
    assert fixed.tolist() == [-128, 384, EXCLUDED]


def test_weights_beyond_twelve_octaves_are_clipped() -> None:
    assert fixed_point(np.array([-40.0, 0.0, 40.0]), None).tolist() == [-3072, 0, 3072]
