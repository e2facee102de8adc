"""Engines: every unit gets exactly one verdict, whatever becomes of its worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from premask._errors import RequestError, UnitError
from premask.masking.policy import policy
from premask.pipeline.engine import Engine, Outcome, Result, Task, Watch, Work, unwatched
from premask.pipeline.freeze import freeze
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.ray_cluster import connected, refuse_missing_gpus
from premask.pipeline.ray_engine import RayEngine
from premask.schemas.job import Job

from tests.pipeline.sets import files_of, run_build
from tests.pipeline.works import Doubling, Unloadable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ray_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One private Ray for the module, started as the engine starts it."""
    decoy = tmp_path_factory.mktemp("decoy")
    for name in ("schemas", "stages", "pipeline", "loader"):
        (decoy / name).mkdir()
        (decoy / name / "__init__.py").write_text("raise ImportError('a decoy')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.chdir(decoy)
        with connected(workers=4, address=None, gpus=0):
            yield


def run(
    engine: Engine, work: Work, *values: int | str, watch: Watch = unwatched
) -> list[Outcome]:
    tasks = [Task(index=i, value=value) for i, value in enumerate(values)]
    with closing(engine.run(work, tasks, watch)) as outcomes:
        return list(outcomes)


def verdicts(outcomes: list[Outcome]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.index, []).append(outcome.status)
    return found


@pytest.fixture
def work(tmp_path: Path) -> Doubling:
    return Doubling(folder=str(tmp_path))


@pytest.fixture
def ray_engine(request: pytest.FixtureRequest) -> RayEngine:
    request.getfixturevalue("ray_up")
    return RayEngine(workers=2, address=None, unit_timeout=60, retries=1)


# Stands before the tests that start a Ray: a process has one connection at a time.
def test_an_address_without_a_cluster_is_refused(
    work: Doubling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RequestError, match="no Ray cluster answers"):
        run(RayEngine(workers=1, address=None, unit_timeout=9, retries=0), work, 1)


def test_local_runs_in_plan_order_and_survives_a_bad_unit(work: Doubling) -> None:
    outcomes = run(LocalEngine(), work, 1, "raise", 3)
    assert [(o.index, o.status) for o in outcomes] == [(0, "done"), (1, "failed"), (2, "done")]
    assert outcomes[2].result["value"] == 6
    assert outcomes[1].error == "KeyError: 'a bad unit'"
    assert "works.py" in outcomes[1].trace


def test_local_tells_what_a_unit_has_done_so_far(work: Doubling) -> None:
    told: list[tuple[int, Result]] = []
    run(LocalEngine(), work, 1, 2, watch=lambda index, so_far: told.append((index, so_far)))
    assert told == [(0, {"tokens": 1, "share": 0.5}), (1, {"tokens": 2, "share": 0.5})]


def test_local_stops_at_a_full_disk(work: Doubling) -> None:
    assert verdicts(run(LocalEngine(), work, 1, "full", 3)) == {0: ["done"], 1: ["fatal"]}


@pytest.mark.parametrize(
    ("value", "statuses"),
    [("raise", ["retry", "failed"]), ("refuse", ["failed"]), ("die once", ["retry", "done"])],
)
def test_local_tries_again_what_may_get_better(
    work: Doubling, value: str, statuses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    limit = 60 if "die" in value else None
    outcomes = run(LocalEngine(retries=1, unit_timeout=limit), work, value, 3)
    assert verdicts(outcomes) == {0: statuses, 1: ["done"]}


def test_local_with_a_time_limit_works_in_a_child(
    work: Doubling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    told: list[tuple[int, Result]] = []
    outcomes = run(
        LocalEngine(retries=1, unit_timeout=4),
        work,
        *(1, "hang", "die", "raise", 5),
        watch=lambda index, so_far: told.append((index, so_far)),
    )
    again = ["retry", "failed"]
    assert verdicts(outcomes) == {0: ["done"], 1: again, 2: again, 3: again, 4: ["done"]}
    errors = {outcome.index: outcome.error for outcome in outcomes}
    assert errors[1] == "no end after 4 s (unit_timeout); its process was killed"
    assert errors[2] == "the process of the unit died: Killed (signal 9)"
    assert told == [(0, {"tokens": 1, "share": 0.5}), (4, {"tokens": 5, "share": 0.5})]


def test_local_builds_the_same_bytes_in_a_child(
    make_job: Callable[..., Job], built_set: Path
) -> None:
    job = make_job(unit_timeout=60)
    run_build(job)
    assert files_of(job.output) == files_of(built_set)


@pytest.fixture(scope="module")
def plain_run(
    ray_up: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Outcome], list[tuple[int, Result]]]:
    """Twenty quick units and a slow one on two workers: how they ended, and what they told."""
    del ray_up
    told: list[tuple[int, Result]] = []
    outcomes = run(
        RayEngine(workers=2, address=None, unit_timeout=60, retries=1),
        Doubling(folder=str(tmp_path_factory.mktemp("plain"))),
        *range(20),
        "slow",
        watch=lambda index, so_far: told.append((index, so_far)),
    )
    return outcomes, told


PlainRun = tuple[list[Outcome], list[tuple[int, Result]]]


def test_ray_does_every_unit_once(plain_run: PlainRun) -> None:
    outcomes, _ = plain_run
    assert sorted(o.index for o in outcomes) == list(range(21))
    assert {o.status for o in outcomes} == {"done"}
    assert all(o.result["value"] == 2 * o.index for o in outcomes if o.index < 20)


def test_ray_workers_do_not_see_the_users_directory(plain_run: PlainRun) -> None:
    assert [o.result["path"] for o in plain_run[0] if o.index < 20] == [[]] * 20


def test_ray_tells_what_a_long_unit_has_done_so_far(plain_run: PlainRun) -> None:
    assert {index for index, _ in plain_run[1]} == {20}
    assert plain_run[1][0] == (20, {"tokens": 7, "share": 0.5})


@pytest.mark.usefixtures("ray_up")
def test_ray_says_so_when_no_worker_can_ever_start(work: Doubling) -> None:
    engine = RayEngine(
        workers=2, address=None, unit_timeout=9, retries=0, gpus=1, start_timeout=1.5
    )
    with pytest.raises(RequestError, match=r"no worker could be started in 1\.5 s.*1 GPUs"):
        run(engine, work, 1)


@pytest.mark.usefixtures("ray_up")
def test_gpus_that_this_machine_lacks_are_refused() -> None:
    with pytest.raises(RequestError, match=r"1000 GPUs per worker.*at annotate\.gpus"):
        refuse_missing_gpus(1000)


@pytest.mark.usefixtures("ray_up")
def test_ray_gives_up_workers_that_end_at_their_start() -> None:
    engine = RayEngine(workers=1, address=None, unit_timeout=9, retries=0)
    with pytest.raises(UnitError, match="workers end as soon as they start"):
        run(engine, Unloadable(), 1)


Troubles = dict[int | str, list[Outcome]]


@pytest.fixture(scope="module")
def troubles(ray_up: None, tmp_path_factory: pytest.TempPathFactory) -> Troubles:
    """How every kind of bad unit ended on Ray, all in one run, each with one more try."""
    del ray_up
    work = Doubling(folder=str(tmp_path_factory.mktemp("troubles")))
    engine = RayEngine(workers=2, address=None, unit_timeout=3, retries=1)
    values: list[int | str] = [1, "hang", "raise", "refuse", "die once", "die", 2]
    found: Troubles = {value: [] for value in values}
    for outcome in run(engine, work, *values):
        found[values[outcome.index]].append(outcome)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, ["done"]),
        ("raise", ["retry", "failed"]),
        ("refuse", ["failed"]),  # a wrong request stays wrong
        ("die once", ["retry", "done"]),
        ("die", ["retry", "failed"]),
        ("hang", ["retry", "failed"]),
        (2, ["done"]),
    ],
)
def test_ray_tries_a_unit_again_where_that_may_help(
    troubles: Troubles, value: int | str, expected: list[str]
) -> None:
    assert [outcome.status for outcome in troubles[value]] == expected


