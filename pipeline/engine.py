"""What an engine is: something that does units of work and tells how each of them ended.

An engine knows nothing of corpora. It gets a `Work` (a small picklable value that opens into a
function in whatever process does the units) and tasks, and yields `Outcome`s as they come.
Results are small dictionaries; no rows ever reach the driver.
"""

from __future__ import annotations

import errno
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

from premask._errors import RequestError

# Errors that every other unit would meet as well: no use in going on.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

# Of a job that does not say: seconds before a unit's worker is killed, and further tries.
UNIT_TIMEOUT = 6 * 3600.0
RETRIES = 2

Result = dict[str, Any]


# Tells what a unit has done so far: figures as in its result, and its `share` (0 to 1).
Tell = Callable[[Result], None]
# The same with the unit's number, for whoever runs an engine; called every second or so.
Watch = Callable[[int, Result], None]


def unwatched(index: int, so_far: Result) -> None:
    """A `Watch` that looks away."""
    del index, so_far


class Work(Protocol):
    """A picklable value; opening it (once per process) loads tokenizers and models.

    What it opens into does one unit, and may call `Tell` as often as it likes meanwhile.
    """

    def open(self) -> Callable[[Any, Tell], Result]: ...


class Help(Protocol):
    """A part of the work, in processes of its own; opens into a function of one item."""

    def open(self) -> Callable[[Any], Any]: ...


# Does a `Help` elsewhere: from items to results, in their order.
OrderedMap = Callable[[Iterable[Any]], Iterator[Any]]


@runtime_checkable
class Assisted(Protocol):
    """A `Work` that can leave a part of itself to helpers, where an engine has them."""

    def help(self) -> Help: ...

    def assisted(self, apply: OrderedMap) -> Work: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit of work: its number in the plan and whatever the opened `Work` takes."""

    index: int
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one try of a unit ended.

    Attributes:
        status: ``done``; ``retry``: it failed and is tried again; ``failed``: given up;
            ``fatal``: given up, and so are all others (a full disk).
        result: what the work returned; empty unless done.
        error: the reason in one line; empty when done.
        trace: the traceback, where there is one.
        seconds: wall-clock seconds of this try.
    """

    index: int
    status: Literal["done", "retry", "failed", "fatal"]
    result: Result
    error: str = ""
    trace: str = ""
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Tries:
    """Counts the tries of units; a unit has one and those `allowed` beyond it."""

    allowed: int
    _failed: Counter[int] = field(default_factory=Counter)

    def judge(self, outcome: Outcome) -> Outcome:
        """The outcome; given up where its unit is to be tried again and has no try left."""
        if outcome.status != "retry":
            return outcome
        self._failed[outcome.index] += 1
        used_up = self._failed[outcome.index] > self.allowed
        return replace(outcome, status="failed") if used_up else outcome


class Engine(Protocol):
    """Runs tasks in any order; closing the iterator stops all work at once."""

    def run(
        self, work: Work, tasks: Sequence[Task], watch: Watch = unwatched
    ) -> Generator[Outcome, None, None]: ...


def attempt(run: Callable[[], Result], index: int) -> Outcome:
    """One try of a unit: the boundary at which an error becomes a record."""
    start = time.perf_counter()
    try:
        result = run()
    except Exception as error:
        return Outcome(
            index=index,
            status=_verdict(error),
            result={},
            error="; ".join([f"{type(error).__name__}: {error}", *_notes(error)]),
            trace=traceback.format_exc(),
            seconds=time.perf_counter() - start,
        )
    return Outcome(
        index=index, status="done", result=result, seconds=time.perf_counter() - start
    )


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _verdict(error: BaseException) -> Literal["retry", "failed", "fatal"]:
    """Whether another try may help: not with a wrong request, not on a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return "fatal"
        cause = cause.__cause__ or cause.__context__
    return "failed" if isinstance(error, RequestError) else "retry"
