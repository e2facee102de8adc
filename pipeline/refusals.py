"""Says what is wrong with a job in words: pydantic's findings as Premask messages.

One line per finding: what was wrong, the value, what is allowed, and ``- at key.path``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "string_type": "text",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """The message and the location of a refused `model`.

    With several findings, each has a line of its own and all but the last carry their place
    in it, so that the last line's place is the location.
    """
    findings = error.errors(include_url=False)
    findings = list({_path(f["loc"]): f for f in reversed(findings)}.values())[::-1]
    lines = [(_sentence(finding, model), _path(finding["loc"])) for finding in findings]
    *others, (message, location) = lines
    return "\n".join([*(f"{text} - at {place}" for text, place in others), message]), location


def suggest(name: str, allowed: Sequence[str]) -> str:
    """``"; did you mean 'x'?"``, or the allowed names where none is near."""
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; allowed: {', '.join(allowed)}"


def _path(location: Sequence[int | str]) -> str:
    # A union adds the name of its branch ('str', 'dict[str,any]'), which is no key.
    parts = [str(part) for part in location]
    return ".".join(p for p in parts if p != "str" and not p.startswith("dict[")) or "job"


def _sentence(finding: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, value, context = finding["type"], finding["input"], finding.get("ctx", {})
    *parents, name = finding["loc"] or ("",)
    if kind == "extra_forbidden":
        return f"unknown key {str(name)!r}{suggest(str(name), _keys(model, parents))}"
    if kind == "missing":
        return f"the key {name!r} is missing{_purpose(model, parents, str(name))}"
    if kind == "literal_error":
        allowed = context["expected"]
        names = [word.strip().strip("'") for word in allowed.replace(" or ", ", ").split(",")]
        near = difflib.get_close_matches(str(value), names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"expected {allowed}, got {value!r}{hint}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {value!r}"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"must be {word} {context[key]}, got {value!r}"
    if kind == "too_short":
        return f"expected at least {context['min_length']} entry, got none"
    if kind == "value_error":
        return str(context["error"])
    return f"{finding['msg'][0].lower()}{finding['msg'][1:]}, got {value!r}"


def _keys(model: type[BaseModel], parents: Sequence[int | str]) -> list[str]:
    """Names of the keys of the model that stands at `parents`."""
    found: type[BaseModel] | None = model
    for part in parents:
        if found is not None and part in found.model_fields:
            found = _submodel(found.model_fields[str(part)].annotation)
    return list(found.model_fields) if found is not None else []


def _submodel(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_submodel, get_args(annotation))), None)


def _purpose(model: type[BaseModel], parents: Sequence[int | str], name: str) -> str:
    field = model.model_fields.get(name) if not parents else None
    return f" ({field.description})" if field is not None and field.description else ""
