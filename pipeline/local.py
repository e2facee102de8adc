"""The local engine: units one after the other in this process. For small jobs and debugging.

No time limit and no second try: there is nobody to kill a hung unit, and what fails here fails
again. Costs nothing beyond the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from premask.pipeline.engine import Outcome, Result, Task, Work, attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Runs every unit here, in plan order."""

    def run(self, work: Work, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        run: Callable[[Task], Result] | None = None
        for task in tasks:
            run = run or work.open()
            outcome = attempt(partial(run, task.value), task.index)
            yield replace(outcome, status="failed") if outcome.status == "retry" else outcome
            if outcome.status == "fatal":
                return
