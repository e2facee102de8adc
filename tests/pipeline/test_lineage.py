"""From rows to documents and back, against the texts themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import premask
import pytest
from premask._errors import RequestError
from premask._format import Boundary
from premask.pipeline.freeze import freeze
from premask.pipeline.lineage import documents_of, rows_of
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.verify import verify
from premask.schemas.job import Job
from premask.shards import ShardSet
from tokenizers import Tokenizer

from tests.pipeline.sets import manifest_of, run_build

Texts = dict[str, list[int]]


def texts_of(corpus: Path, tokenizer_file: Path, shards: ShardSet) -> Texts:
    """Every document's tokens by its id, found by its position in its file."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    texts: Texts = {}
    for row in range(len(shards)):
        for place in documents_of(shards, row):
            data = (corpus / place.unit.rsplit(":", 1)[0]).read_bytes()[place.position :]
            text = data.split(b"\n\n")[0].decode()
            texts[place.document_id] = tokenizer.encode(text, add_special_tokens=False).ids
    return texts


def pieces(shards: ShardSet, row: int) -> list[list[int]]:
    """The text of a row, cut where documents begin."""
    stored = shards[row]
    found: list[list[int]] = [[]]
    for token, bits in zip(stored["input_ids"].tolist(), stored["boundaries"], strict=True):
        if bits & Boundary.DOCUMENT_START:
            found.append([])
        if not bits & Boundary.SPECIAL:
            found[-1].append(token)
    return [piece for piece in found if piece]


def contains(text: list[int], piece: list[int]) -> bool:
    return any(text[k : k + len(piece)] == piece for k in range(len(text) - len(piece) + 1))


def test_every_piece_of_every_row_is_text_of_the_document_named(
    built_set: Path, corpus: Path, tokenizer_file: Path
) -> None:
    shards = premask.open_shards(built_set)
    texts = texts_of(corpus, tokenizer_file, shards)
    assert len(texts) == 120
    several = 0
    for row in range(len(shards)):
        places, found = documents_of(shards, row), pieces(shards, row)
        assert len(places) == len(found) == shards[row]["num_documents"]
        several += len(places) > 1
        for place, piece in zip(places, found, strict=True):
            assert contains(texts[place.document_id], piece)
    assert several > 20


def test_rows_of_a_document_are_those_that_name_it_and_make_up_its_text(
    built_set: Path, corpus: Path, tokenizer_file: Path
) -> None:
    shards = premask.open_shards(built_set)
    named: dict[str, set[int]] = {}
    tokens: dict[str, int] = {}
    for row in range(len(shards)):
        for place, piece in zip(documents_of(shards, row), pieces(shards, row), strict=True):
            named.setdefault(place.document_id, set()).add(row)
            tokens[place.document_id] = tokens.get(place.document_id, 0) + len(piece)
    texts = texts_of(corpus, tokenizer_file, shards)
    assert tokens == {name: len(text) for name, text in texts.items()}
    for name, rows in named.items():
        found = rows_of(shards, name)
        assert set(found) == rows
        assert len(found) == len(rows)
        first = next(p for p in documents_of(shards, found[0]) if p.document_id == name)
        assert first.seed == int(shards[found[0]]["seed"])


@pytest.mark.parametrize("stride", [0, 5])
def test_windows_of_one_document_all_lead_back_to_it(
    make_job: Callable[..., Job], stride: int
) -> None:
    rows = {"max_length": 32, "arrangement": "documents", "stride": stride, "min_length": 12}
    job = make_job(rows=rows)
    run_build(job)
    shards = premask.open_shards(job.output)
    for row in range(0, len(shards), 7):
        (place,) = documents_of(shards, row)
        assert place.document_id == shards[row]["document_id"]
        assert row in rows_of(shards, place.document_id)
    assert verify(job.output)[1] == []


def test_frozen_rows_keep_their_lineage(built_set: Path, tmp_path: Path) -> None:
    out, quiet = str(tmp_path / "static"), Reporters(reporters=())
    policy = premask.policy("random")
    freeze(str(built_set), out, policy, epochs=2, engine=LocalEngine(), reporter=quiet)
    shards, static = premask.open_shards(built_set), premask.open_shards(out)
    row = next(r for r in range(len(shards)) if shards[r]["num_documents"] > 1)
    (first, *_) = places = documents_of(shards, row)
    seeds = {int(shards[r]["seed"]) for r in rows_of(shards, first.document_id)}
    found = rows_of(static, first.document_id)
    assert len(found) == 2 * len(seeds)
    assert {int(static[r]["seed"]) for r in found} == seeds
    same = next(r for r in found if int(static[r]["seed"]) == int(shards[row]["seed"]))
    assert documents_of(static, same) == places


def test_rejected_documents_have_no_place(make_job: Callable[..., Job]) -> None:
    rows = {"max_length": 64, "arrangement": "documents", "min_length": 45}
    job = make_job(rows=rows)
    run_build(job)
    shards = premask.open_shards(job.output)
    lines = (Path(job.output) / "rejected.jsonl").read_text().splitlines()
    rejected = [json.loads(line)["document_id"] for line in lines]
    assert rejected
    for name in rejected:
        with pytest.raises(RequestError, match="no document"):
            rows_of(shards, name)
    kept = {str(shards[row]["document_id"]) for row in range(len(shards))}
    assert len(kept) == manifest_of(job.output).totals["documents_kept"]
    assert verify(job.output)[1] == []


def test_the_table_is_left_out_of_what_policies_look_up(built_set: Path) -> None:
    tables = premask.open_shards(built_set).binding.tables
    assert not [name for name in tables if name.startswith("documents")]
    assert all(isinstance(table, np.ndarray) for table in tables.values())


def test_a_row_that_is_not_there_is_refused(built_set: Path) -> None:
    with pytest.raises(RequestError, match="the last"):
        documents_of(premask.open_shards(built_set), 10_000)
