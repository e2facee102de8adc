"""How an epoch's positions are dealt out to batches and ranks: plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from premask._errors import RequestError


class Cut(NamedTuple):
    """The positions ``[first, last)`` of one rank's batch; the global batch ends at `end`."""

    first: int
    last: int
    end: int


class Ranked(Protocol):
    """Which rank of how many."""

    @property
    def rank(self) -> int:
        """The rank."""

    @property
    def world_size(self) -> int:
        """How many there are."""


def share(first: int, end: int, ranked: Ranked) -> Cut:
    """One rank's even share of the positions ``[first, end)``; never empty.

    Where there are fewer positions than ranks, several ranks get the same one: a rank without
    a row could neither take its part in the step nor give a loss that is a number.
    """
    size = end - first
    if size < ranked.world_size:
        place = first + ranked.rank % size
        return Cut(place, place + 1, end)
    return Cut(
        first + size * ranked.rank // ranked.world_size,
        first + size * (ranked.rank + 1) // ranked.world_size,
        end,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """The batches of one rank. Every rank has the same number of them.

    The global batch holds ``batch_size * world_size`` consecutive positions; a rank takes its
    contiguous part. Without `drop_last` the last global batch may be short; it is shared out
    evenly. If it were short of a row for every rank, the batch before it leaves it as many as
    there are ranks, so that no rank is without a row and no row comes twice. Only where that
    one has none to spare, because `batch_size` is 1 or a run resumes with fewer rows left than
    ranks, do several ranks get the same row.
    """

    num_rows: int
    batch_size: int
    rank: int
    world_size: int
    drop_last: bool

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise RequestError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.is_over(0):
            raise RequestError(
                f"{self.num_rows} rows make no batch of {self.batch_size} on "
                f"{self.world_size} ranks; lower batch_size or set drop_last=False"
            )

    @property
    def global_size(self) -> int:
        return self.batch_size * self.world_size

    def count(self, epoch: int, start: int = 0) -> int:  # noqa: ARG002
        """Batches from position `start` to the end of the epoch."""
        rest = max(0, self.num_rows - start)
        return rest // self.global_size if self.drop_last else -(-rest // self.global_size)

    def is_over(self, start: int) -> bool:
        """Whether no batch is left from `start` on."""
        return self.count(0, start) == 0

    def cut(self, index: int, epoch: int) -> Cut:  # noqa: ARG002
        """This rank's batch `index` of any epoch."""
        return self._cut(index, 0)

    def _cut(self, index: int, start: int) -> Cut:
        return share(self._bound(index, start), self._bound(index + 1, start), self)

    def _bound(self, index: int, start: int) -> int:
        """Where global batch `index` begins."""
        bound = start + index * self.global_size
        short = self.num_rows - bound
        if self.drop_last or short >= self.world_size or index == 0:
            return bound
        if short <= 0:
            return self.num_rows
        return self.num_rows - self.world_size if self.batch_size > 1 else bound

    def cuts(self, epoch: int, start: int) -> Iterator[Cut]:
        """This rank's batches from `start` to the end of the epoch."""
        return (self._cut(index, start) for index in range(self.count(epoch, start)))
