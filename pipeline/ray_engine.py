"""The Ray engine: whole units on a pool of Ray actors, one unit at a time per actor.

Units are fused: reading, annotating, tokenizing and writing of a unit happen in one actor, and
what comes back is a small dictionary, so neither the driver nor the object store grows with the
corpus. A part that a work leaves to helpers (`premask.pipeline.ray_helpers`) is done there, a
few items at a time. An actor that dies or exceeds the time limit is replaced and its unit tried
again. Start-up costs about three seconds on a laptop; a running cluster is joined by its
address. Every actor is asked about once a second how far its unit has come.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from premask._errors import RequestError, UnitError
from premask.pipeline.engine import (
    Assisted,
    Help,
    Outcome,
    Result,
    Task,
    Tries,
    Watch,
    Work,
    unwatched,
)
from premask.pipeline.ray_cluster import connected, first_line, resources
from premask.pipeline.ray_helpers import Crew
from premask.pipeline.ray_worker import Worker

_POLL_SECONDS = 0.5
# The driver asks so many workers a second at most, however many there are.
_QUESTIONS_PER_SECOND = 50
_MAX_FAILED_STARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """Runs units on Ray.

    Attributes:
        workers: actors; None for one per CPU of the machine or the cluster.
        address: a running cluster; None for ``RAY_ADDRESS``, or a private Ray on this machine.
        unit_timeout: seconds after which the worker of a unit is killed.
        retries: further tries of a unit that failed.
        gpus: GPUs per helper, or per worker where there are no helpers.
        helpers: actors to which a work may leave a part of itself, see
            `premask.pipeline.ray_helpers`; without any, the workers do it all.
        start_timeout: seconds without a single worker after which a run is given up. Long
            enough for a cluster that adds nodes on demand.
    """

    workers: int | None
    address: str | None
    unit_timeout: float
    retries: int
    gpus: float = 0.0
    helpers: int = 0
    start_timeout: float = 300.0

    def run(
        self, work: Work, tasks: Sequence[Task], watch: Watch = unwatched
    ) -> Generator[Outcome, None, None]:
        """See `premask.pipeline.engine.Engine`.

        Raises:
            RequestError: no cluster answers at the address, or it has no room for a worker.
            UnitError: workers end as soon as they are started.
        """
        helpers = self.helpers if isinstance(work, Assisted) else 0
        with (
            connected(
                workers=self.workers, address=self.address, gpus=self.gpus, helpers=helpers
            ) as found,
            ExitStack() as stack,
        ):
            num_workers = min(found, len(tasks))
            crew: Crew | None = None
            if helpers and isinstance(work, Assisted):
                crew = self._hire(work.help())
                stack.callback(crew.dismiss)
                work = work.assisted(crew.for_workers(num_workers))
            tries = Tries(allowed=self.retries)
            pool = _Pool(
                engine=self, work=work, crew=crew, watch=watch, todo=deque(tasks), tries=tries
            )
            stack.callback(pool.stop)
            yield from pool.drain(num_workers)

    def _hire(self, work: Help) -> Crew:
        return Crew.hire(
            work, count=self.helpers, gpus=self.gpus, start_timeout=self.start_timeout
        )


@dataclass(slots=True, kw_only=True)
class _Running:
    """A unit in the hands of an actor."""

    actor: Any
    task: Task
    start: float
    asked: float


@dataclass(slots=True, kw_only=True)
class _Pool:
    """The actors of one run and what each of them does now."""

    engine: RayEngine
    work: Work
    crew: Crew | None
    watch: Watch
    todo: deque[Task]
    tries: Tries
    idle: list[Any] = field(default_factory=list)
    starting: dict[Any, Any] = field(default_factory=dict)  # ready() -> actor
    running: dict[Any, _Running] = field(default_factory=dict)  # run() -> what
    questions: dict[Any, Any] = field(default_factory=dict)  # so_far() -> run()
    failed_starts: int = 0
    last_worker: float = field(default_factory=time.monotonic)

    def drain(self, num_workers: int) -> Iterator[Outcome]:
        import ray

        for _ in range(num_workers):
            self._spawn()
        while self.todo or self.running:
            while self.idle and self.todo:
                self._submit(self.idle.pop(), self.todo.popleft())
            starting = self.starting if self.todo else ()
            waiting = [*self.running, *starting, *self.questions]
            ready, _ = ray.wait(waiting, num_returns=1, timeout=_POLL_SECONDS)
            for reference in ready:
                yield from self._collect(reference)
            yield from self._kill_overdue()
            self._ask()
            self._give_up_without_workers()

    def stop(self) -> None:
        import ray

        running = [r.actor for r in self.running.values()]
        for actor in [*self.idle, *self.starting.values(), *running]:
            ray.kill(actor)

    def _spawn(self) -> None:
        import ray

        remote: Any = ray.remote  # its types know no actors with several threads
        as_actor = remote(
            num_cpus=1,
            num_gpus=0 if self.crew else self.engine.gpus,
            max_restarts=0,
            max_concurrency=2,
        )
        actor = as_actor(Worker).remote(self.work)
        self.starting[actor.ready.remote()] = actor

    def _submit(self, actor: Any, task: Task) -> None:
        now = time.monotonic()
        reference = actor.run.remote(task)
        self.running[reference] = _Running(actor=actor, task=task, start=now, asked=now)

    def _ask(self) -> None:
        """Asks those who were not asked for a while how far they are."""
        now, pause = time.monotonic(), max(1.0, len(self.running) / _QUESTIONS_PER_SECOND)
        unanswered = set(self.questions.values())
        for reference, running in self.running.items():
            if now - running.asked > pause and reference not in unanswered:
                running.asked = now
                self.questions[running.actor.so_far.remote()] = reference

    def _collect(self, reference: Any) -> Iterator[Outcome]:
        import ray

        if reference in self.questions:
            self._hear(reference)
        elif reference in self.starting:
            self._greet(reference)
        else:
            running = self.running.pop(reference)
            try:
                outcome: Outcome = ray.get(reference)
                self.idle.append(running.actor)
            except ray.exceptions.RayError as error:
                self._spawn()
                outcome = _lost(running, f"the worker died: {first_line(error)}")
            yield self._judge(running.task, outcome)

    def _hear(self, question: Any) -> None:
        import ray

        running = self.running.get(self.questions.pop(question))
        try:
            so_far: Result = ray.get(question)
        except ray.exceptions.RayError:
            return  # the unit itself will tell
        if running is not None and so_far:
            self.watch(running.task.index, so_far)

    def _greet(self, reference: Any) -> None:
        import ray

        actor = self.starting.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            self.failed_starts += 1
            if self.failed_starts > _MAX_FAILED_STARTS:
                raise UnitError(
                    f"workers end as soon as they start: {first_line(error)}; is Premask, in "
                    "this version, installed on every node of the cluster?",
                    location="ray_address",
                ) from error
            self._spawn()
            return
        self.failed_starts = 0
        self.idle.append(actor)

    def _give_up_without_workers(self) -> None:
        now = time.monotonic()
        if self.idle or self.running:
            self.last_worker = now
        elif self.todo and now - self.last_worker > self.engine.start_timeout:
            found = resources()
            raise RequestError(
                f"no worker could be started in {self.engine.start_timeout:g} s: each needs "
                f"1 CPU and {self.engine.gpus:g} GPUs, the cluster has "
                f"{found.get('CPU', 0):g} CPUs and {found.get('GPU', 0):g} GPUs in all; wait "
                "until others have left it, or add nodes",
                location="ray_address",
            )

    def _kill_overdue(self) -> Iterator[Outcome]:
        import ray

        limit, now = self.engine.unit_timeout, time.monotonic()
        overdue = [ref for ref, r in self.running.items() if now - r.start > limit]
        if overdue and self.crew is not None:
            self.crew.restart_hung(limit)
        for reference in overdue:
            running = self.running.pop(reference)
            ray.kill(running.actor)
            self._spawn()
            message = f"no end after {limit:g} s (unit_timeout); the worker was killed"
            yield self._judge(running.task, _lost(running, message))

    def _judge(self, task: Task, outcome: Outcome) -> Outcome:
        """Puts a failed unit back, unless its tries are used up."""
        judged = self.tries.judge(outcome)
        if judged.status == "fatal":
            self.todo.clear()
        if judged.status == "retry":
            self.todo.append(task)
        return judged


def _lost(running: _Running, message: str) -> Outcome:
    return Outcome(
        index=running.task.index,
        status="retry",
        result={},
        error=message,
        seconds=time.monotonic() - running.start,
    )
