"""A unit of work, the slices of files that it reads, and the ledger of its documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

# A unit's positions are numbered through: `_SLICE` times the slice, plus the place within it.
# No slice has as many bytes, lines or rows.
_SLICE = 1 << 48
MAX_SLICES = 1 << 14

# A document, by its id and position in the unit, and the seed of a row.
PLACES = pa.schema(
    [("document_id", pa.large_string()), ("position", pa.int64()), ("seed", pa.uint64())]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of one source file that can be read alone; mostly the whole of it.

    Attributes:
        source: index into the job's list of sources (its reading options).
        name: the file's stable name: its path below the source's root, with ``/``. Row seeds
            and document ids are derived from it, so moving the corpus does not change a mask.
        path: where to open it: a local path or an fsspec URL.
        format: a key of `premask.stages.read.FORMATS`.
        start, end: the slice, half-open, in the format's own coordinate (bytes, row groups,
            dataset rows, bz2 stream offsets).
        size: the file's size in bytes, 0 where it has none.
        num_bytes: estimated input bytes of this slice, for progress.
    """

    source: int
    name: str
    path: str
    format: str
    start: int
    end: int
    size: int
    num_bytes: int

    @property
    def label(self) -> str:
        """Its stable name, as in ``rejected.jsonl``."""
        return f"{self.name}:{self.start}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What makes one shard: a slice of a large file, or small files of one source and format.

    Attributes:
        slices: at least one and at most `MAX_SLICES`, in the order of their names.
    """

    slices: tuple[Slice, ...]

    @property
    def first(self) -> Slice:
        """The slice after which the unit is named; row seeds are derived from it."""
        return self.slices[0]

    @property
    def source(self) -> int:
        return self.first.source

    @property
    def format(self) -> str:
        return self.first.format

    @property
    def num_bytes(self) -> int:
        return sum(piece.num_bytes for piece in self.slices)

    @property
    def label(self) -> str:
        """For messages: ``a.txt:0``, or ``a.txt to z.txt (12 files)``."""
        if len(self.slices) == 1:
            return self.first.label
        return f"{self.first.name} to {self.slices[-1].name} ({len(self.slices)} files)"


def position_in_unit(number: int, position: int) -> int:
    """The position in its unit of what stands at a position of slice `number`."""
    return number * _SLICE + position


@dataclass(slots=True)
class Ledger:
    """Accounts for every document of one unit. Law 5: nothing is lost in silence.

    ``documents_read == documents_kept + len(rejected)`` when the unit is done.

    Attributes:
        unit: the unit's label.
        slices: the labels of its slices, ``name:start``; empty where the unit is one alone.
        documents_read: documents met by the reader, bad ones included, those that were passed
            over not.
        rejected: one plain record per rejected document, as in ``rejected.jsonl``.
        places: a table of the schema `PLACES`: for every document kept the row in which it
            begins, and the others in which it does not stand first; in the order of the unit.
        counters: what was passed over on purpose or repaired, by name (``redirects``,
            ``other_part``, ``replaced_bytes``, ``snapped_spans``, ...).
        share_read: how much of the unit has been read, 0 to 1, for progress alone; stays 0
            where the reader cannot tell.
    """

    unit: str
    slices: tuple[str, ...] = ()
    documents_read: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    places: pa.Table = field(default_factory=PLACES.empty_table)
    counters: Counter[str] = field(default_factory=Counter)
    share_read: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, unit: Unit) -> Ledger:
        """An empty ledger of a unit."""
        return cls(unit=unit.label, slices=tuple(piece.label for piece in unit.slices))

    @property
    def documents_kept(self) -> int:
        return self.documents_read - len(self.rejected)

    def locate(self, position: int) -> tuple[str, int]:
        """The label of the slice in which a position of the unit lies, and the place there."""
        if not self.slices:
            return self.unit, position
        number, place = divmod(position, _SLICE)
        return self.slices[number], place

    def located_places(self) -> tuple[pa.Array, pa.Array]:
        """As `locate`, for all `places`: strings and int64."""
        positions = self.places.column("position").to_numpy()
        labels = pa.array(self.slices or (self.unit,), pa.string())
        numbers = positions // _SLICE if self.slices else np.zeros_like(positions)
        return labels.take(pa.array(numbers)), pa.array(positions - numbers * _SLICE)

    def reject(
        self, *, document_id: str, position: int, stage: str, reason: str, detail: str = ""
    ) -> None:
        """Records that a document ends here.

        Args:
            document_id: its id, or ``name:position`` where it has none yet.
            position: where it begins in the unit.
            stage: the stage that gave it up.
            reason: a short stable word, such as ``bad_json`` or ``too_short``.
            detail: what exactly, for a reader; at most 200 characters are kept.
        """
        label, place = self.locate(position)
        self.rejected.append(
            {
                "document_id": document_id,
                "unit": label,
                "position": place,
                "stage": stage,
                "reason": reason,
                "detail": detail[:200],
            }
        )

    def pass_over(self, name: str, number: int) -> None:
        """Counts by name, no longer as read, documents that the job leaves out on purpose."""
        self.documents_read -= number
        self.counters[name] += number

    def sort(self) -> None:
        """Brings the rejects into the order of the documents, whoever was first to reject."""
        numbers = {label: number for number, label in enumerate(self.slices)}
        keys = ("position", "stage", "reason", "document_id", "detail")
        self.rejected.sort(
            key=lambda record: (numbers.get(record["unit"], 0), *map(record.get, keys))
        )

    def absorb(self, part: Ledger) -> None:
        """Takes over what `part` has found so far, and empties it."""
        self.documents_read += part.documents_read
        self.rejected += part.rejected
        self.counters.update(part.counters)
        part.documents_read = 0
        part.rejected.clear()
        part.counters.clear()
