"""Laws of span lengths, in words: integer inverse-CDF thresholds built on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from premask._errors import PolicyError
from premask.masking._backend import Array, int32
from premask.masking._operation import Parameter
from premask.masking.budget import threshold
from premask.masking.threefry import shift_right_logical

LAWS = ("geometric", "harmonic", "reversed_harmonic", "uniform")

PARAMETERS: Mapping[str, Parameter] = {
    "lengths": Parameter(
        default="geometric",
        kind=(str,),
        choices=LAWS,
        help="law of the length n: geometric (p), harmonic (1/n), its reverse, uniform",
    ),
    "longest": Parameter(
        default=10, kind=(int,), minimum=1, maximum=64, help="the longest span, in words"
    ),
    "p": Parameter(
        default=0.2, minimum=0, maximum=1, help="geometric: chance to stop at a word"
    ),
    "shares": Parameter(
        default=(),
        kind=(tuple, list),
        help="shares of the lengths 1, 2, ...; replaces lengths, longest and p",
    ),
}


def length_shares(parameters: Mapping[str, Any]) -> list[float]:
    """The probabilities of the lengths 1, 2, ..., which add up to 1.

    Raises:
        PolicyError: `shares` holds something else than numbers of at least 0, or only zeros.
    """
    shares = [_checked(share) for share in parameters["shares"]] or _law(parameters)
    whole = sum(shares)
    if not whole > 0:
        raise PolicyError(
            f"the shares of the span lengths add up to {whole:g}; one must be above 0",
            location="policy.shares",
        )
    return [share / whole for share in shares]


def _checked(share: Any) -> float:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not share >= 0:
        raise PolicyError(
            f"expected a share of at least 0, got {share!r}", location="policy.shares"
        )
    return float(share)


def _law(parameters: Mapping[str, Any]) -> list[float]:
    count, law = parameters["longest"], parameters["lengths"]
    if law == "geometric":
        # Products rather than powers: `pow` differs between C libraries. Cut off at the
        # longest length and scaled up again, not clipped to it.
        shares, left = [], 1.0
        for _ in range(count):
            shares.append(parameters["p"] * left)
            left *= 1 - parameters["p"]
        return shares if parameters["p"] > 0 else [1.0] * count
    if law == "uniform":
        return [1.0] * count
    shares = [1 / length for length in range(1, count + 1)]
    return shares if law == "harmonic" else shares[::-1]


def length_thresholds(shares: Sequence[float]) -> list[int]:
    """31-bit thresholds: a length exceeds ``i`` where the word exceeds the i-th threshold."""
    reached, thresholds = 0.0, []
    for share in shares[:-1]:
        reached += share
        thresholds.append(threshold(reached))
    return thresholds


def draw_lengths(word: Array, thresholds: Sequence[int]) -> Array:
    """int32 lengths, one per random word, by inverse CDF."""
    number = shift_right_logical(word, 1)
    lengths = number * 0 + 1
    for level in thresholds:
        lengths = lengths + int32(number > level)
    return lengths
