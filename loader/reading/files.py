"""Where the files of a shard set come from: a directory, or a URL with a local cache.

`ShardSet` asks for nothing but these three: the bytes of a small file, the sizes of the
shards, and a local path of one shard.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from premask._errors import FormatError, RequestError
from premask._format import MANIFEST_FILE
from premask.manifest import ShardEntry


class Files(Protocol):
    """The files of one shard set."""

    @property
    def location(self) -> str:
        """The directory or URL, for messages."""

    @property
    def remote(self) -> bool:
        """Whether shards are fetched over a network, and evicted when they are many."""

    def read(self, name: str) -> bytes:
        """The content of the small file `name`."""

    def sizes(self, shards: tuple[ShardEntry, ...]) -> list[int | None]:
        """Bytes of every shard, None where it does not exist."""

    def fetch(self, shard: ShardEntry) -> Path:
        """A local path with the content of `shard`."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A shard set in a local directory."""

    root: Path

    @property
    def location(self) -> str:
        return str(self.root)

    @property
    def remote(self) -> bool:
        return False

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise _missing(self.root, name) from error

    def sizes(self, shards: tuple[ShardEntry, ...]) -> list[int | None]:
        return [_size(self.root / shard.file) for shard in shards]

    def fetch(self, shard: ShardEntry) -> Path:
        return self.root / shard.file


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _missing(root: Path, name: str) -> Exception:
    if not root.exists():
        return RequestError(
            f"there is no directory {str(root)!r}; give the one that `premask build` wrote"
        )
    if name == MANIFEST_FILE:
        return FormatError(
            "not a shard set: it has no manifest.json; a build that was interrupted has none "
            "until it is run again",
            location=str(root),
        )
    return FormatError("the file is missing", location=str(root / name))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
