"""Fingerprints: of a job, of the files that it names, and what differs between two.

A job's fingerprint is the SHA-256 of everything that shapes the output, as canonical JSON. An
input's fingerprint is its size and an xxh3 of a few 64 KiB blocks spread over the file, the
first and the last included.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import xxhash

_BLOCK = 1 << 16


def fingerprint(value: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differing_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Dotted paths of the values in which `old` and `new` differ, sorted."""
    before, after = dict(_flatten(old)), dict(_flatten(new))
    missing = object()
    return tuple(
        key
        for key in sorted(before.keys() | after.keys())
        if before.get(key, missing) != after.get(key, missing)
    )


def describe_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """``rows.max_length (was 512, is 128), seed (...)``; at most five are spelled out."""
    before, after = dict(_flatten(old)), dict(_flatten(new))
    fields = differing_fields(old, new)
    told = [
        f"{key} (was {before.get(key, 'not there')}, is {after.get(key, 'not there')})"
        for key in fields[:5]
    ]
    rest = f" and {len(fields) - 5} more" if len(fields) > 5 else ""
    return ", ".join(told) + rest


def sample_hash(file: BinaryIO, size: int, num_blocks: int = 16) -> str:
    """xxh3-64 (hex) of `num_blocks` blocks spread evenly over a file of `size` bytes."""
    digest = xxhash.xxh3_64(str(size).encode())
    last = max(0, size - _BLOCK)
    for k in range(num_blocks if last else 1):
        file.seek(last * k // (num_blocks - 1))
        digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    if not items or not value:
        yield prefix, [] if isinstance(value, tuple) else value
        return
    for key, item in items:
        yield from _flatten(item, f"{prefix}.{key}" if prefix else str(key))


def bytes_sha256(data: bytes) -> str:
    """SHA-256 (hex) of `data`."""
    return hashlib.sha256(data).hexdigest()
