"""Runs an iterator ahead of its consumer, in one thread, by a bounded number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
_POLL_S = 0.1


def prefetched(items: Iterable[T], depth: int) -> Generator[T]:
    """The items of `items`, at most `depth` of them made before they are asked for.

    An exception in the thread is raised here, in its turn. Closing the generator, or losing
    the last reference to it, ends the thread.
    """
    # (True, item) | (False, None at the end, or the exception)
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(
        target=_produce, args=(items, ready, stop), name="premask-prefetch", daemon=True
    )
    thread.start()
    try:
        while True:
            is_item, value = ready.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        stop.set()
        thread.join()


def _produce(
    items: Iterable[Any], ready: queue.Queue[tuple[bool, Any]], stop: threading.Event
) -> None:
    """Puts `items`, and how they ended, into `ready` until `stop` is set."""

    def put(entry: tuple[bool, Any]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    try:
        for item in items:
            if not put((True, item)):
                return
    except BaseException as error:  # whatever it is, the consumer has to see it
        put((False, error))
    else:
        put((False, None))
