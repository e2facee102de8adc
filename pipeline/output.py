"""The output directory: atomic writes on a local path or any fsspec URL.

A local file is written under a temporary name beside its journal, synced, renamed, and its
folder is synced. An object store has no rename worth the name, but a put is atomic there, so
the finished temporary file is uploaded in one put. Names are relative to the root, with ``/``.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pyarrow as pa
from premask._errors import FormatError, RequestError

JOURNAL = "journal"
TEMPORARY = f"{JOURNAL}/tmp"


def is_url(path: str) -> bool:
    """Whether `path` is an fsspec URL, not a local path."""
    return "://" in path and not path.startswith("file://")


def absolute(path: str) -> str:
    """`path`, absolute if it is local: workers have another working directory."""
    return path if is_url(path) else str(Path(path.removeprefix("file://")).absolute())


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A directory that files appear in whole or not at all. Cheap to make and to pickle."""

    root: str

    @classmethod
    def at(cls, path: str) -> Output:
        """The directory at a local path or URL.

        Raises:
            RequestError: its name is no text: Arrow and JSON take no other bytes.
        """
        if ascii(path) != path and path.encode(errors="ignore").decode() != path:
            raise RequestError("the path is no valid UTF-8; give another", location=path)
        return cls(root=absolute(path).rstrip("/") or "/")

    @property
    def is_local(self) -> bool:
        return not is_url(self.root)

    def path(self, name: str) -> str:
        """Where `name` is: a local path or a URL."""
        return f"{self.root}/{name}" if name else self.root

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A local path to write; on a clean exit it becomes `name`, else it vanishes.

        Nothing becomes of a path that was not written.
        """
        if not self.is_local:
            with TemporaryDirectory(prefix="premask-") as folder:
                temporary = Path(folder) / Path(name).name
                yield temporary
                if temporary.exists():
                    self._filesystem().put_file(str(temporary), self._inner(name))
            return
        folder_path = Path(self.path(TEMPORARY))
        folder_path.mkdir(parents=True, exist_ok=True)
        temporary = folder_path / f"{Path(name).name}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        try:
            yield temporary
            if temporary.exists():
                self._rename(temporary, Path(self.path(name)))
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Writes a small file in one step."""
        with self.writing(name) as path:
            path.write_bytes(memoryview(data))

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FormatError: there is no such file.
        """
        try:
            if self.is_local:
                return Path(self.path(name)).read_bytes()
            return cast(bytes, self._filesystem().cat_file(self._inner(name)))
        except FileNotFoundError as error:
            raise FormatError("the file is missing", location=self.path(name)) from error

    def mapped(self, name: str) -> pa.Buffer:
        """The content of a file, which a local one lends from its mapping.

        Raises:
            FormatError: there is no such file.
        """
        if self.is_local and Path(self.path(name)).is_file():
            with pa.memory_map(self.path(name)) as file:
                return file.read_buffer()
        return pa.py_buffer(self.read(name))

    def size(self, name: str) -> int:
        """Bytes of a file; -1 where there is none."""
        try:
            if self.is_local:
                return Path(self.path(name)).stat().st_size
            return int(self._filesystem().size(self._inner(name)))
        except (FileNotFoundError, NotADirectoryError):
            return -1

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of what is directly in a folder; none where there is no folder."""
        try:
            if self.is_local:
                return sorted(entry.name for entry in Path(self.path(folder)).iterdir())
            entries = self._filesystem().ls(self._inner(folder), detail=False, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries)

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all that is in it, if it is there."""
        if not self.is_local:
            if self._filesystem().exists(self._inner(name)):
                self._filesystem().rm(self._inner(name), recursive=True)
            return
        path = Path(self.path(name))
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _rename(self, temporary: Path, target: Path) -> None:
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _filesystem(self) -> Any:
        import fsspec

        try:
            return fsspec.core.url_to_fs(self.root)[0]
        except (ValueError, ImportError) as error:
            raise RequestError(f"cannot open the URL: {error}", location=self.root) from error

    def _inner(self, name: str) -> str:
        """`name` as the filesystem itself calls it, without the protocol."""
        import fsspec

        return cast(str, fsspec.core.url_to_fs(self.path(name))[1])
