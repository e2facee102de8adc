"""The Ray actor that does whole units, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from premask.pipeline.engine import Outcome, Result, Task, Tell, Work, attempt


class Worker:
    """The actor. Its work is opened by the first unit, so that a failure belongs to a unit.

    It has two threads: one runs a unit, the other answers meanwhile how far it has come.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._run: Callable[[Any, Tell], Result] | None = None
        self._so_far: Result = {}

    def ready(self) -> bool:
        return True

    def so_far(self) -> Result:
        return self._so_far

    def run(self, task: Task) -> Outcome:
        self._so_far = {}
        return attempt(partial(self._do, task.value), task.index)

    def _do(self, value: Any) -> Result:
        self._run = self._run or self._work.open()
        return self._run(value, self._note)

    def _note(self, so_far: Result) -> None:
        self._so_far = so_far
