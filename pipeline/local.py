"""The local engine: units one after the other in this process. For small jobs and debugging.

No time limit and no second try: there is nobody to kill a hung unit, and what fails here fails
again. Costs nothing beyond the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from premask.pipeline.engine import Outcome, Result, Task, Tell, Watch, Work, attempt, unwatched


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Runs every unit here, in plan order."""

    def run(
        self, work: Work, tasks: Sequence[Task], watch: Watch = unwatched
    ) -> Generator[Outcome, None, None]:
        run: Callable[[Any, Tell], Result] | None = None
        for task in tasks:
            run = run or work.open()
            tell = partial(watch, task.index)
            outcome = attempt(partial(run, task.value, tell), task.index)
            yield replace(outcome, status="failed") if outcome.status == "retry" else outcome
            if outcome.status == "fatal":
                return
