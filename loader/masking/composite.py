"""Policies made of policies: mixtures, schedules, and schedules of the rate.

A composite has members and a rule that names one of them: for each row (a word of the row's own
key), for the batch, or by the progress of training. A row is masked exactly as under the policy
it fell to, alone. What depends on the step of a run (``per: batch``, ``steps``) is a function
of that step as well, and cannot be frozen.

Cost: on NumPy each row goes through its own member only; torch and JAX run all members that may
be needed and choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from premask._errors import PolicyError
from premask.masking._backend import Array, full, int32
from premask.masking._operation import Parameter
from premask.masking._rows import PaddedRows
from premask.masking.budget import threshold
from premask.masking.threefry import ROW, mask_key, shift_right_logical, words

# (rows, epoch, step) -> the member of every row: an int for all, or int32 [B]
Choose = Callable[[PaddedRows, int | Array, int | None], int | Array]

RATE_LAWS: Mapping[str, Callable[[float, float], float]] = {
    # Of the average rate p and the progress t from 0 to 1; Yang et al. 2023.
    "descending": lambda p, t: 2 * p * (1 - t),
    "ascending": lambda p, t: 2 * p * t,
    "cosine": lambda p, t: p * (1 + math.cos(math.pi * t)) + 0.02,
    "square_below": lambda p, t: 2 * p * (t - 1) ** 2,
    "square_above": lambda p, t: 2 * p * (1 - t * t) + 0.01,
}

_POLICIES = Parameter(
    default=(), kind=(tuple, list), help="policies: names of presets, or mappings"
)
_EPOCHS = Parameter(default=None, kind=(int,), minimum=1, help="epochs of the whole training")
_STEPS = Parameter(
    default=None, kind=(int,), minimum=1, help="steps of the whole training, instead of epochs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """One way to combine policies.

    Attributes:
        parameters: by name.
        members: (parameters) to the member policies, in any form that `policy` takes.
        choose: (parameters, policy word) to the rule.
    """

    name: str
    parameters: Mapping[str, Parameter]
    members: Callable[[Mapping[str, Any]], list[Any]]
    choose: Callable[[Mapping[str, Any], int], Choose]


def _listed(parameters: Mapping[str, Any]) -> list[Any]:
    if not parameters["policies"]:
        raise PolicyError("there is no policy to choose from", location="policy.policies")
    return list(parameters["policies"])


def _choose_by_share(parameters: Mapping[str, Any], word: int) -> Choose:
    count = len(_listed(parameters))
    shares = list(parameters["shares"]) or [1.0] * count
    numbers = [share for share in shares if isinstance(share, (int, float)) and share >= 0]
    if len(numbers) != count or len(shares) != count or not sum(numbers) > 0:
        raise PolicyError(
            f"expected {count} shares of at least 0, one per policy, got {shares}",
            location="policy.shares",
        )
    levels = [threshold(sum(numbers[: k + 1]) / sum(numbers)) for k in range(count - 1)]

    def per_row(rows: PaddedRows, epoch: int | Array, step: int | None) -> Array:
        del step
        key = mask_key(rows.keys, word, epoch)
        number = shift_right_logical(words(key, 1, ROW)[0][:, 0], 1)
        return sum((int32(number > level) for level in levels), number * 0)

    def per_batch(rows: PaddedRows, epoch: int | Array, step: int | None) -> Array:
        # The same key for all rows: the step in place of a row's seed.
        step = _needed_step(step)
        shared = full(rows.keys, (rows.keys.shape[0], 2), 0) + full(rows.keys, (1, 2), step)
        key = mask_key(shared, word, epoch)
        number = shift_right_logical(words(key, 1, ROW)[0][:, 0], 1)
        return sum((int32(number > level) for level in levels), number * 0)

    return per_row if parameters["per"] == "row" else per_batch


def _needed_step(step: int | None) -> int:
    if step is None:
        raise PolicyError(
            "this policy depends on the step of the run, which was not given; "
            "pass step=, or use epochs instead of steps and per: row instead of per: batch",
            location="policy",
        )
    return step


def _choose_by_progress(parameters: Mapping[str, Any], ends: list[float]) -> Choose:
    epochs, steps = parameters["epochs"], parameters["steps"]
    if (epochs is None) == (steps is None):
        raise PolicyError(
            "a schedule needs the length of the training: either epochs or steps",
            location="policy.epochs",
        )
    whole = epochs if steps is None else steps
    # A window begins with the first epoch (or step) at or after its share of the training.
    begins = [math.ceil(end * whole - 1e-9) for end in ends[:-1]]

    def choose(rows: PaddedRows, epoch: int | Array, step: int | None) -> int | Array:
        del rows
        now = epoch if steps is None else _needed_step(step)
        if isinstance(now, int):
            return sum(now >= begin for begin in begins)
        return sum((int32(now >= begin) for begin in begins), int32(now) * 0)

    return choose


def _choose_window(parameters: Mapping[str, Any], word: int) -> Choose:
    del word
    count, until = len(_listed(parameters)), list(parameters["until"])
    ends = until or [(index + 1) / count for index in range(count)]
    numbers = all(isinstance(end, (int, float)) for end in ends)
    if len(ends) != count or not numbers or ends != sorted(ends) or ends[-1] != 1:
        raise PolicyError(
            f"expected {count} ascending shares of the training that end with 1, got {ends}",
            location="policy.until",
        )
    return _choose_by_progress(parameters, ends)


def rate_at(law: str, rate: float, progress: float) -> float:
    """The rate of a law at `progress` from 0 to 1, within 0 and 1, to six decimals."""
    return round(min(1.0, max(0.0, RATE_LAWS[law](rate, progress))), 6)


def _rated(parameters: Mapping[str, Any]) -> list[Any]:
    (base,) = _listed({"policies": parameters["policies"][:1]})
    count = parameters["windows"]
    rates = [
        rate_at(parameters["law"], parameters["rate"], index / (count - 1))
        for index in range(count)
    ]
    return [{**base, "rate": rate} for rate in rates]


def _choose_rate(parameters: Mapping[str, Any], word: int) -> Choose:
    del word
    count = parameters["windows"]
    return _choose_by_progress(parameters, [(index + 1) / count for index in range(count)])


COMPOSITES: Mapping[str, Composite] = {
    "mixture": Composite(
        name="mixture",
        parameters={
            "policies": _POLICIES,
            "shares": Parameter(
                default=(),
                kind=(tuple, list),
                help="the share of each policy; none: equal shares",
            ),
            "per": Parameter(
                default="row",
                kind=(str,),
                choices=("row", "batch"),
                help="what draws a policy: every row, or every batch (step) as a whole",
            ),
        },
        members=_listed,
        choose=_choose_by_share,
    ),
    "schedule": Composite(
        name="schedule",
        parameters={
            "policies": _POLICIES,
            "until": Parameter(
                default=(),
                kind=(tuple, list),
                help="the share of the training at which each policy ends; none: equal parts",
            ),
            "epochs": _EPOCHS,
            "steps": _STEPS,
        },
        members=_listed,
        choose=_choose_window,
    ),
    "rate_schedule": Composite(
        name="rate_schedule",
        parameters={
            "policies": Parameter(
                default=({"preset": "random"},),
                kind=(tuple, list),
                help="one policy, whose rate changes",
            ),
            "law": Parameter(
                default="cosine",
                kind=(str,),
                choices=tuple(RATE_LAWS),
                help="how the rate changes from the first window to the last",
            ),
            "rate": Parameter(
                default=0.15, minimum=0, maximum=0.5, help="about the average rate"
            ),
            "windows": Parameter(
                default=20,
                kind=(int,),
                minimum=2,
                maximum=1000,
                help="parts of the training with a rate of their own",
            ),
            "epochs": _EPOCHS,
            "steps": _STEPS,
        },
        members=_rated,
        choose=_choose_rate,
    ),
}


def depends_on_step(operation: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the choice of a member needs the step of the run."""
    if operation not in COMPOSITES:
        return False
    return parameters.get("per") == "batch" or parameters.get("steps") is not None
