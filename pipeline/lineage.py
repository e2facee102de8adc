"""From a row to its documents, and from a document to its rows.

Both answers are exact, for rows of several documents and for frozen rows too: the table of
places (`premask.stages.places`) says in which row every document begins, and a row says which
document stands first in it. Each question reads that table once, a record batch at a time;
`rows_of` also reads the seeds and document ids of all rows of the document's units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from premask._errors import FormatError, RequestError
from premask._format import DOCUMENT_ID, DOCUMENTS_FILE, NUM_DOCUMENTS, REJECTED_FILE, SEED
from premask.pipeline.output import Output
from premask.pipeline.unit_entry import entry_labels
from premask.shards import ShardSet
from premask.stages.places import PLACE, PLACES

_BLOCK_ROWS = 1 << 16


class Place(NamedTuple):
    """A document: its id, its unit (``file:start``), its position there, its first row's seed.

    `position` counts as `unit` does: bytes, lines or rows of the file, as the format says.
    """

    document_id: str
    unit: str
    position: int
    seed: int


def documents_of(shards: ShardSet, row: int) -> tuple[Place, ...]:
    """The documents of which row `row` holds text, in the order in which they stand there.

    A row that goes on with a document begun in an earlier row has that document first. Where
    several documents of the set share its id, all that it may be are given.

    Raises:
        RequestError: there is no such row, or the set was built without the table.
        FormatError: the table is damaged.
    """
    if not 0 <= row < len(shards):
        raise RequestError(
            f"row {row} of a set of {len(shards)} rows; the first is 0, the last "
            f"{len(shards) - 1}",
            location="row",
        )
    stored = shards[row]
    seed, first = int(stored[SEED]), str(stored[DOCUMENT_ID])
    found = list(_places(shards, seed=seed, document_id=first))
    here = [place for place in found if place.seed == seed]
    if len(here) == int(stored[NUM_DOCUMENTS]):
        return tuple(sorted(here, key=lambda place: place.document_id != first))
    # The first goes on from an earlier row, and that is all that is missing.
    known = {place[1:3] for place in here}
    others = {place[1:3]: place for place in found if place[1:3] not in known}
    if not here:
        return tuple(others.values())
    # The table is in the order of the text: of those with its id, the last before the next.
    before = [place for place in others.values() if found.index(place) < found.index(here[0])]
    return (*(before or [*others.values()])[-1:], *here)


def rows_of(shards: ShardSet, document_id: str) -> tuple[int, ...]:
    """Numbers of the rows that hold text of a document: first where it begins, then the rest.

    The rest stands in the order of the set, which is shuffled. Of a static set, every row
    counts once per epoch. Documents that share an id are taken for one.

    Raises:
        RequestError: no row has text of it, or the set was built without the table.
        FormatError: the table is damaged.
    """
    places = list(_places(shards, seed=None, document_id=document_id))
    if not places:
        raise RequestError(
            f"no document {document_id!r} in the rows; ids are those of `document_id` in the "
            f"shards, and {REJECTED_FILE} lists the documents that were left out",
            location=shards.location,
        )
    seeds = np.array([place.seed for place in places], np.uint64)
    begin: list[int] = []
    others: list[int] = []
    for start, stop in _stretches(shards, {place.unit for place in places}):
        rows = shards.rows(slice(start, stop), columns=(SEED,), document_ids=True)
        begins = np.isin(rows.numbers[SEED], seeds)
        for k, (is_begin, first) in enumerate(
            zip(begins, rows.document_ids or (), strict=True)
        ):
            if is_begin:
                begin.append(start + k)
            elif first == document_id:
                others.append(start + k)
    order = {place.seed: k for k, place in reversed([*enumerate(places)])}
    begin.sort(key=lambda row: order[int(shards[row][SEED])])
    return (*begin, *others)


def _places(shards: ShardSet, *, seed: int | None, document_id: str) -> Iterator[Place]:
    """The records of the table with this seed or this document id, in its order."""
    if PLACES not in shards.manifest.tables:
        raise RequestError(
            f"the set has no {DOCUMENTS_FILE}, so nobody knows where its documents went; "
            "build it again with this version",
            location=shards.location,
        )
    output = Output.at(shards.location)
    wanted_id = pa.scalar(document_id, pa.string())
    wanted_seed = pa.scalar(seed, pa.uint64())
    try:
        for batch in pa.ipc.open_stream(output.mapped(DOCUMENTS_FILE)):
            batch.validate(full=True)
            hit = pc.equal(batch.column(DOCUMENT_ID), wanted_id)
            if seed is not None:
                hit = pc.or_(hit, pc.equal(batch.column(SEED), wanted_seed))
            if pc.any(hit).as_py():
                columns = batch.filter(hit).to_pydict()
                yield from map(Place, *(columns[name] for name in PLACE.names))
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise FormatError(
            f"not a table of documents: {error}", location=output.path(DOCUMENTS_FILE)
        ) from error


def _stretches(shards: ShardSet, units: Collection[str]) -> Iterator[tuple[int, int]]:
    """Row numbers to look at, in blocks: of the shards that these units may have made."""
    borders = np.cumsum([0, *(entry.num_rows for entry in shards.manifest.shards)]).tolist()
    for entry, (start, stop) in zip(shards.manifest.shards, pairwise(borders), strict=True):
        labels = entry_labels(entry.unit)
        if labels and labels.isdisjoint(units):
            continue
        for first in range(start, stop, _BLOCK_ROWS):
            yield first, min(first + _BLOCK_ROWS, stop)
