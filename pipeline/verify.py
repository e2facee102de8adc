"""Checks a shard set against its manifest, every byte of it.

Sizes, both checksums, Arrow's own full validation (offsets, UTF-8), columns, row and token
counts, the length of every list of a row, ids inside the vocabulary, a recount of all tokens,
the reject file, the tokenizer, and that nothing is missing or too much. One pass over the data,
one shard in memory at a time; about 300 MB/s, most of it for SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from premask._errors import FormatError
from premask._format import (
    INPUT_IDS,
    MANIFEST_FILE,
    REJECTED_FILE,
    SHARDS_DIRECTORY,
    TOKENIZER_FILE,
)
from premask.manifest import Manifest, ShardEntry
from premask.pipeline.fingerprint import bytes_sha256
from premask.pipeline.finish import plain_type
from premask.pipeline.output import Output
from premask.pipeline.session import read_manifest
from premask.stages.count import Counts, count_tokens
from premask.stages.places import PLACES, num_documents
from premask.stages.plain_loops import Int64


def verify(path: str) -> tuple[Manifest, list[str]]:
    """The manifest of the set at `path`, and every fault that was found, in words.

    Raises:
        RequestError: there is no finished set.
        FormatError: its manifest is damaged.
    """
    output = Output.at(path)
    manifest = read_manifest(output)
    recount_V = np.zeros(manifest.vocabulary.size, np.int64)
    faults: list[str] = []
    for entry in manifest.shards:
        faults += (
            f"{fault} - at {output.path(entry.file)}"
            for fault in _check_shard(output, entry, manifest, recount_V)
        )
    shards_are_good = not faults
    faults += _check_files(output, manifest)
    faults += _check_tables(output, manifest, recount_V if shards_are_good else None)
    faults += _check_totals(output, manifest)
    return manifest, faults


def _check_shard(
    output: Output, entry: ShardEntry, manifest: Manifest, recount_V: Int64
) -> Iterator[str]:
    try:
        data = output.mapped(entry.file)
    except FormatError:
        yield "the shard is missing"
        return
    if data.size != entry.num_bytes:
        yield f"{data.size} bytes; the manifest says {entry.num_bytes}"
    if xxhash.xxh3_64(data).hexdigest() != entry.xxh3_64:
        yield "the xxh3 checksum is not the manifest's: the file is damaged"
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        yield "the SHA-256 checksum is not the manifest's: the file is damaged"
    try:
        yield from _check_rows(data, entry, manifest, recount_V)
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f"not a readable Arrow stream: {error}"


def _check_rows(
    data: pa.Buffer, entry: ShardEntry, manifest: Manifest, recount_V: Int64
) -> Iterator[str]:
    reader = pa.ipc.open_stream(data)
    found = {field.name: plain_type(field.type) for field in reader.schema}
    if found != dict(manifest.columns):
        yield f"columns {found}; the manifest says {dict(manifest.columns)}"
        return
    num_rows = num_tokens = 0
    for number, batch in enumerate(reader):
        # Before any value is touched: a bad offset would end the process.
        batch.validate(full=True)
        num_rows += batch.num_rows
        num_tokens += len(batch.column(INPUT_IDS).flatten())
        for fault in _check_batch(batch, manifest, recount_V):
            yield f"record batch {number}: {fault}"
    if num_rows != entry.num_rows:
        yield f"{num_rows} rows; the manifest says {entry.num_rows}"
    if num_tokens != entry.num_tokens:
        yield f"{num_tokens} tokens; the manifest says {entry.num_tokens}"


def _check_batch(batch: pa.RecordBatch, manifest: Manifest, recount_V: Int64) -> Iterator[str]:
    nulls = [name for name in batch.schema.names if batch.column(name).null_count]
    if nulls:
        yield f"nulls in {', '.join(nulls)}"
        return
    lengths = pc.list_value_length(batch.column(INPUT_IDS))
    longest = pc.max(lengths).as_py() or 0
    if longest > manifest.max_length:
        yield f"a row has {longest} tokens; the manifest allows {manifest.max_length}"
    ids = batch.column(INPUT_IDS).flatten()
    largest = pc.max(ids).as_py() or 0
    if largest >= manifest.vocabulary.size:
        yield f"token id {largest}; the vocabulary has {manifest.vocabulary.size}"
        return
    if manifest.mode != "dynamic":
        return
    for name in batch.schema.names:
        column = batch.column(name)
        if pa.types.is_list(column.type) and not pc.list_value_length(column).equals(lengths):
            yield f"rows of {name} and input_ids differ in length"
            return
    recount_V += count_tokens(batch, manifest.vocabulary.size)


def _check_files(output: Output, manifest: Manifest) -> Iterator[str]:
    listed = {entry.file for entry in manifest.shards}
    present = {f"{SHARDS_DIRECTORY}/{name}" for name in output.names(SHARDS_DIRECTORY)}
    for name in sorted(present - listed):
        yield f"the manifest does not know this file - at {output.path(name)}"
    try:
        data = output.read(TOKENIZER_FILE)
    except FormatError as error:
        yield str(error)
        return
    if bytes_sha256(data) != manifest.tokenizer.get("sha256"):
        yield f"not the tokenizer of the manifest - at {output.path(TOKENIZER_FILE)}"


def _check_tables(output: Output, manifest: Manifest, recount_V: Int64 | None) -> Iterator[str]:
    for name, entry in manifest.tables.items():
        location = output.path(entry["file"])
        try:
            data = output.mapped(entry["file"])
            if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                yield f"the SHA-256 checksum is not the manifest's - at {location}"
            elif name == "counts" and manifest.mode == "dynamic" and recount_V is not None:
                counts = Counts.from_bytes(data.to_pybytes(), location=location)
                if not np.array_equal(counts.counts_V, recount_V):
                    yield f"the counts are not those of the shards - at {location}"
            elif name == PLACES and manifest.mode == "dynamic":
                kept = manifest.totals.get("documents_kept")
                found = num_documents(pa.ipc.open_stream(data))
                if found != kept:
                    yield f"{found} documents; the manifest says {kept} kept - at {location}"
        except FormatError as error:
            yield str(error)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            yield f"not a readable Arrow stream: {error} - at {location}"


def _check_totals(output: Output, manifest: Manifest) -> Iterator[str]:
    totals, location = manifest.totals, output.path(MANIFEST_FILE)
    sums = {"rows": manifest.num_rows, "tokens": manifest.num_tokens}
    for name, value in sums.items():
        if totals.get(name) != value:
            yield f"{totals.get(name)} {name} in all; its shards have {value} - at {location}"
    if manifest.mode != "dynamic":
        return
    read, kept = totals.get("documents_read", 0), totals.get("documents_kept", 0)
    rejected = totals.get("documents_rejected", 0)
    if read != kept + rejected:
        yield (
            f"{read} documents were read, but {kept} kept and {rejected} rejected - "
            f"at {location}"
        )
    try:
        lines = output.read(REJECTED_FILE).count(b"\n")
    except FormatError as error:
        yield str(error)
        return
    if lines != rejected:
        place = output.path(REJECTED_FILE)
        yield f"{lines} lines; the manifest says {rejected} documents rejected - at {place}"
