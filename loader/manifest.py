"""The manifest of a shard set: what is in it, where it came from, and how to check it.

Plain JSON, read with the standard library alone. It holds nothing that depends on when, where
or by how many workers it was written, so its bytes are as reproducible as the shards'.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from premask._errors import FormatError
from premask._format import FORMAT_NAME, FORMAT_VERSION
from premask._manifest_checks import check_manifest
from premask.masking._rows import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """One shard: its file (relative to the set), size, checksums and the unit that made it."""

    file: str
    num_rows: int
    num_tokens: int
    num_bytes: int
    xxh3_64: str
    sha256: str
    unit: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes:
        mode: ``dynamic`` (rows carry seeds) or ``static`` (rows are masked).
        job_fingerprint: SHA-256 over everything of the job that shapes the output.
        job: the resolved job that made the set, as plain values.
        columns: column name to Arrow type, as text (``list<uint16>``).
        max_length: the longest row that this set may hold, in tokens.
        vocabulary: what its token ids mean.
        tokenizer: file name, SHA-256 and model of the tokenizer.
        tracks: dictionaries of the tracks, by track name: code ``i`` means ``names[i]``.
        annotator: name, version and weight hash of the spaCy pipeline; None without one.
        tables: named files of the set with their SHA-256: token counts, weights, collocations.
        totals: documents read, kept and rejected, rows, tokens, rejects by reason, counters.
        policy: static sets: the policy, its fingerprint and the number of epochs.
        shards: in the order of their units.
    """

    mode: str
    job_fingerprint: str
    job: Mapping[str, Any]
    columns: Mapping[str, str]
    max_length: int
    vocabulary: Vocabulary
    tokenizer: Mapping[str, Any]
    totals: Mapping[str, Any]
    shards: tuple[ShardEntry, ...]
    tracks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    annotator: Mapping[str, Any] | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None

    @property
    def num_rows(self) -> int:
        return sum(shard.num_rows for shard in self.shards)

    @property
    def num_tokens(self) -> int:
        return sum(shard.num_tokens for shard in self.shards)

    @property
    def sha256(self) -> str:
        """Identity of the set: SHA-256 of the manifest's canonical bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The bytes of ``manifest.json``: sorted keys, two-space indent, UTF-8."""
        value = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(self)}
        return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, location: str) -> Manifest:
        """Parses ``manifest.json``.

        Raises:
            FormatError: not JSON, not a Premask manifest, of another format version, or with
                missing or unknown keys, or with values of a wrong kind.
        """
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise FormatError(
                f"the manifest is not JSON: {error}", location=location
            ) from error
        if not isinstance(value, dict) or value.pop("format", None) != FORMAT_NAME:
            raise FormatError(f"not a {FORMAT_NAME} manifest", location=location)
        version = value.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise FormatError(
                f"format version {version!r}; this Premask reads version {FORMAT_VERSION}",
                location=location,
            )
        try:
            check_manifest(value)
            value["vocabulary"] = Vocabulary.from_json(value["vocabulary"])
            value["shards"] = tuple(ShardEntry(**shard) for shard in value["shards"])
            value["tracks"] = {name: tuple(names) for name, names in value["tracks"].items()}
            return cls(**value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"the manifest is damaged: {error}", location=location) from error
