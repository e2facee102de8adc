"""Checks the parameters of a policy against their table, and fills in the defaults.

Every refusal names the field (``- at policy.weights[0].alpha``), the value, what is allowed,
and, where a name is nearly right, the name that was probably meant.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from premask._errors import PolicyError
from premask.masking._operation import Parameter

_KIND_NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    tuple: "a list",
    list: "a list",
    dict: "a mapping",
}


# Masks are made in int32; whole numbers without a bound of their own have this one.
_LARGEST = (1 << 31) - 1


def suggestion(name: object, allowed: Iterable[str]) -> str:
    """``"; did you mean 'rate'?"``, or nothing where no allowed name is near."""
    near = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def choose(name: object, allowed: Iterable[str], *, what: str, location: str) -> str:
    """`name`, which must be one of `allowed`.

    Raises:
        PolicyError: it is not.
    """
    names = sorted(allowed)
    if not isinstance(name, str) or name not in names:
        raise PolicyError(
            f"unknown {what} {name!r}{suggestion(name, names)} (known: {', '.join(names)})",
            location=location,
        )
    return name


def validate_parameters(
    values: Mapping[str, Any], table: Mapping[str, Parameter], *, location: str
) -> dict[str, Any]:
    """`values` as plain Python data, with the defaults of `table` where they say nothing.

    Raises:
        PolicyError: an unknown name, a wrong type, or a value outside what is allowed.
    """
    for name in values:
        choose(name, table, what="parameter", location=f"{location}.{name}")
    resolved = {
        name: check_value(values.get(name, parameter.default), parameter, f"{location}.{name}")
        for name, parameter in table.items()
    }
    _check_shares(resolved, location)
    return resolved


def check_value(value: Any, parameter: Parameter, location: str) -> Any:
    """`value` in its plain form: numbers as declared, lists as tuples, variants filled in.

    Raises:
        PolicyError: the parameter does not allow it.
    """
    value = _plain(value)
    if not _is_finite(value):
        raise PolicyError(f"expected finite numbers, got {value!r}", location=location)
    if value is None and parameter.default is None:
        return None
    if parameter.choices is not None and value in parameter.choices:
        return value
    if parameter.variants is not None:
        return _check_variants(value, parameter.variants, location)
    if not _is_kind(value, parameter.kind):
        raise _refusal(value, parameter, location)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not _is_within(value, parameter):
            raise _refusal(value, parameter, location)
        return float(value) if float in parameter.kind else value
    if parameter.choices is not None:
        raise _refusal(value, parameter, location)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def _is_kind(value: Any, kind: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kind
    if isinstance(value, int):
        return int in kind or float in kind
    if isinstance(value, tuple):
        return tuple in kind or list in kind
    return isinstance(value, kind)


def _limits(parameter: Parameter) -> tuple[float | None, float | None]:
    whole = int in parameter.kind and float not in parameter.kind
    high = _LARGEST if whole and parameter.maximum is None else parameter.maximum
    return parameter.minimum, high


def _is_within(value: float, parameter: Parameter) -> bool:
    low, high = _limits(parameter)
    return (low is None or value >= low) and (high is None or value <= high)


def _is_finite(value: Any) -> bool:
    """Whether all numbers in a value are floats or can be: a Python integer may be larger."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    if not isinstance(value, (int, float)):
        return True
    return abs(value) <= sys.float_info.max and math.isfinite(value)


def _refusal(value: Any, parameter: Parameter, location: str) -> PolicyError:
    allowed = " or ".join(dict.fromkeys(_KIND_NAMES.get(k, k.__name__) for k in parameter.kind))
    if float in parameter.kind:
        allowed = _KIND_NAMES[float]
    near = ""
    if parameter.choices is not None:
        names = [str(choice) for choice in parameter.choices]
        allowed = "one of " + ", ".join(names)
        near = suggestion(value, names)
    low, high = _limits(parameter)
    if low is not None or high is not None:
        least = "-inf" if low is None else f"{low:.10g}"
        most = "inf" if high is None else f"{high:.10g}"
        allowed += f" from {least} to {most}"
    shown = list(value) if isinstance(value, tuple) else value
    return PolicyError(f"expected {allowed}, got {shown!r}{near}", location=location)


def _check_variants(
    value: Any, variants: Mapping[str, Mapping[str, Parameter]], location: str
) -> tuple[dict[str, Any], ...]:
    if isinstance(value, (str, dict)):
        value = (value,)
    if not isinstance(value, tuple):
        raise PolicyError(
            f"expected a list of names or mappings with 'by', got {value!r}", location=location
        )
    checked = []
    for index, item in enumerate(value):
        place = f"{location}[{index}]"
        fields = {"by": item} if isinstance(item, str) else item
        if not isinstance(fields, dict) or "by" not in fields:
            raise PolicyError(
                f"expected a name or a mapping with 'by', got {item!r}", location=place
            )
        fields = dict(fields)
        by = choose(fields.pop("by"), variants, what="law", location=f"{place}.by")
        filled = validate_parameters(fields, variants[by], location=place)
        checked.append({"by": by, **filled})
    return tuple(checked)


def _check_shares(resolved: Mapping[str, Any], location: str) -> None:
    mask, random = resolved.get("mask"), resolved.get("random")
    if isinstance(mask, float) and isinstance(random, float) and mask + random > 1 + 1e-9:
        raise PolicyError(
            f"mask and random are shares of the selected tokens and must add up to at most 1, "
            f"got {mask:g} + {random:g}",
            location=f"{location}.random",
        )
