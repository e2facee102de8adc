"""Is a manifest's content of the right kind, and does it stay inside its own set?

A set may come from anybody: a name in its manifest must not lead to a file elsewhere, and a
number must be one. What the numbers say is checked against the shards when they are opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_LARGEST = 1 << 48
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ROLES = ("pad_id", "mask_id", "bos_id", "eos_id", "cls_id", "sep_id", "unk_id")
_ID_LISTS = ("special_ids", "sentinel_ids", "prefix_ids", "suffix_ids")


def check_manifest(value: Mapping[str, Any]) -> None:
    """Refuses the plain value of ``manifest.json`` where a part of it is of a wrong kind.

    Raises:
        ValueError: naming the part.
        KeyError: a part is missing.
    """
    _check(value["mode"] in ("dynamic", "static"), "mode", value["mode"])
    for name in ("job", "columns", "tokenizer", "totals", "tracks", "tables"):
        _check(isinstance(value[name], dict), name, value[name])
    for name in ("annotator", "policy"):
        _check(value[name] is None or isinstance(value[name], dict), name, value[name])
    _check(isinstance(value["job_fingerprint"], str), "job_fingerprint", value)
    _check(is_count(value["max_length"]), "max_length", value["max_length"])
    _all(value["columns"], lambda kind: isinstance(kind, str), "columns")
    _all(value["tracks"], _is_names, "tracks")
    _check(isinstance(value["shards"], list), "shards", value["shards"])
    for index, shard in enumerate(value["shards"]):
        _check_shard(shard, f"shards[{index}]")
    for name, table in value["tables"].items():
        _check(
            isinstance(table, dict) and is_inside(table.get("file")), f"tables.{name}", table
        )
        _check(_is_sha256(table.get("sha256")), f"tables.{name}.sha256", table)
    _check_totals(value["totals"])
    _check_vocabulary(value["vocabulary"])


def is_count(value: object) -> bool:
    """Whether a value is an integer that may count something."""
    return type(value) is int and 0 <= value < _LARGEST


def is_inside(name: object) -> bool:
    """Whether a file's name leads to no place outside the directory that it is relative to."""
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    parts = name.replace("\\", "/").split("/")
    return not name.startswith(("/", "\\")) and ".." not in parts and ":" not in parts[0]


def _check_shard(shard: Any, place: str) -> None:
    _check(isinstance(shard, dict), place, shard)
    _check(is_inside(shard["file"]), f"{place}.file", shard["file"])
    for name in ("num_rows", "num_tokens", "num_bytes"):
        _check(is_count(shard[name]), f"{place}.{name}", shard[name])
    # A cache names the shard by it.
    _check(_is_sha256(shard["sha256"]), f"{place}.sha256", shard["sha256"])
    _check(isinstance(shard["xxh3_64"], str), f"{place}.xxh3_64", shard["xxh3_64"])
    _check(isinstance(shard["unit"], dict), f"{place}.unit", shard["unit"])


def _check_totals(value: Mapping[str, Any]) -> None:
    documents = [f"documents_{name}" for name in ("read", "kept", "rejected")]
    _check(len(value.keys() & documents) in (0, 3), "totals", value)
    for name in ("rows", "tokens", *documents):
        _check(is_count(value.get(name, 0)), f"totals.{name}", value.get(name))
    for name in ("rejected_by_reason", "counters"):
        counted = value.get(name, {})
        _check(isinstance(counted, dict), f"totals.{name}", counted)
        _all(counted, is_count, f"totals.{name}")


def _check_vocabulary(value: Any) -> None:
    _check(isinstance(value, dict) and is_count(value["size"]), "vocabulary", value)
    for name in _ROLES:
        role = value.get(name)
        _check(role is None or is_count(role), f"vocabulary.{name}", role)
    for name in _ID_LISTS:
        _check(_is_ids(value.get(name, ())), f"vocabulary.{name}", value.get(name))
    ranges = value.get("replacement_ranges", ())
    good = isinstance(ranges, list | tuple) and all(
        _is_ids(each) and len(each) == 2 for each in ranges
    )
    _check(good, "vocabulary.replacement_ranges", ranges)


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_ids(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(is_count, value))


def _all(value: Mapping[str, Any], test: Callable[[Any], bool], place: str) -> None:
    for name, item in value.items():
        _check(test(item), f"{place}.{name}", item)


def _check(good: bool, place: str, value: object) -> None:
    if not good:
        raise ValueError(f"{place} cannot be {str(value)[:80]!r}")
