from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from premask.manifest import Manifest
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from premask.masking.collocations import compile_collocations, pmi_score
from premask.reading.files import Directory
from premask.reading.side_tables import read_tables
from premask.stages.collocations import COLLOCATIONS, find_collocations
from premask.stages.weights import stream_bytes

from tests.stages.test_ngrams import Row, Word, row, slow_counts, table

UNITED, STATES, AIR, FORCE, OF, THE = (10,), (11, 12), (13,), (14,), (15,), (16,)
FILLERS: list[Word] = [(token,) for token in range(20, 40)]


def corpus(seed: int = 1, num_rows: int = 400) -> list[Row]:
    """Rows of independent words, with "united states (air force)" put in now and then."""
    rng = random.Random(seed)
    rows = []
    for _ in range(num_rows):
        words = [rng.choice([OF, THE, *FILLERS]) for _ in range(20)]
        place = rng.randrange(len(words))
        if rng.random() < 0.5:
            words[place:place] = [UNITED, STATES] + [AIR, FORCE] * rng.randint(0, 1)
        rows.append(row(*words))
    return rows


def find(rows: list[Row], num_units: int = 2, **options: int) -> list[dict[str, Any]]:
    units = [table(rows[i::num_units]) for i in range(num_units)]
    found: list[dict[str, Any]] = find_collocations(lambda: units, **options).to_pylist()
    return found


def flat(entry: dict[str, Any]) -> list[int]:
    return [token for token in entry["ngram"] if token >= 0]


def test_words_that_stand_together_more_than_by_chance_are_found_first() -> None:
    found = find(corpus())
    ngrams = [flat(entry) for entry in found]
    assert ngrams[0] in ([10, 11, 12], [13, 14])
    assert [10, 11, 12, 13, 14] in ngrams


@pytest.mark.parametrize("order", [2, 3, 4])
def test_scores_follow_the_published_law(order: int) -> None:
    rows = corpus()
    counts: dict[tuple[Word, ...], int] = {}
    for size in range(1, order + 1):
        some = slow_counts(rows, size)
        counts |= dict(some) | {((),) * size: some.total()}
    scores = {tuple(flat(e)): e["score"] for e in find(rows) if e["words"] == order}
    assert scores
    for gram in (gram for gram in slow_counts(rows, order) if sum(gram, ()) in scores):
        assert scores[sum(gram, ())] == pytest.approx(pmi_score(gram, counts), abs=1e-9)


def test_the_table_does_not_depend_on_the_units() -> None:
    rows = corpus()
    assert find(rows, num_units=1) == find(rows, num_units=5)


def test_the_table_is_filled_by_length() -> None:
    words = [entry["words"] for entry in find(corpus(), min_count=2, max_entries=16)]
    assert words.count(2) == 8
    assert words.count(3) == 4


def test_a_rare_ngram_is_no_collocation() -> None:
    rows = [row(UNITED, STATES)] * 9 + [row(OF, THE)] * 10
    assert [flat(entry) for entry in find(rows)] == [[15, 16]]


def test_ngrams_are_a_fixed_size_list_of_int32() -> None:
    units = [table(corpus())]
    type_ = find_collocations(lambda: units).schema.field("ngram").type
    assert pa.types.is_fixed_size_list(type_)
    assert type_.value_type == pa.int32()


def test_a_stored_table_is_read_in_the_form_that_policies_need(tmp_path: Path) -> None:
    units = [table(corpus())]
    found = find_collocations(lambda: units)
    data = stream_bytes(found)
    (tmp_path / "collocations.arrow").write_bytes(data)
    entry = {"file": "collocations.arrow", "sha256": hashlib.sha256(data).hexdigest()}
    manifest = Manifest(
        mode="dynamic",
        job_fingerprint="",
        job={},
        columns={},
        max_length=128,
        vocabulary=Vocabulary(size=64),
        tokenizer={},
        totals={},
        shards=(),
        tables={COLLOCATIONS: entry},
    )
    tables = read_tables(Directory(tmp_path), manifest)
    assert tables[COLLOCATIONS].tolist() == found.column("ngram").to_pylist()
    compiled = compile_collocations(
        Binding(vocabulary=manifest.vocabulary, max_length=128, tables=tables)
    )
    assert [length.tokens for length in compiled.lengths] == [2, 3, 4, 5]
