"""Exact repeats of documents over the units of a job, found from hashes alone.

Each unit gives the 128-bit hashes of its cleaned documents: the distinct ones sorted, with the
number of the first document that has each, and the numbers of the documents that repeat one
within the unit. From these of all units follows which documents repeat an earlier one, in the
order of units and, within them, of documents; so it does not matter who hashed what when.

24 bytes per distinct document. `repeats` looks at one range of hashes after another, so that it
holds some `RANGE_DOCUMENTS` of them and the numbers of repeats, whatever the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask.schemas.job import Job
from premask.schemas.unit import Ledger, Unit
from premask.stages.chain import text_stages
from premask.stages.compose import Clock, compose

# Shapes: H distinct hashes, R repeats.
Int64 = npt.NDArray[np.int64]
Uint64 = npt.NDArray[np.uint64]
RANGE_DOCUMENTS = 1 << 22

_HASHES = pa.schema(
    [
        pa.field("high", pa.uint64()),
        pa.field("low", pa.uint64()),
        pa.field("number", pa.int64()),
    ]
)
_NUMBERS = pa.schema([pa.field("number", pa.int64())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """The documents of one unit.

    Attributes:
        high_H, low_H: the distinct hashes, sorted.
        numbers_H: of the first document with each.
        repeats_R: numbers of all other documents, sorted.
    """

    high_H: Uint64
    low_H: Uint64
    numbers_H: Int64
    repeats_R: Int64

    def between(self, low: int, high: int) -> Hashes:
        """Those whose upper half lies in ``low .. high``, both included."""
        first = self.high_H.searchsorted(np.uint64(low))
        last = self.high_H.searchsorted(np.uint64(high), side="right")
        part = slice(int(first), int(last))
        return Hashes(
            high_H=self.high_H[part],
            low_H=self.low_H[part],
            numbers_H=self.numbers_H[part],
            repeats_R=self.repeats_R,
        )


class Numbers:
    """A sorted array of numbers that can be asked what is in it, in a microsecond."""

    def __init__(self, numbers: Int64) -> None:
        self._numbers = numbers

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = int(np.searchsorted(self._numbers, number))
        return place < len(self._numbers) and bool(self._numbers[place] == number)


NO_NUMBERS = Numbers(np.zeros(0, np.int64))


def hash_unit(job: Job, unit: Unit) -> tuple[Hashes, int]:
    """The hashes of a unit's documents as they are cleaned, and how many documents it has."""
    ledger = Ledger.of(unit)
    digests = bytearray()

    def note(digest: bytes, _number: int) -> bool:
        digests.extend(digest)
        return False

    for _ in compose(text_stages(job, unit, ledger, note), Clock()):
        pass
    return distinct(bytes(digests)), ledger.documents_read


def distinct(digests: bytes) -> Hashes:
    """The hashes of documents 0, 1, ..., 16 bytes each."""
    halves = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
    high, low = halves[:, 0], halves[:, 1]
    order = np.lexsort((low, high))  # stable: of equals, the first document comes first
    is_first = _begins(high[order], low[order])
    firsts = order[is_first]
    return Hashes(
        high_H=high[firsts],
        low_H=low[firsts],
        numbers_H=firsts,
        repeats_R=np.sort(order[~is_first]),
    )


def repeats(
    num_units: int, num_distinct: int, read: Callable[[int], Hashes]
) -> Iterator[tuple[int, Int64]]:
    """For every unit in which there are any: the numbers of documents to be dropped, sorted.

    Args:
        num_distinct: of all units together; says how many ranges are looked at.
        read: the hashes of a unit; called once per range, so it should not copy much.
    """
    found: list[list[Int64]] = [[] for _ in range(num_units)]
    ranges = max(1, -(-num_distinct // RANGE_DOCUMENTS))
    edges = [(1 << 64) * k // ranges for k in range(ranges + 1)]
    for low, high in pairwise(edges):
        parts = [read(unit).between(low, high - 1) for unit in range(num_units)]
        for unit, numbers in enumerate(_in_earlier_parts(parts)):
            if len(numbers):
                found[unit].append(numbers)
    for unit in range(num_units):
        numbers = np.sort(np.concatenate([read(unit).repeats_R, *found[unit]]))
        if len(numbers):
            yield unit, numbers


def _in_earlier_parts(parts: Sequence[Hashes]) -> list[Int64]:
    """For each part the numbers of the documents whose hash an earlier part has, too."""
    high = np.concatenate([part.high_H for part in parts])
    low = np.concatenate([part.low_H for part in parts])
    order = np.lexsort((low, high))  # stable: of equals, the earlier part comes first
    repeated = np.zeros(len(order), bool)
    repeated[order[~_begins(high[order], low[order])]] = True
    splits = np.cumsum([len(part.high_H) for part in parts])[:-1]
    flags = np.split(repeated, splits)
    return [part.numbers_H[flag] for part, flag in zip(parts, flags, strict=True)]


def _begins(high: Uint64, low: Uint64) -> npt.NDArray[np.bool_]:
    """Whether each of sorted hashes differs from the one before it."""
    begins = np.ones(len(high), bool)
    begins[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return begins


def hashes_bytes(hashes: Hashes) -> bytes:
    """Hashes as two Arrow IPC streams, one behind the other."""
    columns = [pa.array(x) for x in (hashes.high_H, hashes.low_H, hashes.numbers_H)]
    table = pa.RecordBatch.from_arrays(columns, schema=_HASHES)
    return _stream_bytes(table) + numbers_bytes(hashes.repeats_R)


def numbers_bytes(numbers: Int64) -> bytes:
    """Numbers as an Arrow IPC stream."""
    return _stream_bytes(pa.RecordBatch.from_arrays([pa.array(numbers)], schema=_NUMBERS))


def read_hashes(data: pa.Buffer) -> Hashes:
    """What `hashes_bytes` wrote, without a copy."""
    source = pa.BufferReader(data)
    table, numbers = (pa.ipc.open_stream(source).read_all() for _ in range(2))
    high, low, number = (_column(table, name) for name in _HASHES.names)
    return Hashes(
        high_H=high, low_H=low, numbers_H=number, repeats_R=_column(numbers, "number")
    )


def read_numbers(data: bytes) -> Numbers:
    """What `numbers_bytes` wrote."""
    return Numbers(_column(pa.ipc.open_stream(data).read_all(), "number"))


def _stream_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _column(table: pa.Table, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = table.column(name).combine_chunks().to_numpy()
    return values
