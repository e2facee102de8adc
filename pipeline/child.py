"""A child process that does units one after the other, for as long as each stays in its limit.

A unit that takes longer, or takes its process with it, costs that process alone: the next unit
gets a new one. Starting it and loading tokenizers and models costs a second or more. The child
ends when its parent does, and leaves Ctrl-C to it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, Pipe
from typing import Any

from premask.pipeline.engine import Outcome, Result, Task, Tell, Work, attempt

# With -P, the user's directory does not shadow a library.
_COMMAND = (sys.executable, "-P", "-c", "from premask.pipeline import child; child.main()")
_LOOK_SECONDS = 1.0


class Child:
    """The parent's side: runs a unit in the child, which is started when there is none.

    Args:
        work: what the child opens.
        limit: seconds that a unit may take, opening the work included.
    """

    def __init__(self, work: Work, limit: float) -> None:
        self._work = work
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __call__(self, task: Task, tell: Tell) -> Outcome:
        start = time.monotonic()
        connection = self._connection or self._start()
        lost = partial(Outcome, index=task.index, status="retry", result={})
        try:
            connection.send(task)
            while connection.poll(max(0.0, start + self._limit - time.monotonic())):
                message: Outcome | Result = connection.recv()
                if isinstance(message, Outcome):
                    return message
                tell(message)
        except (EOFError, ConnectionError):
            error = f"the process of the unit {self.stop()}"
        else:
            self.stop()
            error = f"no end after {self._limit:g} s (unit_timeout); its process was killed"
        return lost(error=error, seconds=time.monotonic() - start)

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        number = theirs.fileno()
        self._process = subprocess.Popen([*_COMMAND, str(number)], pass_fds=[number])
        theirs.close()
        self._connection = ours
        ours.send(self._work)
        return ours

    def stop(self) -> str:
        """Ends the process, if there is one; says how it had ended before, if it had."""
        if self._process is None or self._connection is None:
            return "is gone"
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # one that just died is still to be collected
        ended = self._process.returncode
        self._process.kill()
        self._process.wait()
        self._process = self._connection = None
        if ended is not None and ended < 0:
            return f"died: {signal.strsignal(-ended)} (signal {-ended})"
        return f"ended with status {ended}"


def main() -> None:
    """The child's side; its connection is the file whose number is the last argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[-1]))
    with contextlib.suppress(EOFError, ConnectionError):
        work: Work = connection.recv()
        run: Callable[[Any, Tell], Result] | None = None

        def do(value: Any) -> Result:
            nonlocal run
            run = run or work.open()
            return run(value, connection.send)

        while True:
            task: Task = connection.recv()
            connection.send(attempt(partial(do, task.value), task.index))


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
