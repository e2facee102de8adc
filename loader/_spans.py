"""How an epoch's positions are dealt out to batches and ranks: plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from premask._errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """The batches of one rank. Every rank has the same number of them.

    The global batch holds ``batch_size * world_size`` consecutive positions; a rank takes its
    contiguous part. Without `drop_last` the last global batch may be short; it is shared out
    evenly, and a rank gets an empty batch when there are more ranks than rows left.
    """

    num_rows: int
    batch_size: int
    rank: int
    world_size: int
    drop_last: bool

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise RequestError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.count() == 0:
            raise RequestError(
                f"{self.num_rows} rows make no batch of {self.batch_size} on "
                f"{self.world_size} ranks; lower batch_size or set drop_last=False"
            )

    @property
    def global_size(self) -> int:
        return self.batch_size * self.world_size

    def count(self, start: int = 0) -> int:
        """Batches from position `start` to the end of the epoch."""
        rest = max(0, self.num_rows - start)
        return rest // self.global_size if self.drop_last else -(-rest // self.global_size)

    def span(self, index: int, start: int = 0) -> tuple[int, int]:
        """Positions ``[first, last)`` of this rank's batch `index`, counted from `start`."""
        first = start + index * self.global_size
        size = min(self.global_size, self.num_rows - first)
        return (
            first + size * self.rank // self.world_size,
            first + size * (self.rank + 1) // self.world_size,
        )

    def end(self, index: int, start: int = 0) -> int:
        """Rows that all ranks together have consumed after batch `index`."""
        return min(start + (index + 1) * self.global_size, self.num_rows)
