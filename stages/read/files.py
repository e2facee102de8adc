"""Finds the files of a source, in a stable order and under stable names.

A source is a local file, directory or glob, an fsspec URL, a saved Hugging Face data set, or a
data set's name. Hidden files are skipped; links are followed, each directory once. Names are
paths below the source's root, so a corpus may move without changing a mask. Lists every file
once and reads the first block of those whose format is to be recognised.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from premask._errors import RequestError
from premask.schemas.job import Source
from premask.stages.read._reader import SourceFile
from premask.stages.read.opening import is_url
from premask.stages.read.recognise import recognise
from premask.stages.read.saved import is_saved_dataset, saved_directory
from premask.stages.read.stream import check_encoding


class Found(NamedTuple):
    """A file below the root of its source."""

    name: str
    path: str
    size: int


def resolve(source: Source) -> list[SourceFile]:
    """The files of a source, sorted by name.

    Raises:
        RequestError: nothing is there, it cannot be read, or a format cannot be told.
    """
    check_encoding(source.encoding)
    path = source.path.removeprefix("file://")
    if source.format == "datasets" and not _holds_arrow(path):
        name = Path(path).resolve().name if Path(path).exists() else path
        return [SourceFile(name=name, path=path, size=0, format="datasets")]
    try:
        found = sorted(set(_find_remote(path) if is_url(path) else _find_local(path, source)))
        if not found:
            where = ", or cannot be reached" if is_url(path) else ""
            raise _refusal(source.path, f"holds no file{where}: give a path that does")
        return [_source_file(file, source) for file in found]
    except RequestError:
        raise
    except Exception as exc:
        # Every remote file system has errors of its own, which need share no base class.
        if not is_url(path) and not isinstance(exc, OSError):
            raise
        reason = getattr(exc, "strerror", "") or str(exc) or type(exc).__name__
        raise _refusal(source.path, f"cannot be read ({reason}): check it") from exc


def _holds_arrow(path: str) -> bool:
    """Whether `datasets` means Arrow files here, not a data set to be loaded by its name."""
    return path.endswith(".arrow") or is_saved_dataset(path)


def _source_file(file: Found, source: Source) -> SourceFile:
    format_ = recognise(file.path, source) if source.format == "auto" else source.format
    # A file's name may be no valid Unicode; document ids must be.
    name = file.name.encode("utf-8", "backslashreplace").decode("utf-8")
    return SourceFile(name=name, path=file.path, size=file.size, format=format_)


def _find_local(path: str, source: Source) -> Iterator[Found]:
    root = Path(path)
    if is_saved_dataset(path):
        yield from _walk(saved_directory(root, source.split), "", frozenset(), ".arrow")
    elif root.is_dir():
        yield from _walk(root, "", frozenset())
    elif root.exists():
        if not root.is_file():
            raise _refusal(path, "is no regular file: give a file or a directory")
        yield Found(root.name, path, root.stat().st_size)
    elif glob.has_magic(path):
        yield from _match(path)
    else:
        raise _refusal(
            path,
            "does not exist: check the path (for a data set of the Hugging Face hub, give "
            "--format datasets)",
        )


def _walk(
    folder: Path, prefix: str, above: frozenset[Path], suffix: str = ""
) -> Iterator[Found]:
    """The regular files below a folder; a folder inside itself, by a link, is left out."""
    real = folder.resolve()
    if real in above:
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        name = prefix + entry.name
        if entry.is_dir():
            yield from _walk(Path(entry.path), name + "/", above | {real}, suffix)
        elif entry.is_file() and entry.name.endswith(suffix):
            yield Found(name, entry.path, entry.stat().st_size)
        elif entry.is_symlink():
            raise _refusal(entry.path, "is a link that leads nowhere: mend or remove it")


def _match(pattern: str) -> Iterator[Found]:
    """The files and folders that a glob matches, named below its part without wildcards."""
    parts = PurePosixPath(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    for match in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - Path.glob follows no links
        path = Path(match)
        if any(_is_loop(root / parent) for parent in path.relative_to(root).parents):
            continue
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            yield from _walk(path, "" if name == "." else name + "/", frozenset())
        elif path.is_file():
            yield Found(name, str(path), path.stat().st_size)


def _is_loop(folder: Path) -> bool:
    """Whether a folder is a link to one that it lies in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _find_remote(url: str) -> list[Found]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as exc:
        raise _refusal(url, f"cannot be opened ({exc})") from exc
    if glob.has_magic(root) and not filesystem.exists(root):
        details: dict[str, dict[str, Any]] = {}
        for path, detail in filesystem.glob(root, detail=True).items():
            inside = detail.get("type") == "directory"
            details |= filesystem.find(path, detail=True) if inside else {path: detail}
        fixed = root[: root.index(next(c for c in root if c in "*?["))]
        root = fixed.rpartition("/")[0]
    elif filesystem.isfile(root):
        details = {root: filesystem.info(root)}
        root = root.rpartition("/")[0]
    else:
        details = filesystem.find(root, detail=True)
    names = {path: _below(path, root) for path in details}
    return [
        Found(names[path], filesystem.unstrip_protocol(path), detail.get("size") or 0)
        for path, detail in details.items()
        if detail.get("type") != "directory"
        and not any(part.startswith(".") for part in names[path].split("/"))
    ]


def _below(path: str, root: str) -> str:
    return path.lstrip("/").removeprefix(root.strip("/")).lstrip("/")


def _refusal(path: str, what: str) -> RequestError:
    return RequestError(f"{path} {what}", location="sources.path")
