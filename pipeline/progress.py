"""Progress of a run: a live display on a terminal, plain lines in a log, JSON for machines.

All of it goes to standard error or to files that the user names, never into the shard set.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TextIO

from premask._errors import RequestError
from premask.pipeline.tally import Tally, clock, plural, short

Event = Literal["start", "progress", "unit", "retry", "failed", "finish"]
_LINE_SECONDS = 10.0


class Reporter(Protocol):
    """Is told what happens; `text` is one line, empty where the figures say it all."""

    def tell(self, event: Event, tally: Tally, text: str = "", trace: str = "") -> None: ...


def figures(tally: Tally) -> str:
    """One line with everything that a log reader wants to know."""
    parts = [
        f"{tally.skipped + tally.done}/{tally.num_units} units",
        f"{short(tally.tokens)} tokens ({short(tally.tokens_per_second)}/s)",
    ]
    if tally.documents:
        parts += [f"{short(tally.documents)} documents", f"{short(tally.rejected)} rejected"]
    parts += [f"{plural(tally.failed, 'unit')} failed"] if tally.failed else []
    if stages := ", ".join(f"{name} {share:.0%}" for name, share in tally.shares().items()):
        parts.append(stages)
    return "; ".join([*parts, f"{clock(tally.seconds_left)} left"])


@dataclass(slots=True, kw_only=True)
class LineReporter:
    """Plain lines: every event worth a line at once, figures every ten seconds."""

    stream: TextIO
    traces: bool = False
    _last: float = field(default_factory=time.monotonic)

    def tell(self, event: Event, tally: Tally, text: str = "", trace: str = "") -> None:
        if text:
            print(text, file=self.stream)
        if trace and self.traces:
            print(trace.rstrip(), file=self.stream)
        complete = tally.skipped + tally.done == tally.num_units
        timely = time.monotonic() - self._last > _LINE_SECONDS
        if event in ("unit", "progress") and (complete or timely):
            print(figures(tally), file=self.stream)
            self._last = time.monotonic()
        self.stream.flush()


@dataclass(slots=True, kw_only=True)
class JsonReporter:
    """One JSON object per event and line; `docs/log.md` says what is in it."""

    stream: TextIO
    _last: float = field(default_factory=time.monotonic)

    def tell(self, event: Event, tally: Tally, text: str = "", trace: str = "") -> None:
        if event == "progress":
            if time.monotonic() - self._last < _LINE_SECONDS:
                return
            self._last = time.monotonic()
        value = {"event": event, **tally.to_json()}
        value |= {k: v for k, v in (("message", text), ("traceback", trace)) if v}
        print(json.dumps(value), file=self.stream, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporters:
    """Tells all of them."""

    reporters: Sequence[Reporter]

    def tell(self, event: Event, tally: Tally, text: str = "", trace: str = "") -> None:
        for reporter in self.reporters:
            reporter.tell(event, tally, text, trace)


@contextmanager
def reporting(
    *, quiet: bool = False, log: str | None = None, log_json: str | None = None
) -> Iterator[Reporter]:
    """The reporters that the options ask for, closed at the end.

    Args:
        quiet: nothing on standard error.
        log: a file for plain lines with tracebacks; appended to.
        log_json: a file for JSON lines, or ``-`` for standard output.

    Raises:
        RequestError: a log file cannot be written.
    """
    with ExitStack() as stack:
        reporters: list[Reporter] = []
        if log is not None:
            file = stack.enter_context(_append(log, "--log"))
            reporters.append(LineReporter(stream=file, traces=True))
        if log_json == "-":
            reporters.append(JsonReporter(stream=sys.stdout))
        elif log_json is not None:
            file = stack.enter_context(_append(log_json, "--log-json"))
            reporters.append(JsonReporter(stream=file))
        if not quiet and sys.stderr.isatty():
            from premask.pipeline.live import LiveReporter

            reporters.append(stack.enter_context(LiveReporter()))
        elif not quiet:
            reporters.append(LineReporter(stream=sys.stderr))
        yield Reporters(reporters=reporters)


def _append(path: str, option: str) -> TextIO:
    try:
        return Path(path).open("a", encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}", location=option) from error
