"""Runs a target on an input and tells what went wrong, if anything.

Wrong is: an error that is not Premask's own, more than `MAX_CPU_SECONDS` of CPU time, more than
`MAX_GROWTH_BYTES` of memory over the most that was used before, a file written outside the
input's own folder. Time is CPU time: a process that is stopped or waits for a core is not slow.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from premask._errors import PremaskError

from tests.fuzz.target import Target

MAX_CPU_SECONDS = 20.0
MAX_GROWTH_BYTES = 768 << 20
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an input did: a short name that like inputs share, and all there is to say."""

    kind: str
    detail: str


class _TooSlow(BaseException):
    """Above every `except Exception`, so that nothing but the watch catches it."""


class Watch:
    """Runs the inputs of one target in this process, each in a folder of its own."""

    def __init__(self, target: Target, root: Path) -> None:
        self._target = target
        self._fixed, self._scratch = root / "fixed", root / "scratch"
        self._strays: list[str] = []
        self._open = False
        shutil.rmtree(root, ignore_errors=True)
        self._fixed.mkdir(parents=True)
        self.seeds = list(target.prepare(self._fixed))
        sys.addaudithook(self._note_writes)

    def run(self, data: bytes) -> Finding | None:
        """The finding that `data` makes, or None."""
        self._scratch.mkdir()
        self._strays.clear()
        before = _peak_bytes()
        finding = self._guarded(data)
        shutil.rmtree(self._scratch)
        grown = _peak_bytes() - before
        if finding is None and self._strays:
            return Finding(kind="write outside", detail="\n".join(self._strays))
        if finding is None and grown > MAX_GROWTH_BYTES:
            return Finding(kind="memory", detail=f"{grown >> 20} MiB more than before")
        return finding

    def _guarded(self, data: bytes) -> Finding | None:
        signal.signal(signal.SIGVTALRM, _stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_SECONDS)
        # Native code that never comes back to Python is ended from outside, as a death.
        signal.setitimer(signal.ITIMER_PROF, 5 * MAX_CPU_SECONDS)
        self._open = True
        try:
            self._target.run(data, self._fixed, self._scratch)
        except PremaskError:
            return None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # An extension's panic is no `Exception`; whatever comes out here is a finding.
            if isinstance(error, OSError) and error.errno is not None:
                return None  # the command line tells these in a line too
            return Finding(kind=_kind(error), detail=traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._open = False
        return None

    def _note_writes(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._open:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = bool(flags & _WRITES) or any(c in "wax+" for c in mode or "")
            paths = [path] if writes else []
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"):
            relative = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
            paths = [] if relative else [arguments[0]]  # a removed tree's own entries
        elif event in ("os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile"):
            paths = [arguments[1]]
        else:
            return
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and not self._allowed(path):
                self._strays.append(f"{event} {os.fsdecode(path)}")

    def _allowed(self, path: str | bytes | os.PathLike[Any]) -> bool:
        real = Path(os.path.realpath(os.fsdecode(path)))
        return real.is_relative_to(self._scratch) or real == Path(os.devnull)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    del signum, frame
    raise _TooSlow(f"more than {MAX_CPU_SECONDS} s of CPU time")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _kind(error: BaseException) -> str:
    """The error's type and the last of our own lines that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f for f in frames if "/site-packages/" not in f.filename and "/lib/" not in f.filename
    ]
    last = own[-1] if own else frames[-1]
    return f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
