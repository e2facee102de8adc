"""What a manifest says of the unit that made a shard: its files, and what was in them.

A slice of a file, or one file alone, is told with its place; of several whole files the names
are enough. No path is told: a shard set does not depend on where the corpus lay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from premask.schemas.unit import Slice, Unit

_FILES = "files"


def input_name(piece: Slice) -> str:
    """The name under which a slice's file stands in a header."""
    return _input_name(piece.source, piece.name)


def _input_name(source: int, name: str) -> str:
    return f"sources.{source}/{name}"


def unit_entry(unit: Unit, fingerprints: Sequence[str]) -> dict[str, Any]:
    """The entry of a unit; `fingerprints` are those of its files, one for each slice."""
    if len(unit.slices) > 1:
        names = (piece.name for piece in unit.slices)
        files = dict(zip(names, fingerprints, strict=True))
        return {"source": unit.source, "format": unit.format, _FILES: files}
    entry = asdict(unit.first)
    del entry["path"], entry["num_bytes"]
    (fingerprint,) = fingerprints
    return {**entry, "input": input_name(unit.first), "fingerprint": fingerprint}


def entry_inputs(entry: Mapping[str, Any]) -> dict[str, str]:
    """The fingerprints of a unit's files by `input_name`; none for a frozen shard."""
    if _FILES in entry:
        files: Mapping[str, str] = entry[_FILES]
        return {_input_name(entry["source"], name): files[name] for name in files}
    return {entry["input"]: entry["fingerprint"]} if "input" in entry else {}


def entry_labels(entry: Mapping[str, Any]) -> frozenset[str]:
    """The labels of a unit's slices, see `Slice.label`; none for a frozen shard."""
    if _FILES in entry:
        return frozenset(f"{name}:0" for name in entry[_FILES])
    return frozenset({f"{entry['name']}:{entry['start']}"} if "name" in entry else ())
