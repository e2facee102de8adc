"""The table of collocations of a built set: exact, whatever the units, and found by `pmi`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pyarrow as pa
import pytest
from premask._errors import PolicyError
from premask.pipeline.build import build_plan
from premask.pipeline.engine import Outcome, unwatched
from premask.pipeline.freeze import static_policy
from premask.pipeline.local import LocalEngine
from premask.pipeline.plan import make_plan
from premask.pipeline.progress import Reporters
from premask.pipeline.verify import verify
from premask.schemas.job import Job
from premask.stages.collocations import find_collocations

from tests.pipeline.sets import files_of, run_build

MakeJob = Callable[..., Job]
SETTINGS = {"min_count": 3, "max_words": 3}
QUIET = Reporters(reporters=())


class Failing:
    """An engine that gives up at the first pair of words, as a kill would."""

    def run(self, work: Any, tasks: Any, watch: Any = unwatched) -> Any:
        if getattr(work, "order", 0) == 2:
            yield Outcome(index=tasks[0].index, status="fatal", result={}, error="no room")
            return
        yield from LocalEngine().run(work, tasks, watch)


def read(path: Path) -> pa.Table:
    return pa.ipc.open_stream(path.read_bytes()).read_all()


def test_the_table_is_that_of_all_shards_together(make_job: MakeJob) -> None:
    built, told = run_build(make_job(collocations=SETTINGS))
    root = Path(built.output.root)
    shards = [read(root / entry.file) for entry in built.manifest.shards]
    expected = find_collocations(lambda: [pa.concat_tables(shards)], min_count=3, max_words=3)
    found = read(root / "collocations.arrow")
    assert found.to_pylist() == expected.to_pylist()
    assert found.num_rows > 10
    assert "n-grams of length 3" in told
    assert verify(built.output.root)[1] == []


def test_the_policy_pmi_finds_the_table(make_job: MakeJob) -> None:
    built, _ = run_build(make_job(collocations=SETTINGS))
    shards = premask.open_shards(built.output.root)
    assert shards.binding.tables["collocations"].ndim == 2
    masked = premask.apply_policy("pmi", shards.rows(np.arange(8)))
    assert (masked["labels"] != -100).any()


def test_counting_goes_on_where_it_stopped(make_job: MakeJob, tmp_path: Path) -> None:
    whole, _ = run_build(make_job(collocations=SETTINGS))
    job = make_job(collocations=SETTINGS, output=str(tmp_path / "again"))
    with pytest.raises(premask.UnitError, match="cannot be written"):
        build_plan(make_plan(job), QUIET, Failing())
    counted = sorted((tmp_path / "again" / "journal").glob("ngrams-*/1-*.arrow"))
    assert len(counted) == len(whole.manifest.shards) + 1
    built = build_plan(make_plan(job), QUIET, LocalEngine())
    assert files_of(built.output.root) == files_of(whole.output.root)


def test_every_set_has_weights_by_inverse_document_frequency(built_set: Path) -> None:
    shards = premask.open_shards(built_set)
    assert len(shards.binding.tables["idf"]) == shards.vocabulary.size
    chosen = premask.policy("random", weights=[{"by": "table", "table": "idf"}])
    masked = premask.apply_policy(chosen, shards.rows(np.arange(4)))
    assert (masked["labels"] != -100).any()


def test_a_set_without_the_table_says_how_to_get_it(built_set: Path, make_job: MakeJob) -> None:
    shards = premask.open_shards(built_set)
    with pytest.raises(PolicyError, match=r"build with collocations: \{\}"):
        premask.apply_policy("pmi", shards.rows([0]))
    with pytest.raises(PolicyError, match=r"add collocations: \{\}"):
        static_policy(make_job(mode="static", policy="pmi"))
