"""Running figures of a build: what progress displays show. Never part of the output."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts since the start; `skipped` units were complete before it.

    Attributes:
        num_units, num_bytes: of the whole job.
        skipped_bytes, done_bytes: of units complete before, and since, the start.
        stage_seconds: worker seconds by stage.
    """

    num_units: int
    num_bytes: int
    skipped: int = 0
    skipped_bytes: int = 0
    done: int = 0
    done_bytes: int = 0
    failed: int = 0
    retries: int = 0
    documents: int = 0
    rejected: int = 0
    rows: int = 0
    tokens: int = 0
    stage_seconds: Counter[str] = field(default_factory=Counter)
    start: float = field(default_factory=time.monotonic)

    def add(self, result: Mapping[str, Any], num_bytes: int) -> None:
        """Adds what the work returned for one complete unit."""
        self.done += 1
        self.done_bytes += num_bytes
        self.documents += result.get("documents", 0)
        self.rejected += result.get("rejected", 0)
        self.rows += result.get("rows", 0)
        self.tokens += result.get("tokens", 0)
        self.stage_seconds.update(result.get("stage_seconds", {}))

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.tokens else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the input bytes that are left; None while nothing is done."""
        left = self.num_bytes - self.skipped_bytes - self.done_bytes
        return self.seconds * left / self.done_bytes if self.done_bytes else None

    def shares(self) -> dict[str, float]:
        """Share of the workers' time that each stage took, in the order of the chain."""
        total = sum(self.stage_seconds.values())
        return {name: s / total for name, s in self.stage_seconds.items()} if total else {}

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--log-json``."""
        left = self.seconds_left
        return {
            "units": self.num_units,
            "units_done": self.skipped + self.done,
            "units_failed": self.failed,
            "retries": self.retries,
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
