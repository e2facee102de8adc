"""The ``--policy`` option: a preset or a file, with changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from premask._errors import RequestError

if TYPE_CHECKING:
    from premask.masking.policy import Policy


def choose_policy(name: str, changes: Sequence[str]) -> Policy:
    """The policy `name`, with ``key=value`` changes (values as YAML).

    Raises:
        RequestError: there is no such preset, file or parameter.
    """
    from premask._yaml import load_yaml
    from premask.masking.policy import policy

    parameters: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        parameters[key.strip()] = load_yaml(text, location=f"--set {key}")
        if not equals:
            raise RequestError(
                f"expected parameter=value, got {change!r}; such as --set rate=0.3",
                location="--set",
            )
    return policy(name, **parameters)
