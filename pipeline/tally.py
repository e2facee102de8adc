"""Running figures of a build: what progress displays show. Never part of the output."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_COUNTS = ("documents", "rejected", "rows", "tokens")
_NO_FIGURES: Mapping[str, Any] = {}


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts since the start; `skipped` units were complete before it.

    What units in flight have done so far counts as well, until the unit ends: done, they
    count in full; failed, not at all. A display may read while a run writes.

    Attributes:
        num_units, num_bytes: of the whole job.
        skipped_bytes: of the units that were complete before.
    """

    num_units: int
    num_bytes: int
    skipped: int = 0
    skipped_bytes: int = 0
    done: int = 0
    failed: int = 0
    retries: int = 0
    start: float = field(default_factory=time.monotonic)
    _sums: Counter[str] = field(default_factory=Counter)
    _complete_bytes: int = 0
    _stages: Counter[str] = field(default_factory=Counter)
    _running: dict[int, tuple[Mapping[str, Any], int]] = field(default_factory=dict)

    def watch(self, index: int, so_far: Mapping[str, Any], num_bytes: int) -> None:
        """Takes what a unit in flight has done so far."""
        self._running[index] = so_far, num_bytes

    def drop(self, index: int) -> None:
        """Forgets a unit in flight: it has ended."""
        self._running.pop(index, None)

    def add(self, result: Mapping[str, Any], num_bytes: int) -> None:
        """Adds what the work returned for one complete unit."""
        self.done += 1
        self._complete_bytes += num_bytes
        self._sums.update({name: result.get(name, 0) for name in _COUNTS})
        self._stages = self._stages + Counter(result.get("stage_seconds", {}))

    def _total(self, name: str) -> int:
        running = list(self._running.values())
        return self._sums[name] + sum(int(figures.get(name, 0)) for figures, _ in running)

    @property
    def running(self) -> int:
        """Units in flight that have told something."""
        return len(self._running)

    @property
    def documents(self) -> int:
        return self._total("documents")

    @property
    def rejected(self) -> int:
        return self._total("rejected")

    @property
    def rows(self) -> int:
        return self._total("rows")

    @property
    def tokens(self) -> int:
        return self._total("tokens")

    @property
    def done_bytes(self) -> int:
        """Input bytes done since the start, those of units in flight by their share."""
        running = list(self._running.values())
        return self._complete_bytes + round(
            sum(float(figures.get("share", 0)) * num_bytes for figures, num_bytes in running)
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.tokens else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the input bytes that are left; None while nothing is done."""
        done = self.done_bytes
        left = self.num_bytes - self.skipped_bytes - done
        return self.seconds * left / done if done else None

    def shares(self) -> dict[str, float]:
        """Share of the workers' time that each stage took, in the order of the chain."""
        seconds = Counter(self._stages)
        for figures, _ in list(self._running.values()):
            seconds.update(figures.get("stage_seconds", _NO_FIGURES))
        total = sum(seconds.values())
        return {name: s / total for name, s in seconds.items()} if total else {}

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--log-json``."""
        left = self.seconds_left
        return {
            "units": self.num_units,
            "units_done": self.skipped + self.done,
            "units_running": self.running,
            "units_failed": self.failed,
            "retries": self.retries,
            "bytes": self.num_bytes,
            "bytes_done": self.skipped_bytes + self.done_bytes,
            "documents": self.documents,
            "rejected": self.rejected,
            "rows": self.rows,
            "tokens": self.tokens,
            "tokens_per_second": round(self.tokens_per_second),
            "stage_shares": {name: round(share, 4) for name, share in self.shares().items()},
            "seconds": round(self.seconds, 3),
            "seconds_left": None if left is None else round(left, 1),
        }


def short(number: float) -> str:
    """A count in at most five characters or so: ``950``, ``12.3k``, ``4.5M``, ``1.2G``."""
    for unit in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.1f}{unit}" if unit and number < 100 else f"{number:.0f}{unit}"
        number /= 1000
    return f"{number:.1f}T"


def clock(seconds: float | None) -> str:
    """``1:02:03`` or ``2:03``; ``?`` where it is not known."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plural(number: int, noun: str) -> str:
    """``1 unit``, ``2 units``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
