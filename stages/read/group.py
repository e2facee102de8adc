"""Gathers small files into units, and reads the files of a unit one after the other.

Thousands of small files would make thousands of tiny shards, and rows that end with each file.
Consecutive whole files of one format share a unit of up to `unit_bytes`; slices of larger
files, and files whose size nobody tells, stay alone. The grouping follows from names and sizes,
never from workers. Their documents travel in common batches, so a small file costs little more
than its bytes; each keeps its own name, its own positions and its own rejects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from premask.schemas.job import Source
from premask.schemas.records import MAX_BATCH_CHARACTERS, MAX_BATCH_DOCUMENTS, TARGET
from premask.schemas.unit import MAX_SLICES, Ledger, Slice, Unit, position_in_unit
from premask.stages.read.formats import read_slice
from premask.stages.read.opening import is_url

_POSITION = "position"


def group(slices: Sequence[Slice], unit_bytes: int) -> Iterator[Unit]:
    """The units of one source from its slices, in their order, each slice in one of them."""
    num_slices = Counter(piece.name for piece in slices)
    gathered: list[Slice] = []
    room = unit_bytes
    for piece in slices:
        is_whole = num_slices[piece.name] == 1 and tells_size(piece)
        fits = is_whole and piece.num_bytes <= room and len(gathered) < MAX_SLICES
        if gathered and not (fits and piece.format == gathered[0].format):
            yield Unit(slices=tuple(gathered))
            gathered, room = [], unit_bytes
        gathered.append(piece)
        room = room - piece.num_bytes if is_whole else -1
    if gathered:
        yield Unit(slices=tuple(gathered))


def tells_size(piece: Slice) -> bool:
    """Whether a size of 0 means that nothing is there; data sets and some servers tell none."""
    return piece.size > 0 or not (piece.format == "datasets" or is_url(piece.path))


def read_unit(unit: Unit, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """The documents of a unit, as batches of the schema `DOCUMENTS`.

    Raises:
        OSError: a file cannot be opened or read.
    """
    if len(unit.slices) == 1:
        return _read_alone(unit.first, source, ledger)
    return _gathered(_read_all(unit, source, ledger))


def _read_all(unit: Unit, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """The documents of all slices, their positions numbered through."""
    total, done = max(unit.num_bytes, 1), 0
    for number, piece in enumerate(unit.slices):
        part = Ledger(unit=piece.label)
        for batch in _read_alone(piece, source, part):
            ledger.absorb(part)
            ledger.share_read = (done + part.share_read * piece.num_bytes) / total
            yield _renumbered(batch, number)
        ledger.absorb(part)
        done += piece.num_bytes


def _read_alone(piece: Slice, source: Source, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    try:
        yield from read_slice(piece, source, ledger)
    except Exception as error:
        error.add_note(f"while {piece.path} was read")  # not every error says that itself
        raise


def _renumbered(batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
    if not number:
        return batch
    index = batch.schema.get_field_index(_POSITION)
    positions = pc.add(batch.column(_POSITION), position_in_unit(number, 0))
    return batch.set_column(index, batch.schema.field(index), positions)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same documents in fewer batches, within the limits of the schema."""
    held: list[pa.RecordBatch] = []
    num_documents = num_characters = 0
    for batch in batches:
        size = _num_characters(batch)
        if held and (
            num_documents + batch.num_rows > MAX_BATCH_DOCUMENTS
            or num_characters + size > MAX_BATCH_CHARACTERS
        ):
            yield _joined(held)
            held, num_documents, num_characters = [], 0, 0
        held.append(batch)
        num_documents += batch.num_rows
        num_characters += size
    if held:
        yield _joined(held)


def _num_characters(batch: pa.RecordBatch) -> int:
    names = [name for name in ("text", TARGET) if name in batch.schema.names]
    return sum(pc.sum(pc.utf8_length(batch.column(name))).as_py() or 0 for name in names)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch
