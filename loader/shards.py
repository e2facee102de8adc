"""`open_shards`: a shard set as a sequence of rows, without loading it.

Opening reads the manifest, asks for the size of every shard, and maps and checks every shard
of a local set (see `premask.reading.shard_file`; 1 ms per shard of 32 record batches). Rows are
then gathered from the mapping. A compressed shard is decoded, a remote one fetched, when a row
of it is first asked for; the least recently used go when they pass `cache_bytes` together.

A `ShardSet` may be used from threads, forked, and pickled (it then opens itself again).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._errors import FormatError
from premask._format import DOCUMENT_ID, INPUT_IDS, MANIFEST_FILE
from premask.manifest import Manifest
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from premask.masking.masker import ANNOTATIONS
from premask.reading.files import Directory, Files
from premask.reading.integrity import check_digests, check_sizes
from premask.reading.remote import Cached, is_url
from premask.reading.shard_file import OpenShard, open_shard
from premask.reading.side_tables import read_tables
from premask.reading.table import Table
from premask.rows import Rows

CACHE_BYTES = 8 << 30


def open_shards(
    path: str | Path,
    *,
    verify: bool = False,
    cache: str | Path | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> ShardSet:
    """Opens the shard set at `path`.

    Args:
        path: a directory, or a URL of any filesystem that fsspec knows.
        verify: also checks the SHA-256 of every file, reading (and fetching) all of them.
        cache: where fetched shards are kept; default: a directory of the user's cache.
        cache_bytes: how much of fetched or decoded shards is kept at most, in bytes.

    Raises:
        RequestError: there is nothing at `path`.
        FormatError: it is no shard set, or a shard is missing or damaged.
    """
    files: Files = (
        Cached.at(str(path), cache=cache, cache_bytes=cache_bytes)
        if is_url(str(path))
        else Directory(Path(path))
    )
    location = f"{files.location}/{MANIFEST_FILE}"
    manifest = Manifest.from_bytes(files.read(MANIFEST_FILE), location=location)
    check_sizes(files, manifest)
    shards = ShardSet(files, manifest, cache_bytes=cache_bytes)
    if verify:
        check_digests(files, manifest)
    shards._open_all(decode=verify)
    return shards


class ShardSet:
    """The rows of a shard set, in the order of its shards. Made by `open_shards`."""

    def __init__(self, files: Files, manifest: Manifest, *, cache_bytes: int) -> None:
        self.manifest = manifest
        self._files = files
        self._cache_bytes = cache_bytes
        self._first_S = np.cumsum(
            [0, *(shard.num_rows for shard in manifest.shards)], dtype=np.int64
        )
        self._open: dict[int, OpenShard] = {}  # the least recently used first
        self._table = Table(())
        self._complete = False  # every shard is open and stays open
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(ShardSet, cache_bytes=self._cache_bytes), (self._files, self.manifest)

    def __repr__(self) -> str:
        return (
            f"<ShardSet {self.location!r}: {self.num_rows:,} rows, {self.num_tokens:,} tokens "
            f"in {len(self.manifest.shards)} shards, {self.manifest.mode}>"
        )

    def __len__(self) -> int:
        return self.num_rows

    @property
    def location(self) -> str:
        """The directory or URL."""
        return self._files.location

    @property
    def num_rows(self) -> int:
        return int(self._first_S[-1])

    @property
    def num_tokens(self) -> int:
        return self.manifest.num_tokens

    @property
    def vocabulary(self) -> Vocabulary:
        return self.manifest.vocabulary

    @property
    def tracks(self) -> Mapping[str, tuple[str, ...]]:
        """Dictionaries of the tracks, by name: code ``i`` means ``names[i]``."""
        return self.manifest.tracks

    @property
    def schema(self) -> pa.Schema:
        """The columns, as the first shard has them."""
        if not self.manifest.shards:
            raise FormatError("the set has no shards", location=self.location)
        self._table_with([0])
        return self._open[0].schema

    @property
    def counts(self) -> np.ndarray:
        """int64 ``[V]``: how often each token id occurs in the set."""
        tables = self.binding.tables
        if "counts" not in tables:
            raise FormatError("the set has no table of counts", location=self.location)
        return tables["counts"]

    @cached_property
    def binding(self) -> Binding:
        """What a policy needs to know of this set."""
        return Binding(
            vocabulary=self.manifest.vocabulary,
            max_length=self.manifest.max_length,
            tables=read_tables(self._files, self.manifest),
            tracks=self.manifest.tracks,
            boundaries=_boundaries(self.manifest.job),
        )

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Rows: ...
    def __getitem__(self, key: int | slice) -> dict[str, Any] | Rows:
        """One row as a dictionary of arrays and values, or a slice of rows as `Rows`."""
        if isinstance(key, slice):
            return self.rows(key)
        if not -len(self) <= key < len(self):
            raise IndexError(f"row {key} of a set of {len(self)} rows")
        rows = self.rows([key % len(self)], document_ids=True)
        value: dict[str, Any] = {name: rows.row(0, name) for name in rows.lists}
        value |= {name: int(numbers[0]) for name, numbers in rows.numbers.items()}
        if rows.document_ids is not None:
            value[DOCUMENT_ID] = rows.document_ids[0]
        return value

    def rows(
        self,
        index: npt.ArrayLike | slice,
        *,
        columns: Sequence[str] | None = None,
        document_ids: bool = False,
    ) -> Rows:
        """The rows with the numbers `index`, in that order.

        Args:
            index: integers in ``[0, len)``, or a slice.
            columns: the columns to read; None reads all but the text.
            document_ids: also decode the documents' ids (one Python string per row).

        Raises:
            IndexError: a number is out of range.
            FormatError: a shard is damaged.
        """
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        rows = np.asarray(index, np.int64).reshape(-1)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a set of {len(self)} rows")
        found = self.located(rows, columns)(0, len(rows))
        if document_ids and DOCUMENT_ID in self.manifest.columns:
            table = self._table_for(rows)
            found = replace(found, document_ids=table.texts(DOCUMENT_ID, table.locate(rows)))
        return found

    def located(
        self, rows: np.ndarray, columns: Sequence[str] | None = None
    ) -> Callable[[int, int], Rows]:
        """Finds `rows` (int64 ``[N]``, in range) all at once, to read a few at a time.

        Returns:
            A function of (first, last) that copies ``rows[first:last]`` out of the mapping,
            with one indexing call per column.
        """
        table = self._table_for(rows)
        lists, numbers = table.lists_and_numbers
        if columns is not None:
            lists = tuple(name for name in lists if name in columns)
            numbers = tuple(name for name in numbers if name in columns)
        place = table.locate(rows)
        found = [(name, table.lists(name, place)) for name in lists]
        counted = [(name, table.numbers(name, place)) for name in numbers]
        binding = self.binding

        def read(first: int, last: int) -> Rows:
            arrays, lengths = {}, {}
            for name, column in found:
                arrays[name] = column.part(first, last)
                lengths[name] = column.lengths[first:last]
            return Rows(
                lists=arrays,
                lengths=lengths,
                numbers={name: column.part(first, last) for name, column in counted},
                row_ids=rows[first:last],
                binding=binding,
            )

        return read

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """How many tokens each of `rows` has: int64 ``[N]``. Reads no token."""
        table = self._table_for(rows)
        return table.lists(INPUT_IDS, table.locate(rows)).lengths

    def _table_for(self, rows: np.ndarray) -> Table:
        if self._complete:
            return self._table
        shards = np.unique(np.searchsorted(self._first_S, rows, side="right") - 1)
        return self._table_with(shards.tolist())

    def _open_all(self, *, decode: bool) -> None:
        """Opens every shard of a local set; one that is not mapped only where `decode`."""
        for number in range(len(self.manifest.shards)):
            if self._files.remote and not decode:
                return
            shard = self._open_one(number)
            if shard.heap_bytes and not decode:
                return
            if not self._files.remote and not shard.heap_bytes:
                self._open[number] = shard
        if len(self._open) == len(self.manifest.shards):
            self._table = self._build_table()
            self._complete = True

    def _open_one(self, number: int) -> OpenShard:
        entry = self.manifest.shards[number]
        return open_shard(
            self._files.fetch(entry), num_rows=entry.num_rows, columns=self.manifest.columns
        )

    def _table_with(self, shards: Iterable[int]) -> Table:
        """A table in which `shards` are open; others may be closed for it."""
        with self._lock:
            needed = list(shards)
            missing = [number for number in needed if number not in self._open]
            for number in needed:
                shard = self._open.pop(number) if number in self._open else None
                self._open[number] = shard or self._open_one(number)
            if missing:
                self._close_oldest(keep=len(needed))
                self._table = self._build_table()
            return self._table

    def _close_oldest(self, *, keep: int) -> None:
        weights = {number: self._weight(number) for number in self._open}
        total = sum(weights.values())
        for number in list(self._open)[: len(self._open) - keep]:
            if total <= self._cache_bytes:
                return
            if weights[number]:
                total -= weights[number]
                del self._open[number]

    def _weight(self, number: int) -> int:
        if self._files.remote:
            return self.manifest.shards[number].num_bytes
        return self._open[number].heap_bytes

    def _build_table(self) -> Table:
        numbers = sorted(self._open)
        return Table((int(self._first_S[number]), self._open[number]) for number in numbers)


def _boundaries(job: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The boundary bits that a job's rows carry; None where the job does not tell."""
    if "annotate" not in job:
        return None
    made = (job["annotate"] or {}).get("tracks", ())
    bits = [name for name, track in ANNOTATIONS.items() if track in made]
    return ("special", "word_start", "document_start", *bits)
