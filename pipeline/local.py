"""The local engine: units one after the other on this machine. For small jobs and debugging.

They run in this process, at no cost beyond the work itself; with a time limit, in one child
process (`premask.pipeline.child`), which can be killed. A failed unit is put back behind the
others and tried again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from premask.pipeline.child import Child
from premask.pipeline.engine import (
    Outcome,
    Result,
    Task,
    Tell,
    Tries,
    Watch,
    Work,
    attempt,
    unwatched,
)

_Runner = Callable[[Task, Tell], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Runs every unit here, in plan order.

    Attributes:
        retries: further tries of a unit that failed.
        unit_timeout: seconds after which a unit is ended; None for no limit.
    """

    retries: int = 0
    unit_timeout: float | None = None

    def run(
        self, work: Work, tasks: Sequence[Task], watch: Watch = unwatched
    ) -> Generator[Outcome, None, None]:
        """See `premask.pipeline.engine.Engine`."""
        todo, tries = deque(tasks), Tries(allowed=self.retries)
        with self._runner(work) as run:
            while todo:
                task = todo.popleft()
                outcome = tries.judge(run(task, partial(watch, task.index)))
                if outcome.status == "retry":
                    todo.append(task)
                yield outcome
                if outcome.status == "fatal":
                    return

    @contextmanager
    def _runner(self, work: Work) -> Iterator[_Runner]:
        if self.unit_timeout is None:
            yield _Here(work)
            return
        child = Child(work, self.unit_timeout)
        try:
            yield child
        finally:
            child.stop()


class _Here:
    """Runs units in this process; what cannot be opened is refused at once."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._run: Callable[[Any, Tell], Result] | None = None

    def __call__(self, task: Task, tell: Tell) -> Outcome:
        self._run = self._run or self._work.open()
        return attempt(partial(self._run, task.value, tell), task.index)
