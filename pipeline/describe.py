"""Policies in words, for the terminal and for ``docs/policies.md``: values, bounds, needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask.masking._operation import Parameter
from premask.masking.composite import COMPOSITES
from premask.masking.masker import ANNOTATIONS
from premask.masking.operations import OPERATIONS
from premask.masking.policy import Policy

_KINDS = {bool: "true, false", str: "text", dict: "mapping"}


def parameters_of(policy: Policy) -> Mapping[str, Parameter]:
    """The parameters of a policy's operation, by name."""
    if policy.operation in COMPOSITES:
        return COMPOSITES[policy.operation].parameters
    return OPERATIONS[policy.operation].parameters


def as_yaml(value: Any) -> str:
    """A value as YAML writes it on one line; numbers to four digits."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {as_yaml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    return str(value)


def allowed(parameter: Parameter) -> list[str]:
    """What a parameter may be: its choices, or its kind and bounds."""
    if parameter.choices is not None:
        return [as_yaml(choice) for choice in parameter.choices]
    if parameter.variants is not None:
        return list(parameter.variants)
    found = ["list"] if list in parameter.kind else []
    if int in parameter.kind and float not in parameter.kind:
        found.append("whole number")
    found += [_KINDS[kind] for kind in parameter.kind if kind in _KINDS]
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        found.append(f"{low:g} to {high:g}")
    elif low is not None:
        found.append(f"at least {low:g}")
    return found + (["null"] if parameter.default is None else [])


def tracks_needed(policy: Policy) -> list[str]:
    """What a job has to annotate, under ``annotate.tracks``, for a policy to work."""
    return sorted({ANNOTATIONS[name] for name in policy.needs if name in ANNOTATIONS})


def needs_pairs(policy: Policy) -> bool:
    """Whether rows must hold a source and its target."""
    return "segment" in policy.needs


def needs_collocations(policy: Policy) -> bool:
    """Whether the set must have a table of collocations."""
    own = policy.parameters.get("units") == "collocation"
    return own or any(map(needs_collocations, policy.members))


def short_needs(policy: Policy) -> str:
    """What rows need beyond tokens, in a few words; empty for nothing."""
    more = ["pairs"] * needs_pairs(policy) + ["collocations"] * needs_collocations(policy)
    return ", ".join([*tracks_needed(policy), *more])
