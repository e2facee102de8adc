"""Works that misbehave, for engine tests. Module level, so that Ray workers can import them."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask.pipeline.engine import Help, OrderedMap, Result, Tell, Work

_ALONE = threading.Lock()  # of a process


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubling:
    """Doubles its value; a string names a way to fail instead.

    What should fail once only leaves a file in `folder`.
    """

    folder: str

    def open(self) -> Callable[[Any, Tell], Result]:
        return self._run

    def _run(self, value: int | str, tell: Tell) -> Result:
        if isinstance(value, int):
            tell({"tokens": value, "share": 0.5})
            return {"value": 2 * value, "path": [p for p in sys.path if "decoy" in p]}
        once = Path(self.folder) / value
        first = not once.exists()
        once.touch()
        if value == "raise":
            raise KeyError("a bad unit")
        if value == "refuse":
            raise RequestError("never right")
        if value == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if value == "die" or (value == "die once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if value == "slow":
            tell({"tokens": 7, "share": 0.5})
            time.sleep(2.5)
        if value == "hang" or (value == "hang once" and first):
            time.sleep(600)
        return {"value": value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Squaring:
    """The helpers' part of `Summing`; what should fail once only leaves a file in `folder`."""

    folder: str

    def open(self) -> Callable[[Any], Any]:
        return self._square

    def _square(self, item: int | str) -> int:
        if not _ALONE.acquire(blocking=False):
            raise RuntimeError("a helper works at two items at a time")
        try:
            return self._squared(item)
        finally:
            _ALONE.release()

    def _squared(self, item: int | str) -> int:
        if isinstance(item, int):
            time.sleep(0.01 * (item % 3))
            return item * item
        once = Path(self.folder) / item
        first = not once.exists()
        once.touch()
        if item == "die once" and first:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "hang once" and first:
            time.sleep(600)
        if item == "raise":
            raise KeyError("a bad item")
        if item == "refuse":
            raise RequestError("never right")
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Summing:
    """Squares the items of a unit, by helpers where there are any."""

    folder: str
    apply: OrderedMap | None = None

    def help(self) -> Help:
        return Squaring(folder=self.folder)

    def assisted(self, apply: OrderedMap) -> Work:
        return replace(self, apply=apply)

    def open(self) -> Callable[[Any, Tell], Result]:
        return self._run

    def _run(self, items: list[Any], tell: Tell) -> Result:
        del tell
        apply = self.apply or partial(map, Squaring(folder=self.folder).open())
        return {"squares": list(apply(items)), "helped": self.apply is not None}


def _fail_to_load() -> None:
    raise ImportError("No module named 'premask'")


class Unloadable:
    """A work that no worker can receive, as on a node without Premask."""

    def open(self) -> Callable[[Any, Tell], Result]:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _fail_to_load, ()
