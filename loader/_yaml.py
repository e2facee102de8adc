"""YAML as a user writes it: safe, bounded, and every fault told with its place.

PyYAML is no requirement of the light package and is imported on the first use.
"""

from __future__ import annotations

import re
from typing import Any

from premask._errors import RequestError

# Aliases make a few lines stand for more values than there is memory ("billion laughs").
MAX_VALUES = 100_000
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
# Over what PyYAML's constructors of dates, numbers and truth values stumble.
_STUMBLES = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


def load_yaml(text: str, *, location: str, error: type[RequestError] = RequestError) -> Any:
    """The plain value of a YAML document; no tag makes an object of any other kind.

    Raises:
        RequestError: or `error`: it is not YAML, a key stands twice, or it is too much.
        ImportError: PyYAML is not installed.
    """
    import yaml

    try:
        value = yaml.load(text, Loader=_loader())
        too_much = _exceeds(value, MAX_VALUES)
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark
        place = f"{location}, line {mark.line + 1}" if mark else location
        raise error(f"not YAML: {cause.problem}", location=place) from cause
    except (yaml.YAMLError, *_STUMBLES) as cause:
        raise error(f"not YAML: {cause}", location=location) from cause
    if too_much:
        raise error(
            f"more than {MAX_VALUES:,} values, or one inside itself, by its aliases; write "
            "them out, or fewer",
            location=location,
        )
    return value


def _exceeds(value: Any, limit: int) -> bool:
    """Whether a value holds more than `limit` others, each counted as often as it appears.

    Raises:
        ValueError: one of them is a text that no file system or UTF-8 takes.
    """
    count, waiting = 0, [value]
    while waiting and count <= limit:
        found = waiting.pop()
        count += 1
        if isinstance(found, str) and _NO_TEXT.search(found):
            raise ValueError(f"the text {found[:80]!a} holds NUL or half a character")
        if isinstance(found, dict):
            waiting += [*found.keys(), *found.values()]
        elif isinstance(found, list | tuple | set):
            waiting += found
    return count > limit


def _loader() -> Any:
    """PyYAML's safe loader, but a key that is given twice is refused, not overwritten."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(
                            *(None, None, f"the key {key.value!r} stands here twice"),
                            node.start_mark,
                        )
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader
