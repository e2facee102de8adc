"""Reads whole sources in tests: every unit, through its own ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from premask.schemas.job import Source
from premask.schemas.records import DOCUMENTS, MAX_BATCH_CHARACTERS, MAX_BATCH_DOCUMENTS
from premask.schemas.unit import Ledger, Slice
from premask.stages.read import plan_source, read_slice


@dataclass(slots=True)
class Corpus:
    """What came out of a source."""

    units: list[Slice] = field(default_factory=list)
    documents: list[tuple[str, int, str]] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.documents]

    @property
    def ids(self) -> list[str]:
        return [document_id for document_id, _, _ in self.documents]

    @property
    def read(self) -> int:
        return sum(ledger.documents_read for ledger in self.ledgers)

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return [record for ledger in self.ledgers for record in ledger.rejected]

    @property
    def reasons(self) -> list[str]:
        return [record["reason"] for record in self.rejected]

    def count(self, name: str) -> int:
        return sum(ledger.counters[name] for ledger in self.ledgers)


def read_source(path: Path | str, *, unit_bytes: int = 32 << 20, **options: Any) -> Corpus:
    """Plans and reads a source, and checks what holds of every one."""
    source = Source(path=str(path), **options)
    corpus = Corpus(units=plan_source(source, 0, unit_bytes))
    for unit in corpus.units:
        ledger = Ledger(unit=f"{unit.name}:{unit.start}")
        corpus.ledgers.append(ledger)
        before = len(corpus.documents)
        for batch in read_slice(unit, source, ledger):
            _check(batch)
            columns = (batch.column(name).to_pylist() for name in DOCUMENTS.names)
            corpus.documents.extend(zip(*columns, strict=True))
        assert ledger.documents_kept == len(corpus.documents) - before
    return corpus


def _check(batch: pa.RecordBatch) -> None:
    batch.validate(full=True)
    assert batch.schema.equals(DOCUMENTS)
    assert 0 < batch.num_rows <= MAX_BATCH_DOCUMENTS
    if batch.num_rows > 1:
        assert sum(map(len, batch.column("text").to_pylist())) <= MAX_BATCH_CHARACTERS
