"""Runs an audit on an engine and merges what comes back.

Statistics of every range of rows are checked on their own as well, so that an exact promise
that only one shard breaks is blamed on that shard. The driver holds two statistics at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from premask._errors import UnitError
from premask.masking._rows import Vocabulary
from premask.pipeline.audit.exact import check as check_exact
from premask.pipeline.audit.expectation import Expectation
from premask.pipeline.audit.inputs import AuditInput, AuditWork, empty_statistics
from premask.pipeline.audit.statistics import Statistics
from premask.pipeline.engine import Engine, Task

_MOST_BLAMED = 5


@dataclass(slots=True, kw_only=True)
class Collected:
    """What a pass over an input has found.

    Attributes:
        statistics: of all its rows.
        blame: names of broken exact promises, with the first files that break them.
    """

    statistics: Statistics
    vocabulary: Vocabulary
    blame: dict[str, list[str]] = field(default_factory=dict)


def collect(
    source: AuditInput,
    expectation: Expectation,
    engine: Engine,
    progress: Callable[[int, int], None],
) -> Collected:
    """Measures all of `source`.

    Args:
        progress: told the ranges of rows done, and their number.

    Raises:
        UnitError: a range of rows could not be measured.
    """
    tasks = source.tasks()
    found = Collected(statistics=empty_statistics(source), vocabulary=source.vocabulary)
    running = engine.run(
        AuditWork(input=source), [Task(index=i, value=task) for i, task in enumerate(tasks)]
    )
    done = 0
    for outcome in running:
        if outcome.status in ("failed", "fatal"):
            running.close()
            raise UnitError(
                f"rows could not be measured: {outcome.error}",
                location=tasks[outcome.index].file,
            )
        if outcome.status == "done":
            _add(found, outcome.result["file"], outcome.result["statistics"], expectation)
            done += 1
            progress(done, len(tasks))
    return found


def _add(found: Collected, file: str, statistics: Statistics, expectation: Expectation) -> None:
    for finding in check_exact(statistics, expectation):
        files = found.blame.setdefault(finding.name, []) if not finding.passed else None
        if files is not None and file not in files and len(files) < _MOST_BLAMED:
            files.append(file)
            files.sort()
    found.statistics.merge(statistics)
