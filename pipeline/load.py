"""Loads a job: a YAML file, ``--set`` overrides and the file-less form, into one `Job`.

Nothing is read but the file itself. Every refusal is a `RequestError` that names the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask._yaml import load_yaml
from premask.pipeline.refusals import explain
from premask.schemas.job import Job
from pydantic import ValidationError

_NUMBER = re.compile(r"[0-9]{1,6}")


def load_job(
    path: str | Path | None,
    overrides: Sequence[str] = (),
    *,
    values: Mapping[str, Any] | None = None,
) -> Job:
    """The job of a file, with overrides.

    Args:
        path: a YAML file; None for a job that consists of `values` and `overrides` alone.
        overrides: ``key.path=value`` each, the value as YAML; list items go by number. They
            win over `values`, which win over the file.
        values: dotted key to plain value; None leaves the key as it is.

    Raises:
        RequestError: no such file, not YAML, an unknown key, a wrong value, an illegal
            combination. The message ends with the path of the key.
    """
    tree = {} if path is None else _read(Path(path))
    for key, value in (values or {}).items():
        if value is not None:
            _assign(tree, key, value)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise RequestError(
                f"expected key.path=value, got {override!r}; such as --set rows.max_length=128",
                location="--set",
            )
        _assign(tree, key.strip(), load_yaml(text, location=f"--set {key.strip()}"))
    return validate(tree)


def validate(tree: Mapping[str, Any]) -> Job:
    """`tree` as a `Job`.

    Raises:
        RequestError: naming each wrong key.
    """
    try:
        return Job.model_validate(tree)
    except ValidationError as error:
        message, location = explain(error, Job)
        raise RequestError(message, location=location) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RequestError("there is no such job file", location=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read the job file: {error}", location=str(path)) from error
    tree = load_yaml(text, location=str(path))
    if tree is None:
        raise RequestError(
            "the job file is empty; it needs sources, output and tokenizer", location=str(path)
        )
    if not isinstance(tree, dict):
        raise RequestError(
            f"a job is a mapping of keys to values, got a {type(tree).__name__}",
            location=str(path),
        )
    return tree


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    """Sets ``a.0.b`` in nested mappings and lists, making those that are missing."""
    *parents, last = key.split(".")
    node: Any = tree
    for depth, name in enumerate(parents):
        below = [*parents, last][depth + 1]
        node = _child(node, name, [] if _NUMBER.fullmatch(below) else {}, key)
    if isinstance(node, list):
        _list_slot(node, last, key)
        node[int(last)] = value
    else:
        node[last] = value


def _child(node: Any, name: str, fresh: Any, key: str) -> Any:
    if isinstance(node, list):
        _list_slot(node, name, key)
        slot: Any = int(name)
    else:
        slot = name
        node.setdefault(slot, None)
    if node[slot] is None:
        node[slot] = fresh
    if not isinstance(node[slot], (dict, list)):
        raise RequestError(
            f"{name} holds {node[slot]!r}, which has no keys below it", location=f"--set {key}"
        )
    return node[slot]


def _list_slot(node: list[Any], name: str, key: str) -> None:
    """Refuses a place that `node` has not; the place right after its end is added."""
    if not _NUMBER.fullmatch(name) or int(name) > len(node):
        allowed = f"0 to {len(node)}"
        raise RequestError(
            f"expected the number of a list item, {allowed}, got {name!r}",
            location=f"--set {key}",
        )
    if int(name) == len(node):
        node.append(None)
