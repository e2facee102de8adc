"""Where every document went: the table ``documents.arrow``, from a document to its rows.

An Arrow IPC stream, buffers compressed with zstd: a record for every document that was kept and
the row in which it begins, and for every further row in which it does not stand first, in the
order of the units, and of the documents in a unit. A row is named by its seed, which says
nothing of where the shuffle of a shard put it. Together with the `document_id` of every row,
which names the document that stands first in it, this gives all documents of a row and all
rows of a document (`premask.pipeline.lineage`). Costs some 20 bytes per document on disk and
nothing in the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from premask._format import DOCUMENT_ID, SEED
from premask.schemas.unit import Ledger
from premask.stages.write import HashingFile

PLACES = "documents"
UNIT = "unit"
POSITION = "position"
# `unit` and `position` as in ``rejected.jsonl``; `seed` is that of the row where it begins.
PLACE = pa.schema(
    [
        pa.field(DOCUMENT_ID, pa.string(), nullable=False),
        pa.field(UNIT, pa.string(), nullable=False),
        pa.field(POSITION, pa.int64(), nullable=False),
        pa.field(SEED, pa.uint64(), nullable=False),
    ]
)
_BATCH = 1 << 16
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)


def places_bytes(ledger: Ledger) -> bytes:
    """The part of one unit."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, PLACE, options=_OPTIONS) as stream:
        ids, seeds = (ledger.places.column(name) for name in (DOCUMENT_ID, SEED))
        columns = [pc.cast(ids, pa.string()), *ledger.located_places(), seeds]
        table = pa.Table.from_arrays(columns, schema=PLACE).combine_chunks()
        for batch in table.to_batches(max_chunksize=_BATCH):
            stream.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def write_places(path: Path, parts: Iterable[bytes]) -> str:
    """Writes the parts of all units, in their order, as one table; gives its SHA-256.

    Holds one part at a time.
    """
    with (
        HashingFile(path) as file,
        pa.ipc.new_stream(file, PLACE, options=_OPTIONS) as stream,
    ):
        for part in parts:
            for batch in pa.ipc.open_stream(part):
                stream.write_batch(batch)
    return file.sha256.hexdigest()


def num_documents(batches: Iterable[pa.RecordBatch]) -> int:
    """Documents in the table: records of one document stand together.

    Raises:
        pyarrow.ArrowInvalid, KeyError: the table is damaged.
    """
    count, last = 0, None
    for batch in batches:
        batch.validate(full=True)
        table = pa.Table.from_batches([batch]).select([UNIT, POSITION])
        units, positions = (table.column(name).combine_chunks() for name in (UNIT, POSITION))
        changes = pc.or_(
            pc.not_equal(units[1:], units[:-1]), pc.not_equal(positions[1:], positions[:-1])
        )
        if batch.num_rows:
            first = units[0].as_py(), positions[0].as_py()
            count += (first != last) + (pc.sum(changes).as_py() or 0)
            last = units[-1].as_py(), positions[-1].as_py()
    return count