def test_ray_brings_the_traceback_of_a_failed_unit(troubles: Troubles) -> None:
    assert "works.py" in troubles["raise"][-1].trace


def test_ray_tells_of_a_dead_worker(troubles: Troubles) -> None:
    assert troubles["die once"][0].error.startswith("the worker died: ")


def test_ray_tells_of_a_unit_beyond_the_time_limit(troubles: Troubles) -> None:
    assert troubles["hang"][-1].error.startswith("no end after 3 s (unit_timeout)")


def test_ray_stops_all_work_when_the_iterator_is_closed(
    ray_engine: RayEngine, work: Doubling
) -> None:
    tasks = [Task(index=i, value=value) for i, value in enumerate([1, "hang", "hang"])]
    with closing(ray_engine.run(work, tasks)) as outcomes:
        assert next(iter(outcomes)).status == "done"
    engine = RayEngine(workers=1, address=None, unit_timeout=60, retries=1)
    assert run(engine, work, 5)[0].result["value"] == 10


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.usefixtures("ray_up")
def test_ray_builds_the_bytes_of_the_local_engine(
    make_job: Callable[..., Job], built_set: Path, workers: int
) -> None:
    job = make_job(engine="ray", workers=workers)
    run_build(job)
    assert files_of(job.output) == files_of(built_set)
    assert {"manifest.json", "counts.arrow"} < files_of(job.output).keys()


@pytest.fixture(scope="module")
def frozen_set(built_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set frozen by the local engine."""
    out = tmp_path_factory.mktemp("frozen") / "out"
    freeze_with(LocalEngine(), built_set, out)
    return out


def freeze_with(engine: Engine, source: Path, out: Path) -> None:
    quiet = Reporters(reporters=())
    chosen = policy("whole_word")
    freeze(str(source), str(out), chosen, epochs=2, engine=engine, reporter=quiet)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.usefixtures("ray_up")
def test_ray_freezes_the_bytes_of_the_local_engine(
    built_set: Path, frozen_set: Path, tmp_path: Path, workers: int
) -> None:
    engine = RayEngine(workers=workers, address=None, unit_timeout=60, retries=1)
    freeze_with(engine, built_set, tmp_path / "ray")
    assert files_of(tmp_path / "ray") == files_of(frozen_set)
