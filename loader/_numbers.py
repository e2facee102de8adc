"""Checks of whole numbers where a caller gives them, and not at their first use."""

from __future__ import annotations

import operator
from typing import Any

from premask._errors import RequestError

EPOCHS = 1 << 31  # an epoch is one of the 32-bit words that a mask is keyed with
SEEDS = 1 << 64


def whole(name: str, value: Any, *, least: int = 0, below: int | None = None) -> int:
    """`value` as an int.

    Raises:
        RequestError: it is no whole number, or is below `least`, or not below `below`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise RequestError(f"{name} must be a whole number, got {value!r}")
    if number < least:
        raise RequestError(f"{name} must be at least {least}, got {number}")
    if below is not None and number >= below:
        raise RequestError(f"{name} must be below {below}, got {number}")
    return number
