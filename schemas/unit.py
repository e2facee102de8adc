"""A unit of work, and the ledger in which its documents are accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A slice of one source file that can be read alone. One unit makes one shard.

    Attributes:
        source: index into the job's list of sources (its reading options).
        name: the file's stable name: its path below the source's root, with ``/``. Row seeds
            and document ids are derived from it, so moving the corpus does not change a mask.
        path: where to open it: a local path or an fsspec URL.
        format: a key of `premask.stages.read.FORMATS`.
        start, end: the slice, half-open, in the format's own coordinate (bytes, row groups,
            dataset rows, bz2 stream offsets).
        size: the file's size in bytes, 0 where it has none.
        num_bytes: estimated input bytes of this unit, for progress.
    """

    source: int
    name: str
    path: str
    format: str
    start: int
    end: int
    size: int
    num_bytes: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; ``Unit(**value)`` is its inverse."""
        return asdict(self)


@dataclass(slots=True)
class Ledger:
    """Accounts for every document of one unit. Law 5: nothing is lost in silence.

    ``documents_read == documents_kept + len(rejected)`` when the unit is done.

    Attributes:
        unit: the unit's stable name, ``name:start``.
        documents_read: documents met by the reader, bad ones included.
        rejected: one plain record per rejected document, as in ``rejected.jsonl``.
        places: document id, position and seed of a row: for every document kept the row in
            which it begins, and the others in which it does not stand first; in the order of
            the unit.
        counters: what was passed over on purpose or repaired, by name (``redirects``,
            ``replaced_bytes``, ``snapped_spans``, ...).
        share_read: how much of the unit has been read, 0 to 1, for progress alone; stays 0
            where the reader cannot tell.
    """

    unit: str
    documents_read: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    places: list[tuple[str, int, int]] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    share_read: float = field(default=0.0, compare=False)

    @property
    def documents_kept(self) -> int:
        return self.documents_read - len(self.rejected)

    def reject(
        self, *, document_id: str, position: int, stage: str, reason: str, detail: str = ""
    ) -> None:
        """Records that a document ends here.

        Args:
            document_id: its id, or ``name:position`` where it has none yet.
            position: where it begins in the unit's file.
            stage: the stage that gave it up.
            reason: a short stable word, such as ``bad_json`` or ``too_short``.
            detail: what exactly, for a reader; at most 200 characters are kept.
        """
        self.rejected.append(
            {
                "document_id": document_id,
                "unit": self.unit,
                "position": position,
                "stage": stage,
                "reason": reason,
                "detail": detail[:200],
            }
        )
