"""Helpers: Ray actors that do a part of the units' work, with resources of their own.

A unit's worker sends them items and takes the results in the order of the items, with a few
under way, so that a slow part runs on other cores or on GPUs while the worker goes on. Items
and results pass through Ray's object store, never through the driver. A helper that dies is
started again by Ray; the units that had items with it fail, and are tried again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from premask._errors import RequestError, UnitError
from premask.pipeline.engine import Help, Outcome, attempt
from premask.pipeline.ray_cluster import first_line

_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 0.2
# How long a worker goes by what it knows of who is there.
_NEWS_SECONDS = 5.0
# Long enough for a cluster that replaces lost nodes.
_ABSENT_SECONDS = 300.0
_AT_WORK = "work"  # a group of one thread


class Helper:
    """The actor. What it does is opened by the first item, so that a failure belongs to a unit.

    It has two threads: one works, at one item after the other, as spaCy may serve no two at a
    time; the other answers meanwhile.
    """

    def __init__(self, work: Help) -> None:
        self._work = work
        self._run: Callable[[Any], Any] | None = None
        self._since: float | None = None

    def ready(self) -> bool:
        return True

    def busy(self) -> float:
        """Seconds since the present item came."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def apply(self, item: Any) -> Outcome:
        self._since = time.monotonic()
        try:
            return attempt(partial(self._do, item), 0)
        finally:
            self._since = None

    def _do(self, item: Any) -> dict[str, Any]:
        self._run = self._run or self._work.open()
        return {"value": self._run(item)}


class _Elsewhere(Exception):
    """The traceback of an error in a helper, as text."""


@dataclass(slots=True, kw_only=True)
class Helpers:
    """An ordered map over all helpers; travels to the workers and is called there.

    Attributes:
        actors: the helpers.
        in_flight: items that one unit has under way at most.
    """

    actors: tuple[Any, ...]
    in_flight: int
    _present: list[Any] = field(default_factory=list)
    _asked: float = float("-inf")
    _turn: int = 0

    def __call__(self, items: Iterable[Any]) -> Iterator[Any]:
        """The results of all items, in their order.

        Raises:
            RequestError: a helper cannot do what is asked.
            UnitError: a helper failed or died.
        """
        waiting: deque[Any] = deque()
        self._asked = float("-inf")  # after a failure, some may be gone
        for item in items:
            apply = self._next_helper().apply.options(concurrency_group=_AT_WORK)
            waiting.append(apply.remote(item))
            if len(waiting) >= self.in_flight:
                yield _take(waiting.popleft())
        while waiting:
            yield _take(waiting.popleft())

    def _next_helper(self) -> Any:
        """The helpers in turn, of those that answered lately."""
        if time.monotonic() - self._asked > _NEWS_SECONDS:
            self._present = self._who_answers()
            self._asked = time.monotonic()
        self._turn += 1
        return self._present[self._turn % len(self._present)]

    def _who_answers(self) -> list[Any]:
        """The helpers that are there; waits for one of them to come back.

        Raises:
            UnitError: none does.
        """
        import ray

        start = time.monotonic()
        while time.monotonic() - start < _ABSENT_SECONDS:
            questions = {actor.ready.remote(): actor for actor in self.actors}
            answered, _ = ray.wait(
                list(questions), num_returns=len(questions), timeout=_ANSWER_SECONDS
            )
            present = [questions[answer] for answer in answered if _answers(answer)]
            if present:
                return present
            time.sleep(_PAUSE_SECONDS)
        raise UnitError(f"no helper has answered for {_ABSENT_SECONDS:g} s")


def _answers(question: Any) -> bool:
    import ray

    try:
        return bool(ray.get(question))
    except ray.exceptions.RayError:
        return False


def _take(reference: Any) -> Any:
    import ray

    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise UnitError(f"a helper died: {first_line(error)}") from error
    if outcome.status == "done":
        return outcome.result["value"]
    kind = RequestError if outcome.status == "failed" else UnitError
    raise kind(f"in a helper: {outcome.error}") from _Elsewhere(outcome.trace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The helpers of one run, as the driver has them."""

    actors: tuple[Any, ...]

    @classmethod
    def hire(cls, work: Help, *, count: int, gpus: float, start_timeout: float) -> Crew:
        """Starts helpers, and waits for the first.

        Raises:
            RequestError: none could be started in time.
            UnitError: one ended as soon as it was started.
        """
        import ray

        remote: Any = ray.remote  # its types know no actors with several threads
        as_actor = remote(
            num_cpus=1, num_gpus=gpus, max_restarts=-1, concurrency_groups={_AT_WORK: 1}
        )
        crew = cls(actors=tuple(as_actor(Helper).remote(work) for _ in range(count)))
        questions = [actor.ready.remote() for actor in crew.actors]
        answered, _ = ray.wait(questions, num_returns=1, timeout=start_timeout)
        if not answered:
            crew.dismiss()
            raise RequestError(
                f"no helper could be started in {start_timeout:g} s: each needs 1 CPU and "
                f"{gpus:g} GPUs; ask for fewer, wait until others have left the cluster, or "
                "add nodes",
                location="annotate.workers",
            )
        try:
            ray.get(answered)
        except ray.exceptions.RayError as error:
            crew.dismiss()
            raise UnitError(
                f"helpers end as soon as they start: {first_line(error)}; is Premask, in this "
                "version, installed on every node of the cluster?",
                location="annotate.workers",
            ) from error
        return crew

    def for_workers(self, num_workers: int) -> Helpers:
        """The map that workers call: enough under way to keep all helpers busy."""
        share = -(-2 * len(self.actors) // max(num_workers, 1))
        return Helpers(actors=self.actors, in_flight=max(2, share))

    def restart_hung(self, limit: float) -> None:
        """Kills helpers that have been with one item for half the time limit of a unit."""
        import ray

        questions = {actor.busy.remote(): actor for actor in self.actors}
        answered, silent = ray.wait(
            list(questions), num_returns=len(questions), timeout=_ANSWER_SECONDS
        )
        for question in answered:
            try:
                if ray.get(question) < limit / 2:
                    continue
            except ray.exceptions.RayError:
                continue  # it is being started again already
            ray.kill(questions[question], no_restart=False)
        for question in silent:
            ray.kill(questions[question], no_restart=False)

    def dismiss(self) -> None:
        import ray

        for actor in self.actors:
            ray.kill(actor)
