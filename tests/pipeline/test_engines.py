"""Engines: every unit gets exactly one verdict, whatever becomes of its worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from premask._errors import RequestError
from premask.masking.policy import policy
from premask.pipeline.engine import Engine, Outcome, Task
from premask.pipeline.freeze import freeze
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.ray_engine import RayEngine
from premask.schemas.job import Job

from tests.pipeline.sets import files_of, run_build
from tests.pipeline.works import Doubling

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ray_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One private Ray for the module, started as the engine starts it."""
    from premask.pipeline import ray_engine

    decoy = tmp_path_factory.mktemp("decoy")
    for name in ("schemas", "stages", "pipeline", "loader"):
        (decoy / name).mkdir()
        (decoy / name / "__init__.py").write_text("raise ImportError('a decoy')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.chdir(decoy)
        engine = RayEngine(workers=2, address=None, unit_timeout=60, retries=1)
        with ray_engine._connected(engine):
            yield


def run(engine: Engine, work: Doubling, *values: int | str) -> list[Outcome]:
    tasks = [Task(index=i, value=value) for i, value in enumerate(values)]
    with closing(engine.run(work, tasks)) as outcomes:
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


def test_gpus_that_are_not_there_are_refused(
    work: Doubling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    engine = RayEngine(workers=1, address=None, unit_timeout=9, retries=0, gpus=1000)
    with pytest.raises(RequestError, match=r"1000 GPUs per worker.*at annotate\.gpus"):
        run(engine, work, 1)


def test_local_runs_in_plan_order_and_survives_a_bad_unit(work: Doubling) -> None:
    outcomes = run(LocalEngine(), work, 1, "raise", 3)
    assert [(o.index, o.status) for o in outcomes] == [(0, "done"), (1, "failed"), (2, "done")]
    assert outcomes[2].result["value"] == 6
    assert outcomes[1].error == "KeyError: 'a bad unit'"
    assert "works.py" in outcomes[1].trace


def test_local_stops_at_a_full_disk(work: Doubling) -> None:
    assert verdicts(run(LocalEngine(), work, 1, "full", 3)) == {0: ["done"], 1: ["fatal"]}


def test_ray_does_every_unit_once(ray_engine: RayEngine, work: Doubling) -> None:
    outcomes = run(ray_engine, work, *range(20))
    assert sorted(o.result["value"] for o in outcomes) == [2 * i for i in range(20)]
    assert {o.status for o in outcomes} == {"done"}


def test_ray_workers_do_not_see_the_users_directory(
    ray_engine: RayEngine, work: Doubling
) -> None:
    assert run(ray_engine, work, 1)[0].result["path"] == []


def test_ray_tries_a_bad_unit_again_and_then_gives_it_up(
    ray_engine: RayEngine, work: Doubling
) -> None:
    outcomes = run(ray_engine, work, 1, "raise", 3)
    assert verdicts(outcomes) == {0: ["done"], 1: ["retry", "failed"], 2: ["done"]}
    assert "works.py" in next(o for o in outcomes if o.status == "failed").trace


def test_ray_does_not_repeat_a_wrong_request(ray_engine: RayEngine, work: Doubling) -> None:
    assert verdicts(run(ray_engine, work, "refuse")) == {0: ["failed"]}


def test_ray_gives_the_unit_of_a_dead_worker_to_another(
    ray_engine: RayEngine, work: Doubling
) -> None:
    outcomes = run(ray_engine, work, "die once", 2, 3)
    assert verdicts(outcomes) == {0: ["retry", "done"], 1: ["done"], 2: ["done"]}
    assert [o.error[:15] for o in outcomes if o.status == "retry"] == ["the worker died"]


def test_ray_gives_up_a_unit_that_kills_every_worker(
    ray_engine: RayEngine, work: Doubling
) -> None:
    assert verdicts(run(ray_engine, work, "die", 2)) == {0: ["retry", "failed"], 1: ["done"]}


@pytest.mark.usefixtures("ray_up")
def test_ray_kills_a_hung_unit_and_finishes_the_others(work: Doubling) -> None:
    engine = RayEngine(workers=2, address=None, unit_timeout=1.5, retries=1)
    outcomes = run(engine, work, "hang once", 2, "hang", 4)
    assert verdicts(outcomes) == {
        0: ["retry", "done"],
        1: ["done"],
        2: ["retry", "failed"],
        3: ["done"],
    }
    assert "no end after 1.5 s" in next(o for o in outcomes if o.status == "failed").error


def test_ray_stops_all_work_when_the_iterator_is_closed(
    ray_engine: RayEngine, work: Doubling
) -> None:
    tasks = [Task(index=i, value=value) for i, value in enumerate([1, "hang", "hang"])]
    with closing(ray_engine.run(work, tasks)) as outcomes:
        assert next(iter(outcomes)).status == "done"
    assert run(ray_engine, work, 5)[0].result["value"] == 10


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("ray_up")
def test_ray_builds_the_bytes_of_the_local_engine(
    make_job: Callable[..., Job], tmp_path: Path, workers: int
) -> None:
    local = make_job(output=str(tmp_path / "local"))
    job = make_job(engine="ray", workers=workers, output=str(tmp_path / "ray"))
    run_build(local)
    run_build(job)
    assert files_of(job.output) == files_of(local.output)


@pytest.mark.usefixtures("ray_up")
def test_ray_freezes_the_bytes_of_the_local_engine(
    built_set: Path, ray_engine: RayEngine, tmp_path: Path
) -> None:
    for name, engine in (("local", LocalEngine()), ("ray", ray_engine)):
        freeze(
            str(built_set),
            str(tmp_path / name),
            policy("whole_word"),
            epochs=2,
            engine=engine,
            reporter=Reporters(reporters=()),
        )
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "local")
