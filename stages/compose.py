"""Composes stages into the chain of a unit, and refuses a chain that cannot work.

A stage is a function from an iterator of record batches to an iterator of record batches,
with the columns that it takes and gives. The chain is plain generator composition: batches are
pulled through it one at a time, so memory holds one batch per stage. Timing costs two clock
readings per batch and stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from premask._errors import RequestError

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a chain.

    Attributes:
        name: for messages and for the accounting of time.
        takes: columns that must come in; more may come and are ignored.
        gives: the columns that go out.
        run: the stage itself. The first one of a chain is given nothing.
    """

    name: str
    takes: frozenset[str]
    gives: frozenset[str]
    run: Callable[[Batches], Batches]


@dataclass(slots=True)
class Clock:
    """Seconds that each stage took, those before it not included.

    Attributes:
        seconds: by stage, in the order of the chain, filled while it runs.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, upstream: str | None, batches: Batches) -> Batches:
        """Passes `batches` of stage `name` on; what `upstream` takes meanwhile is its own."""
        while True:
            start, before = time.perf_counter(), self._total(upstream)
            batch = next(batches, None)
            inner = self._total(upstream) - before
            self.seconds[name] += time.perf_counter() - start - inner
            if batch is None:
                return
            yield batch

    def _total(self, last: str | None) -> float:
        """Seconds of all stages up to `last`."""
        total = 0.0
        for name, seconds in self.seconds.items() if last is not None else ():
            total += seconds
            if name == last:
                break
        return total


def check_chain(stages: Sequence[Stage]) -> None:
    """Refuses a chain in which a stage lacks a column, or that has two stages of one name.

    Raises:
        RequestError: naming the stages and the columns.
    """
    names = [stage.name for stage in stages]
    order = " > ".join(names)
    for i, stage in enumerate(stages):
        if stage.name in names[:i]:
            raise RequestError(f"stage {stage.name!r} stands twice in the chain {order}")
        given = stages[i - 1].gives if i else frozenset()
        if missing := sorted(stage.takes - given):
            source = f"{stages[i - 1].name!r} before it gives" if i else "nothing gives"
            raise RequestError(
                f"stage {stage.name!r} takes {', '.join(missing)}, which {source} no longer or "
                f"not yet; the order must be read, strip, clean, annotate, tokenize, arrange; "
                f"this chain is {order}"
            )


def compose(stages: Sequence[Stage], clock: Clock) -> Batches:
    """The batches of the last stage; nothing runs until the first is asked for.

    Raises:
        RequestError: see `check_chain`.
    """
    check_chain(stages)
    clock.seconds.update(dict.fromkeys((stage.name for stage in stages), 0.0))
    batches: Batches = iter(())
    upstream: str | None = None
    for stage in stages:
        batches = clock.timed(stage.name, upstream, iter(stage.run(batches)))
        upstream = stage.name
    return batches
