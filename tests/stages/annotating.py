"""What the tests of the annotate stage share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.annotate import Annotator
from spacy.language import Language

OBAMA = "Barack Obama was born in Hawaii. He lived in Chicago for many years."
ALL = ("sentences", "entities", "phrases", "pos", "salience")


def documents(texts: Sequence[str]) -> pa.RecordBatch:
    numbers = range(len(texts))
    columns = [[f"d{n}" for n in numbers], [10 * n for n in numbers], list(texts)]
    arrays = [pa.array(x, f.type) for x, f in zip(columns, DOCUMENTS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=DOCUMENTS)


def annotate(annotator: Annotator, *texts: str, ledger: Ledger | None = None) -> dict[str, Any]:
    ledger = ledger or Ledger(unit="u")
    result: dict[str, Any] = next(annotator([documents(texts)], ledger)).to_pydict()
    return result


def spans(result: dict[str, Any], kind: str, number: int = 0) -> list[str]:
    starts, ends = result[f"{kind}_starts"][number], result[f"{kind}_ends"][number]
    return [result["text"][number][a:b] for a, b in zip(starts, ends, strict=True)]


def sentences(result: dict[str, Any], number: int = 0) -> list[str]:
    starts = result["sentence_starts"][number]
    text = result["text"][number]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def saved(nlp: Language, folder: Path) -> str:
    nlp.to_disk(folder)
    return str(folder)
