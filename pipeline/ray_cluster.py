"""Joins a Ray cluster, or starts a private Ray on this machine, for the time of one run."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from premask._errors import RequestError

# Quiet, no telemetry, no upload of the working directory when started by `uv run`. Ray prints
# the log of a node that died to the driver's standard output: all its lines are skipped, since
# what matters of them comes back as the error of a unit.
_DRIVER_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
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
# For the batches that a helper and its workers have under way.
_HELPER_BYTES = 32 << 20


@contextmanager
def connected(
    *, workers: int | None, address: str | None, gpus: float, helpers: int = 0
) -> Iterator[int]:
    """Ray, for the time of one run; gives the number of workers. One already up is left up.

    Args:
        workers: actors wanted; None for as many as there is room for.
        address: a running cluster; None for ``RAY_ADDRESS``, or a private Ray on this machine.
        gpus: GPUs that a helper needs, or a worker where there are no helpers.
        helpers: further actors, see `premask.pipeline.ray_helpers`.

    Raises:
        RequestError: no cluster answers, or this machine has too few GPUs.
    """
    os.environ.update({k: v for k, v in _DRIVER_ENVIRONMENT.items() if k not in os.environ})
    import ray

    if ray.is_initialized():
        yield workers or _room(gpus, helpers)
        return
    # Ray puts the driver's working directory on the workers' path, where a user's own
    # `datasets.py` or `schemas/` would shadow a library: it gets an empty one.
    with TemporaryDirectory(prefix="premask-ray-", ignore_cleanup_errors=True) as empty:
        try:
            with chdir(empty):
                _start(workers, address, gpus, helpers)
            yield workers or _room(gpus, helpers)
        finally:
            ray.shutdown()


def _start(workers: int | None, address: str | None, gpus: float, helpers: int) -> None:
    import ray

    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "configure_logging": True,
        "runtime_env": {"env_vars": _WORKER_ENVIRONMENT},
    }
    if not address:
        cores = workers or max(1, len(os.sched_getaffinity(0)) - helpers)
        options |= {"num_cpus": cores + helpers, "include_dashboard": False}
        store = _OBJECT_STORE_BYTES + helpers * _HELPER_BYTES
        ray.init(address="local", object_store_memory=store, **options)
        refuse_missing_gpus(gpus, helpers)
        return
    try:
        _knock(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"no Ray cluster answers at {address!r}: {first_line(error)}; start one with "
            "`ray start --head`, give its token if it asks for one (RAY_AUTH_TOKEN), or leave "
            "the address out to use this machine",
            location="ray_address",
        ) from error


def refuse_missing_gpus(gpus: float, helpers: int = 0) -> None:
    """Ray would wait for ever for workers or helpers that this machine cannot hold."""
    found = resources().get("GPU", 0.0)
    if gpus * max(helpers, 1) > found:
        whose = f"for each of {helpers} annotators" if helpers else "per worker"
        raise RequestError(
            f"{gpus:g} GPUs {whose}, but this machine has {found:g}; lower it, or give "
            "the address of a cluster that has them",
            location="annotate.gpus",
        )


def _knock(address: str) -> None:
    """Asks for a connection first: Ray itself would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _room(gpus: float, helpers: int) -> int:
    """How many workers fit on the whole cluster; one at least, which may have to wait."""
    found = resources()
    by_gpus = [int(found.get("GPU", 0.0) / gpus)] if gpus and not helpers else []
    return max(1, min([int(found.get("CPU", 1)) - helpers, *by_gpus]))


def resources() -> dict[str, float]:
    """What the cluster has in all, in use or not."""
    import ray

    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
