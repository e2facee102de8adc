"""Counts n-grams over finished shards, and writes the table of collocations.

One pass over the shards for each length, on the job's engine: every shard gives a file of
counts in the journal, these are added up exactly, and the frequent ones say which longer
n-grams the next pass looks at. Whatever is in the journal is not counted again after a kill.
The driver holds the distinct n-grams of one length (about 30 bytes each) while it adds up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
from premask._format import BOUNDARIES, COLLOCATIONS_FILE, INPUT_IDS
from premask.manifest import ShardEntry
from premask.pipeline import session
from premask.pipeline.engine import Engine, Result, Task, Tell
from premask.pipeline.finish import write_table
from premask.pipeline.journal import UnitRecord
from premask.pipeline.output import JOURNAL, Output
from premask.pipeline.progress import Reporter
from premask.pipeline.tally import Tally, plural
from premask.schemas.job import Collocations
from premask.stages.collocations import collocation_table
from premask.stages.ngrams import NgramCounts, count_ngrams, merge_ngrams
from premask.stages.weights import stream_bytes

_TOTAL = b"total"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountWork:
    """Counts the n-grams of `order` words in shards of `output`.

    Attributes:
        folder: of the journal, where counts are written.
        known: the file of the frequent n-grams one word shorter; empty for single words.
    """

    output: Output
    folder: str
    order: int
    known: str

    def open(self) -> Callable[[ShardEntry, Tell], Result]:
        known = read_ngrams(self.output, self.known).table.column("key") if self.known else None
        return partial(_count_shard, self, known)


def write_collocations(
    output: Output,
    settings: Collocations,
    records: Sequence[UnitRecord],
    engine: Engine,
    reporter: Reporter,
) -> dict[str, Any]:
    """Writes the table of a set whose shards are complete; gives the manifest's entry.

    Raises:
        UnitError: shards could not be counted; a rerun goes on.
    """
    entries = [record.shard for record in records if record.shard is not None]
    folder = f"{JOURNAL}/ngrams-{_fingerprint(entries, settings)}"
    work = CountWork(output=output, folder=folder, order=1, known="")
    counts = []
    for order in range(1, settings.max_words + 1):
        work = replace(work, order=order)
        counts.append(_count(work, settings.min_count, entries, engine, reporter))
        work = replace(work, known=_frequent_name(folder, order))
    table = collocation_table(counts, max_entries=settings.max_entries)
    return write_table(output, COLLOCATIONS_FILE, stream_bytes(table))


def read_ngrams(output: Output, name: str) -> NgramCounts:
    """The counts that `ngram_bytes` wrote."""
    table = pa.ipc.open_stream(output.read(name)).read_all()
    total = int(table.schema.metadata[_TOTAL])
    return NgramCounts(table=table.replace_schema_metadata(None), total=total)


def ngram_bytes(counts: NgramCounts) -> bytes:
    """Counts as an Arrow stream that says their total."""
    total = str(counts.total).encode()
    return stream_bytes(counts.table.replace_schema_metadata({_TOTAL: total}))


def _count(
    work: CountWork,
    min_count: int,
    entries: Sequence[ShardEntry],
    engine: Engine,
    reporter: Reporter,
) -> NgramCounts:
    """The frequent n-grams of one length, from the journal as far as they are there."""
    output, frequent = work.output, _frequent_name(work.folder, work.order)
    if output.size(frequent) >= 0:
        return read_ngrams(output, frequent)
    present = set(output.names(work.folder))
    todo = [
        Task(index=index, value=entry)
        for index, entry in enumerate(entries)
        if _part_name("", work.order, entry).lstrip("/") not in present
    ]
    tally = Tally(num_units=len(todo), num_bytes=sum(task.value.num_bytes for task in todo))
    text = f"n-grams of length {work.order}: {plural(len(todo), 'shard')}"
    reporter.tell("start", tally, text)
    session.run_tasks(
        output,
        work,
        todo,
        engine,
        reporter,
        tally,
        names=lambda index: entries[index].file,
        num_bytes=lambda index: entries[index].num_bytes,
    )
    parts = (read_ngrams(output, _part_name(work.folder, work.order, e)) for e in entries)
    counts = merge_ngrams(parts).frequent(min_count)
    output.write(frequent, ngram_bytes(counts))
    return counts


def _count_shard(
    work: CountWork, known: pa.ChunkedArray | None, entry: ShardEntry, tell: Tell
) -> Result:
    del tell  # seconds for a shard of the usual size
    with pa.ipc.open_stream(work.output.read(entry.file)) as reader:
        rows = reader.read_all().select([INPUT_IDS, BOUNDARIES])
    counts = count_ngrams(rows, work.order, known)
    work.output.write(_part_name(work.folder, work.order, entry), ngram_bytes(counts))
    return {"tokens": entry.num_tokens}


def _part_name(folder: str, order: int, entry: ShardEntry) -> str:
    return f"{folder}/{order}-{entry.file.rsplit('/', 1)[-1]}"


def _frequent_name(folder: str, order: int) -> str:
    return f"{folder}/{order}-frequent.arrow"


def _fingerprint(entries: Sequence[ShardEntry], settings: Collocations) -> str:
    """Of all that the counts depend on, so that none is ever taken for another."""
    value = [[entry.sha256 for entry in entries], settings.model_dump()]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
