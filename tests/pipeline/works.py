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


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubling:
    """Doubles its value; a string names a way to fail instead.

    What should fail once only leaves a file in `folder`.
    """

    folder: str

    def open(self) -> Callable[[Any], dict[str, Any]]:
        return self._run

    def _run(self, value: int | str) -> dict[str, Any]:
        if isinstance(value, int):
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
        if value == "hang" or (value == "hang once" and first):
            time.sleep(600)
        return {"value": value}
