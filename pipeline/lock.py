"""One build at a time on one output directory.

Local: an exclusive `flock` on ``.premask.lock``, which the kernel gives back however the
process ends, so a lock is never stale. URL: an object that names its holder; it counts as stale
where the holder ran on this machine and is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask.pipeline.output import Output

LOCK = ".premask.lock"


@contextmanager
def locked(output: Output) -> Iterator[None]:
    """Holds the output directory for this process.

    Raises:
        RequestError: another build holds it.
    """
    if not output.is_local:
        with _locked_object(output):
            yield
        return
    Path(output.root).mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(Path(output.path(LOCK)))
    try:
        yield
    finally:
        # Removed while held: whoever opened the old file finds in `_acquire` that it is gone.
        Path(output.path(LOCK)).unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
            os.close(descriptor)
            raise _taken(holder, str(path.parent)) from error
        try:
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, _holder().encode(), 0)
                return descriptor
        except FileNotFoundError:
            pass  # the last holder removed it between open and lock
        os.close(descriptor)


@contextmanager
def _locked_object(output: Output) -> Iterator[None]:
    if output.size(LOCK) >= 0:
        holder = output.read(LOCK).decode(errors="replace")
        if not _is_gone(holder):
            raise _taken(holder, output.root)
    output.write(LOCK, _holder().encode())
    try:
        yield
    finally:
        output.remove(LOCK)


def _holder() -> str:
    return json.dumps({"host": socket.gethostname(), "process": os.getpid()})


def _is_gone(holder: str) -> bool:
    try:
        value: dict[str, Any] = json.loads(holder)
        if value["host"] != socket.gethostname():
            return False
        os.kill(value["process"], 0)
    except ProcessLookupError:
        return True
    except (ValueError, KeyError, TypeError, PermissionError):
        return False
    return False


def _taken(holder: str, place: str) -> RequestError:
    return RequestError(
        f"another build is writing here ({holder or 'holder unknown'}); wait for it, or stop "
        f"it; if it is long gone, remove {place}/{LOCK}",
        location=place,
    )
