"""Works that misbehave, for engine tests. Module level, so that Ray workers can import them."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask.pipeline.engine import Result, Tell


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


def _fail_to_load() -> None:
    raise ImportError("No module named 'premask'")


class Unloadable:
    """A work that no worker can receive, as on a node without Premask."""

    def open(self) -> Callable[[Any, Tell], Result]:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _fail_to_load, ()
