"""Remote shards: fetched whole, checked, and kept in a bounded cache on local disk.

The unit of transfer is a shard. (Reading single rows over a network is hundreds of times
slower.) The cache is content-addressed by the shards' SHA-256, so sets, jobs and ranks share
it; a file appears under its name only when it is complete and its digest is the manifest's.
Eviction removes the files used longest ago; a process that has one mapped keeps its copy.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from premask._errors import FormatError, RequestError
from premask.manifest import ShardEntry
from premask.reading.files import sha256_of

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5


def is_url(path: str) -> bool:
    """Whether `path` has a scheme, as in ``s3://bucket/set``."""
    return "://" in path


def default_cache() -> Path:
    """``premask`` in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "premask" / "shards"


@dataclass(frozen=True, slots=True)
class Cached:
    """A shard set at a URL, and the directory where its shards are kept.

    Attributes:
        url: of the set, without a trailing slash.
        cache: the local directory.
        cache_bytes: it is trimmed to this size after every fetch.
    """

    url: str
    cache: Path
    cache_bytes: int

    @classmethod
    def at(cls, url: str, *, cache: str | Path | None, cache_bytes: int) -> Cached:
        """Makes the cache directory if need be."""
        root = default_cache() if cache is None else Path(cache)
        root.mkdir(parents=True, exist_ok=True)
        return cls(url.rstrip("/"), root, cache_bytes)

    @property
    def location(self) -> str:
        return self.url

    @property
    def remote(self) -> bool:
        return True

    def read(self, name: str) -> bytes:
        filesystem, root = self._filesystem()
        try:
            data: bytes = _retried(lambda: filesystem.cat_file(f"{root}/{name}"))
        except FileNotFoundError as error:
            raise FormatError(
                "the file is missing, so this is no shard set",
                location=f"{self.url}/{name}",
            ) from error
        return data

    def sizes(self, shards: tuple[ShardEntry, ...]) -> list[int | None]:
        filesystem, root = self._filesystem()
        folders = {str(Path(shard.file).parent) for shard in shards}
        found: dict[str, int] = {}
        for folder in sorted(folders):
            with contextlib.suppress(FileNotFoundError):
                listing = _retried(lambda f=folder: filesystem.ls(f"{root}/{f}", detail=True))
                found |= {f"{folder}/{Path(e['name']).name}": int(e["size"]) for e in listing}
        return [found.get(shard.file) for shard in shards]

    def fetch(self, shard: ShardEntry) -> Path:
        path = self.cache / f"{shard.sha256}.arrow"
        with _locked(path.with_suffix(".lock")):
            if path.exists() and path.stat().st_size == shard.num_bytes:
                os.utime(path)
                return path
            self._download(shard, path)
        self._trim(keep=path)
        return path

    def _download(self, shard: ShardEntry, path: Path) -> None:
        filesystem, root = self._filesystem()
        handle, name = tempfile.mkstemp(dir=self.cache, suffix=".part")
        os.close(handle)
        part = Path(name)
        try:
            _retried(lambda: filesystem.get_file(f"{root}/{shard.file}", name))
            digest = sha256_of(part)
            if digest != shard.sha256:
                raise FormatError(
                    f"the fetched shard has SHA-256 {digest}; the manifest says "
                    f"{shard.sha256}; upload the set again",
                    location=f"{self.url}/{shard.file}",
                )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _trim(self, *, keep: Path) -> None:
        files = []
        for path in self.cache.glob("*.arrow"):
            with contextlib.suppress(FileNotFoundError):  # another process trims as well
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in files) - self.cache_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
                excess -= size

    def _filesystem(self) -> tuple[Any, str]:
        try:
            import fsspec
        except ImportError as error:
            raise RequestError(
                f"reading {self.url!r} needs fsspec and the package of its scheme; "
                "run `pip install fsspec`"
            ) from error
        try:
            filesystem, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise RequestError(f"cannot open {self.url!r}: {error}") from error
        return filesystem, root


def _retried(call: Any) -> Any:
    """The result of `call`, tried again after a network fault, with growing pauses."""
    for attempt in range(_ATTEMPTS):
        try:
            return call()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise AssertionError("the loop returns or raises")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock between the processes of a node, where the platform has one."""
    try:
        import fcntl
    except ImportError:  # Windows: the worst is that two processes fetch the same shard
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
