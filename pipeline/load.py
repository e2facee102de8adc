"""Loads a job: a YAML file, ``--set`` overrides and the file-less form, into one `Job`.

Nothing is read but the file itself. Every refusal is a `RequestError` that names the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from premask._errors import RequestError
from premask.pipeline.refusals import explain
from premask.schemas.job import Job
from pydantic import ValidationError


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but a key that is given twice is refused, not overwritten."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen and isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} stands here twice", node.start_mark
                )
            if isinstance(key_node, yaml.ScalarNode):
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


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
        _assign(tree, key.strip(), _parse(text, location=f"--set {key.strip()}"))
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
    tree = _parse(text, location=str(path))
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


def _parse(text: str, *, location: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{location}, line {mark.line + 1}" if mark else location
        raise RequestError(f"not YAML: {error.problem}", location=place) from error
    except yaml.YAMLError as error:
        raise RequestError(f"not YAML: {error}", location=location) from error


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    """Sets ``a.0.b`` in nested mappings and lists, making those that are missing."""
    *parents, last = key.split(".")
    node: Any = tree
    for depth, name in enumerate(parents):
        below = [*parents, last][depth + 1]
        node = _child(node, name, [] if below.isdigit() else {}, key)
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
    if not name.isdigit() or int(name) > len(node):
        allowed = f"0 to {len(node)}"
        raise RequestError(
            f"expected the number of a list item, {allowed}, got {name!r}",
            location=f"--set {key}",
        )
    if int(name) == len(node):
        node.append(None)
