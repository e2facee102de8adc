"""Helpers: a part of the work in actors of its own, with the results of doing it here."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from premask._errors import RequestError, UnitError
from premask.pipeline.build import build_plan, make_engine
from premask.pipeline.engine import Help, Outcome, Task, Work
from premask.pipeline.local import LocalEngine
from premask.pipeline.plan import make_plan
from premask.pipeline.progress import Reporters
from premask.pipeline.ray_cluster import connected
from premask.pipeline.ray_engine import RayEngine
from premask.schemas.job import Job

from tests.pipeline.sets import files_of, run_build
from tests.pipeline.works import Doubling, Summing, Unloadable

ROOT = Path(__file__).resolve().parents[2]


class Broken(Summing):
    """Its helpers are on nodes without Premask."""

    def help(self) -> Help:
        return Unloadable()  # type: ignore[return-value]


@pytest.fixture(scope="module", autouse=True)
def ray_up() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("RAY_ADDRESS", raising=False)
        with connected(workers=2, address=None, gpus=0, helpers=2):
            yield


def run(engine: RayEngine | LocalEngine, work: Work, *units: list[Any]) -> list[Outcome]:
    tasks = [Task(index=i, value=items) for i, items in enumerate(units)]
    with closing(engine.run(work, tasks)) as outcomes:
        return list(outcomes)


def engine(**changes: Any) -> RayEngine:
    options: dict[str, Any] = {"workers": 2, "address": None, "unit_timeout": 60, "retries": 1}
    return RayEngine(**{**options, "helpers": 2, **changes})


@pytest.fixture
def work(tmp_path: Path) -> Summing:
    return Summing(folder=str(tmp_path))


def test_results_come_in_the_order_of_the_items(work: Summing) -> None:
    units = [list(range(start, start + 40)) for start in (0, 100, 200)]
    found = {o.index: o.result for o in run(engine(), work, *units)}
    for index, items in enumerate(units):
        assert found[index] == {"squares": [i * i for i in items], "helped": True}
    (alone,) = run(LocalEngine(), work, units[0])
    assert alone.result == {"squares": found[0]["squares"], "helped": False}


def test_a_helper_works_at_one_item_at_a_time_for_several_units(work: Summing) -> None:
    units = [[1, 2] * 20, [2, 4] * 20]  # both units wait for the one helper, and it sleeps
    found = run(engine(helpers=1), work, *units)
    assert sorted(o.index for o in found if o.status == "done") == [0, 1]


def test_a_work_without_such_a_part_runs_as_ever(tmp_path: Path) -> None:
    (outcome,) = run(engine(), Doubling(folder=str(tmp_path)), 4)  # type: ignore[arg-type]
    assert outcome.result["value"] == 8


@pytest.mark.parametrize(
    ("item", "statuses", "error"),
    [
        ("die once", ["retry", "done"], "UnitError: a helper died"),
        ("hang once", ["retry", "done"], "no end after 4 s"),
        ("raise", ["retry", "failed"], "UnitError: in a helper: KeyError: 'a bad item'"),
        ("refuse", ["failed"], "RequestError: in a helper: RequestError: never right"),
    ],
)
def test_trouble_in_a_helper_is_the_units(
    work: Summing, item: str, statuses: list[str], error: str
) -> None:
    limit = 4 if item == "hang once" else 60
    outcomes = run(engine(unit_timeout=limit), work, [1, item, 2], [3, 4])
    assert [o.status for o in outcomes if o.index == 1][-1:] == ["done"]
    troubled = [o for o in outcomes if o.index == 0]
    assert [o.status for o in troubled] == statuses
    assert troubled[0].error.startswith(error)
    if item == "raise":
        assert "works.py" in troubled[0].trace


def test_helpers_that_find_no_room_are_refused(work: Summing) -> None:
    with pytest.raises(RequestError, match=r"no helper could be started in 1 s.*3 GPUs"):
        run(engine(gpus=3, start_timeout=1), work, [1])


def test_helpers_that_end_at_their_start_are_given_up(work: Summing) -> None:
    with pytest.raises(UnitError, match="helpers end as soon as they start"):
        run(engine(), Broken(folder=work.folder), [1])


# Annotation ---------------------------------------------------------------------------------

TRACKS = ["sentences", "entities", "pos", "phrases"]
MakeJob = Callable[..., Job]


@pytest.fixture(scope="module")
def annotated(
    corpus: Path, tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A job with the real pipeline, and the files that the local engine makes of it."""
    values: dict[str, Any] = {
        "sources": [{"path": str(corpus), "document": "paragraph"}],
        "output": str(tmp_path_factory.mktemp("local") / "out"),
        "tokenizer": str(tokenizer_file),
        "unit_bytes": 4096,
        "rows": {"max_length": 32},
        "clean": {"min_characters": 250},
        "annotate": {"tracks": TRACKS},
    }
    run_build(Job.model_validate(values))
    return values, files_of(values["output"])


@pytest.mark.parametrize("annotators", [1, 2])
def test_annotation_apart_gives_the_bytes_of_the_local_engine(
    annotated: tuple[dict[str, Any], dict[str, bytes]], tmp_path: Path, annotators: int
) -> None:
    values, expected = annotated
    changes = {"output": str(tmp_path / "out"), "engine": "ray", "workers": 2}
    annotate = {"tracks": TRACKS, "workers": annotators}
    run_build(Job.model_validate({**values, **changes, "annotate": annotate}))
    assert files_of(tmp_path / "out") == expected


def test_a_killed_annotator_is_replaced_and_its_units_are_done_again(
    annotated: tuple[dict[str, Any], dict[str, bytes]], tmp_path: Path
) -> None:
    values, expected = annotated
    annotate = {"tracks": TRACKS, "workers": 1}
    job = {**values, "output": str(tmp_path / "out"), "engine": "ray", "workers": 1}
    plan = make_plan(Job.model_validate({**job, "annotate": annotate}))
    killed: list[int] = []
    stop = threading.Event()

    def kill_those_at_work() -> None:
        while len(killed) < 2 and not stop.is_set():
            for pid in titled("ray::Helper.apply"):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                time.sleep(3)  # one kill for one try
            time.sleep(0.002)

    killer = threading.Thread(target=kill_those_at_work)
    killer.start()
    try:
        build_plan(plan, Reporters(reporters=()), make_engine(plan.job))
    finally:
        stop.set()
        killer.join()
    assert killed
    assert files_of(tmp_path / "out") == expected


def titled(beginning: str) -> Iterator[int]:
    """Processes below this one, by the beginning of their title."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_bytes().decode(errors="replace")
            if title.startswith(beginning) and _is_ours(int(path.name)):
                yield int(path.name)
        except OSError:
            continue  # it has ended meanwhile


def _is_ours(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return False
