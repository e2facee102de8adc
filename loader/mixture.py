"""Several shard sets as one stream, in exact shares.

Which set a position belongs to is arithmetic, not a draw: over any stretch the shares are off
by less than one row per set from what the weights say, and any position is found alone. Every
set keeps its own order and its own epochs, which begin when its rows are through; a set with
more weight than rows simply comes round more often, with fresh masks each time.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from premask._errors import RequestError
from premask.batching.source import Epochs, SetSource, Span
from premask.masking._operation import Binding
from premask.rows import Rows, join_rows
from premask.shards import ShardSet

# Slots that a period of the schedule is cut into: weights are exact to 1 in 4096.
_PERIOD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Shard sets and their weights; give it to `Loader` in the place of a set.

    Attributes:
        sets: with one vocabulary. A policy that looks up counts takes those of the first.
        weights: shares of the rows, relative to each other.
        num_rows: rows of an epoch of the whole; None: as many as all sets have together.

    Raises:
        RequestError: the sets do not fit each other, or the weights do not fit them.
    """

    sets: tuple[ShardSet, ...]
    weights: tuple[float, ...]
    num_rows: int | None = None

    def __post_init__(self) -> None:
        if not self.sets or len(self.sets) != len(self.weights):
            raise RequestError(
                f"a mixture needs one weight per set, got {len(self.sets)} sets and "
                f"{len(self.weights)} weights"
            )
        if len(self.sets) > _PERIOD // 4:
            raise RequestError(
                f"a mixture holds at most {_PERIOD // 4} sets, got {len(self.sets)}"
            )
        if not all(isinstance(one, ShardSet) for one in self.sets):
            raise RequestError(f"the sets must come from open_shards, got {self.sets!r}")
        if not all(0 < weight < float("inf") for weight in self.weights):
            raise RequestError(f"weights must be above 0, got {self.weights}")
        first = self.sets[0]
        for other in self.sets[1:]:
            if (
                other.vocabulary != first.vocabulary
                or other.manifest.mode != first.manifest.mode
            ):
                raise RequestError(
                    f"{other.location} has another vocabulary or mode than {first.location}; "
                    "build both with one tokenizer"
                )
            if other.binding.position_bits != first.binding.position_bits:
                raise RequestError(
                    f"rows of {other.location} may have {other.manifest.max_length} tokens, "
                    f"those of {first.location} {first.manifest.max_length}; masks would "
                    "differ from those of the sets alone; build both with one max_length"
                )


def slots(weights: Sequence[float], period: int = _PERIOD) -> np.ndarray:
    """Slots of a period per set, by largest remainders; every set gets one at least."""
    shares = np.array(weights) / np.sum(weights) * period
    counts = np.maximum(np.floor(shares).astype(np.int64), 1)
    while counts.sum() < period:
        counts[np.argmax(shares - counts)] += 1
    while counts.sum() > period:
        counts[np.argmax(counts - shares)] -= 1
    found: np.ndarray = counts
    return found


def schedule(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which set each slot of a period belongs to, and which of the set's slots it is.

    The j-th of n slots of a set is due at ``(j + 1/2) / n`` of the period (Webster's method).
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    turn = np.concatenate([np.arange(count) for count in counts])
    # In exact integers: (2 j + 1) / n over the common denominator of all n.
    common = math.lcm(*counts.tolist())
    step = [common // count for count in counts.tolist()]
    pairs = zip(owner.tolist(), turn.tolist(), strict=True)
    due = [(2 * j + 1) * step[s] for s, j in pairs]
    order = np.array(sorted(range(len(owner)), key=lambda slot: (due[slot], owner[slot])))
    return owner[order], turn[order]


@dataclass(frozen=True, kw_only=True)
class MixedSource:
    """A mixture as a source of rows.

    Attributes:
        members: a source per set.
        weights, epoch_rows: see `Mixture`.

    A row's number is its number in its set plus the rows of the sets before it.
    """

    members: tuple[SetSource, ...]
    weights: tuple[float, ...]
    epoch_rows: int | None = None

    @property
    def num_rows(self) -> int:
        return self.epoch_rows or sum(member.num_rows for member in self.members)

    @property
    def fingerprint(self) -> str:
        parts = [member.fingerprint for member in self.members]
        text = json.dumps([parts, [float(weight) for weight in self.weights], self.num_rows])
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def binding(self) -> Binding:
        longest = max(member.binding.max_length for member in self.members)
        return replace(self.members[0].binding, max_length=longest)

    @cached_property
    def _schedule(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        counts = slots(self.weights)
        return (counts, *schedule(counts))

    @cached_property
    def _first_row(self) -> np.ndarray:
        return np.cumsum([0, *(len(member.shards) for member in self.members)])

    def row_ids(self, epoch: int, positions: np.ndarray) -> tuple[np.ndarray, Epochs]:
        counts, owner, turn = self._schedule
        # Positions run on from epoch to epoch, so that no set starts anew with the whole.
        period, slot = np.divmod(positions + epoch * self.num_rows, len(owner))
        member_B = owner[slot]
        index = period * counts[member_B] + turn[slot]
        rows, epochs = np.empty_like(index), np.empty_like(index)
        for number, member in enumerate(self.members):
            mine = np.flatnonzero(member_B == number)
            rounds, place = np.divmod(index[mine], member.num_rows)
            for round_ in np.unique(rounds).tolist():
                now = mine[rounds == round_]
                found, epochs[now] = member.row_ids(round_, place[rounds == round_])
                rows[now] = found + self._first_row[number]
        return rows, epochs

    def fetch(self, row_ids: np.ndarray) -> Rows:
        member_B = np.searchsorted(self._first_row, row_ids, side="right") - 1
        parts, places = [], []
        for number in np.unique(member_B).tolist():
            mine = np.flatnonzero(member_B == number)
            parts.append(self.members[number].fetch(row_ids[mine] - self._first_row[number]))
            places.append(mine)
        if not parts:
            return self.members[0].fetch(row_ids)
        order = np.argsort(np.concatenate(places))
        return replace(join_rows(parts).take(order), row_ids=row_ids, binding=self.binding)

    def lengths_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        rows, _ = self.row_ids(epoch, positions)
        member_B = np.searchsorted(self._first_row, rows, side="right") - 1
        lengths = np.empty_like(rows)
        for number in np.unique(member_B).tolist():
            mine = member_B == number
            own = rows[mine] - self._first_row[number]
            lengths[mine] = self.members[number].shards.lengths(own)
        return lengths

    def stream(self, epoch: int, spans: Iterable[Span]) -> Iterator[tuple[Rows, Epochs]]:
        for first, last in spans:
            rows, epochs = self.row_ids(epoch, np.arange(first, last))
            yield self.fetch(rows), epochs
