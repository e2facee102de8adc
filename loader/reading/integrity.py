"""Checks the files of a shard set against its manifest."""

from __future__ import annotations

from premask._errors import FormatError
from premask.manifest import Manifest
from premask.reading.files import Files, sha256_of


def check_sizes(files: Files, manifest: Manifest) -> None:
    """Raises `FormatError` naming a shard that is missing or has another size."""
    for shard, size in zip(manifest.shards, files.sizes(manifest.shards), strict=True):
        location = f"{files.location}/{shard.file}"
        if size is None:
            raise FormatError("the shard is missing", location=location)
        if size != shard.num_bytes:
            raise FormatError(
                f"the shard has {size} bytes; the manifest says {shard.num_bytes}; copy or "
                "build the set again",
                location=location,
            )


def check_digests(files: Files, manifest: Manifest) -> None:
    """Raises `FormatError` naming a shard whose SHA-256 differs. Reads all of them."""
    for shard in manifest.shards:
        digest = sha256_of(files.fetch(shard))
        if digest != shard.sha256:
            raise FormatError(
                f"the shard has SHA-256 {digest}; the manifest says {shard.sha256}; copy or "
                "build the set again",
                location=f"{files.location}/{shard.file}",
            )
