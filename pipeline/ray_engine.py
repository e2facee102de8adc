"""The Ray engine: whole units on a pool of Ray actors, one unit at a time per actor.

Units are fused: reading, tokenizing and writing of a unit happen in one actor, and what comes
back is a small dictionary, so neither the driver nor the object store grows with the corpus.
An actor that dies or exceeds the time limit is replaced and its unit tried again. Start-up
costs about three seconds on a laptop; a running cluster is joined by its address.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from premask._errors import RequestError
from premask.pipeline.engine import Outcome, Result, Task, Work, attempt

# Quiet, no telemetry, no upload of the working directory when started by `uv run`.
_DRIVER_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
# The parallelism is the pool's; a library with threads of its own would only fight it.
_WORKER_ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
# Results are small and rows never enter it; a container's /dev/shm is often just 64 MB more.
_OBJECT_STORE_BYTES = 80 << 20
_POLL_SECONDS = 0.5


class Worker:
    """The actor. Its work is opened by the first unit, so that a failure belongs to a unit."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._run: Callable[[Any], Result] | None = None

    def ready(self) -> bool:
        return True

    def run(self, task: Task) -> Outcome:
        return attempt(partial(self._do, task.value), task.index)

    def _do(self, value: Any) -> Result:
        self._run = self._run or self._work.open()
        return self._run(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """Runs units on Ray.

    Attributes:
        workers: actors; None for one per CPU of the machine or the cluster.
        address: a running cluster; None for ``RAY_ADDRESS``, or a private Ray on this machine.
        unit_timeout: seconds after which the worker of a unit is killed.
        retries: further tries of a unit that failed.
        gpus: GPUs per worker.
    """

    workers: int | None
    address: str | None
    unit_timeout: float
    retries: int
    gpus: float = 0.0

    def run(self, work: Work, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """See `premask.pipeline.engine.Engine`.

        Raises:
            RequestError: no cluster answers at the address.
        """
        with _connected(self) as num_workers:
            pool = _Pool(engine=self, work=work, todo=deque(tasks))
            try:
                yield from pool.drain(min(num_workers, len(tasks)))
            finally:
                pool.stop()


@dataclass(slots=True, kw_only=True)
class _Pool:
    """The actors of one run and what each of them does now."""

    engine: RayEngine
    work: Work
    todo: deque[Task]
    idle: list[Any] = field(default_factory=list)
    starting: dict[Any, Any] = field(default_factory=dict)  # ready() -> actor
    running: dict[Any, tuple[Any, Task, float]] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)

    def drain(self, num_workers: int) -> Iterator[Outcome]:
        import ray

        for _ in range(num_workers):
            self._spawn()
        while self.todo or self.running:
            while self.idle and self.todo:
                self._submit(self.idle.pop(), self.todo.popleft())
            waiting = [*self.running, *(self.starting if self.todo else ())]
            ready, _ = ray.wait(waiting, num_returns=1, timeout=_POLL_SECONDS)
            for reference in ready:
                yield from self._collect(reference)
            yield from self._kill_overdue()

    def stop(self) -> None:
        import ray

        for actor in [
            *self.idle,
            *self.starting.values(),
            *(r[0] for r in self.running.values()),
        ]:
            ray.kill(actor)

    def _spawn(self) -> None:
        import ray

        as_actor = ray.remote(num_cpus=1, num_gpus=self.engine.gpus, max_restarts=0)
        actor: Any = as_actor(Worker).remote(self.work)
        self.starting[actor.ready.remote()] = actor

    def _submit(self, actor: Any, task: Task) -> None:
        self.running[actor.run.remote(task)] = (actor, task, time.monotonic())

    def _collect(self, reference: Any) -> Iterator[Outcome]:
        import ray

        if reference in self.starting:
            actor = self.starting.pop(reference)
            try:
                ray.get(reference)
                self.idle.append(actor)
            except ray.exceptions.RayActorError:
                self._spawn()
            return
        actor, task, start = self.running.pop(reference)
        try:
            outcome: Outcome = ray.get(reference)
            self.idle.append(actor)
        except ray.exceptions.RayError as error:
            self._spawn()
            outcome = _lost(task, f"the worker died: {_first_line(error)}", start)
        yield self._judge(task, outcome)

    def _kill_overdue(self) -> Iterator[Outcome]:
        import ray

        limit, now = self.engine.unit_timeout, time.monotonic()
        overdue = [ref for ref, (_, _, start) in self.running.items() if now - start > limit]
        for reference in overdue:
            actor, task, start = self.running.pop(reference)
            ray.kill(actor)
            self._spawn()
            message = f"no end after {limit:g} s (unit_timeout); the worker was killed"
            yield self._judge(task, _lost(task, message, start))

    def _judge(self, task: Task, outcome: Outcome) -> Outcome:
        """Puts a failed unit back, unless its tries are used up."""
        if outcome.status == "fatal":
            self.todo.clear()
        if outcome.status != "retry":
            return outcome
        self.tries[task.index] = self.tries.get(task.index, 0) + 1
        if self.tries[task.index] > self.engine.retries:
            return replace(outcome, status="failed")
        self.todo.append(task)
        return outcome


def _lost(task: Task, message: str, start: float) -> Outcome:
    return Outcome(
        index=task.index,
        status="retry",
        result={},
        error=message,
        seconds=time.monotonic() - start,
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def _connected(engine: RayEngine) -> Iterator[int]:
    """Ray, for the time of one run; gives the number of workers. One already up is left up."""
    os.environ.update({k: v for k, v in _DRIVER_ENVIRONMENT.items() if k not in os.environ})
    import ray

    if ray.is_initialized():
        yield engine.workers or _num_cpus()
        return
    # Ray puts the driver's working directory on the workers' path, where a user's own
    # `datasets.py` or `schemas/` would shadow a library: it gets an empty one.
    with TemporaryDirectory(prefix="premask-ray-", ignore_cleanup_errors=True) as empty:
        try:
            with chdir(empty):
                _start(engine)
            yield engine.workers or _num_cpus()
        finally:
            ray.shutdown()


def _start(engine: RayEngine) -> None:
    import ray

    address = engine.address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "configure_logging": True,
        "runtime_env": {"env_vars": _WORKER_ENVIRONMENT},
    }
    if not address:
        cores = engine.workers or len(os.sched_getaffinity(0))
        options |= {"num_cpus": cores, "include_dashboard": False}
        ray.init(address="local", object_store_memory=_OBJECT_STORE_BYTES, **options)
        _refuse_missing_gpus(engine.gpus)
        return
    try:
        _knock(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"no Ray cluster answers at {address!r}: {_first_line(error)}; start one with "
            "`ray start --head`, or leave the address out to use this machine",
            location="ray_address",
        ) from error


def _refuse_missing_gpus(gpus: float) -> None:
    """Ray would wait for ever for a worker that this machine cannot hold."""
    found = _resources().get("GPU", 0.0)
    if gpus > found:
        raise RequestError(
            f"{gpus:g} GPUs per worker, but this machine has {found:g}; lower it, or give "
            "the address of a cluster that has them",
            location="annotate.gpus",
        )


def _knock(address: str) -> None:
    """Asks for a connection first: Ray itself would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _num_cpus() -> int:
    return max(1, int(_resources().get("CPU", 1)))


def _resources() -> dict[str, float]:
    import ray

    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]
