"""Turns a complete journal into a finished shard set; the manifest comes last.

Everything is computed from the unit records in the order of units, never from the order in
which they finished, so the bytes are those of any other run of the same job. Holds one unit's
counts and rejects in memory at a time, and the list of shards.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import yaml
from premask._format import (
    COUNTS_FILE,
    DOCUMENTS_FILE,
    JOB_FILE,
    MANIFEST_FILE,
    REJECTED_FILE,
    TOKENIZER_FILE,
)
from premask.manifest import Manifest, ShardEntry
from premask.masking._rows import Vocabulary
from premask.pipeline.fingerprint import bytes_sha256
from premask.pipeline.journal import UnitRecord, counts_name, documents_name, rejected_name
from premask.pipeline.output import JOURNAL, Output
from premask.stages.count import Counts, merge_counts
from premask.stages.places import PLACES, write_places
from premask.stages.weights import weight_tables
from premask.stages.write import dataset_info, dataset_state

_JOB_COMMENT = (
    "# The job that made this shard set, every key spelled out. Again, elsewhere:\n"
    "#   premask build job.yaml --out DIRECTORY\n"
)


def write_job(output: Output, job: Mapping[str, Any]) -> None:
    """Writes ``job.yaml``."""
    text = yaml.safe_dump(dict(job), sort_keys=False, allow_unicode=True)
    output.write(JOB_FILE, (_JOB_COMMENT + text).encode())


def write_tables(
    output: Output, records: Sequence[UnitRecord], vocabulary: Vocabulary, tokenizer: bytes
) -> dict[str, dict[str, Any]]:
    """Writes counts, weights, rejects and tokenizer; gives the manifest's entries."""
    parts = (
        Counts.from_bytes(output.read(name), location=output.path(name))
        for name in (counts_name(record.index) for record in records)
    )
    merged = merge_counts(parts, vocabulary.size)
    tables = {"counts": write_table(output, COUNTS_FILE, merged.to_bytes())}
    for name, data in weight_tables(merged).items():
        tables[name] = write_table(output, f"{name}.arrow", data)
    with output.writing(REJECTED_FILE) as path, path.open("wb") as file:
        for record in records:
            if record.documents_rejected:
                file.write(output.read(rejected_name(record.index)))
    output.write(TOKENIZER_FILE, tokenizer)
    tables[PLACES] = _write_documents(output, records)
    return tables


def _write_documents(output: Output, records: Sequence[UnitRecord]) -> dict[str, Any]:
    parts = (
        output.read(documents_name(record.index))
        for record in records
        if record.documents_read > record.documents_rejected
    )
    with output.writing(DOCUMENTS_FILE) as path:
        return {"file": DOCUMENTS_FILE, "sha256": write_places(path, parts)}


def write_table(output: Output, file: str, data: bytes) -> dict[str, Any]:
    """Writes a table; gives its entry in the manifest."""
    output.write(file, data)
    return {"file": file, "sha256": bytes_sha256(data)}


def totals(records: Iterable[UnitRecord]) -> dict[str, Any]:
    """Sums over all units, for the manifest."""
    sums: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    counters: Counter[str] = Counter()
    for record in records:
        sums["documents_read"] += record.documents_read
        sums["documents_rejected"] += record.documents_rejected
        sums["rows"] += record.shard.num_rows if record.shard else 0
        sums["tokens"] += record.shard.num_tokens if record.shard else 0
        reasons.update(record.reasons)
        counters.update(record.counters)
    kept = sums["documents_read"] - sums["documents_rejected"]
    return {
        "documents_read": sums["documents_read"],
        "documents_kept": kept,
        "documents_rejected": sums["documents_rejected"],
        "rows": sums["rows"],
        "tokens": sums["tokens"],
        "rejected_by_reason": dict(reasons),
        "counters": dict(counters),
    }


def plain_type(kind: pa.DataType) -> str:
    """A type's name without the names of its fields: ``list<uint16>``."""
    return re.sub(r"<\w+: ([^>]*?)(?: not null)?>", r"<\1>", str(kind))


def shard_entries(records: Iterable[UnitRecord]) -> tuple[ShardEntry, ...]:
    """The shards in the order of their units; a unit without rows has none."""
    return tuple(record.shard for record in records if record.shard is not None)


def publish(output: Output, manifest: Manifest) -> Manifest:
    """Writes what `datasets` needs, then the manifest, then drops the journal.

    A kill before the manifest leaves a set that a rerun finishes; one after it leaves a
    journal that a rerun drops.
    """
    output.write("dataset_info.json", dataset_info())
    files = [shard.file for shard in manifest.shards]
    output.write("state.json", dataset_state(files, manifest.sha256))
    output.write(MANIFEST_FILE, manifest.to_bytes())
    output.remove(JOURNAL)
    return manifest
