from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from premask._errors import RequestError
from premask.stages.compose import Batches, Clock, Stage, check_chain, compose

EMPTY = pa.record_batch({"x": [1]})


def stage(name: str, takes: str, gives: str, run: Callable[[Batches], Batches] = iter) -> Stage:
    return Stage(
        name=name, takes=frozenset(takes.split()), gives=frozenset(gives.split()), run=run
    )


def source(number: int) -> Callable[[Batches], Batches]:
    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        assert next(batches, None) is None
        for _ in range(number):
            yield EMPTY

    return run


class FakeTime:
    """A clock that only moves when a stage says that it works."""

    def __init__(self) -> None:
        self.now = 0.0

    def work(self, seconds: float) -> Callable[[Batches], Batches]:
        def run(batches: Batches) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                self.now += seconds
                yield batch

        return run


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr("premask.stages.compose.time.perf_counter", lambda: fake.now)
    return fake


def test_batches_pass_through_every_stage() -> None:
    chain = [stage("read", "", "text", source(3)), stage("clean", "text", "text")]
    assert list(compose(chain, Clock())) == [EMPTY] * 3


def test_a_stage_whose_columns_are_missing_is_refused() -> None:
    chain = [stage("read", "", "text"), stage("arrange", "input_ids", "rows")]
    with pytest.raises(RequestError, match="'arrange' takes input_ids, which 'read' before it"):
        check_chain(chain)


def test_a_stage_that_comes_too_late_is_refused() -> None:
    chain = [
        stage("read", "", "text"),
        stage("tokenize", "text", "input_ids"),
        stage("clean", "text", "text"),
    ]
    with pytest.raises(RequestError, match="this chain is read > tokenize > clean"):
        check_chain(chain)


def test_a_chain_without_a_reader_is_refused() -> None:
    with pytest.raises(RequestError, match="'clean' takes text, which nothing gives"):
        check_chain([stage("clean", "text", "text")])


def test_a_stage_that_stands_twice_is_refused() -> None:
    chain = [stage("read", "", "text"), stage("clean", "text", "text")]
    with pytest.raises(RequestError, match="'clean' stands twice"):
        check_chain([*chain, chain[1]])


def test_a_refused_chain_has_done_nothing() -> None:
    def explode(_: Batches) -> Batches:
        raise AssertionError("the stage ran")

    with pytest.raises(RequestError):
        compose([stage("read", "", "text", explode), stage("b", "missing", "x")], Clock())


def test_the_time_of_each_stage_is_its_own(fake_time: FakeTime) -> None:
    clock = Clock()
    chain = [
        stage("read", "", "text", lambda x: fake_time.work(4)(source(5)(x))),
        stage("clean", "text", "text"),
        stage("tokenize", "text", "text", fake_time.work(12)),
    ]
    list(compose(chain, clock))
    assert clock.seconds == {"read": 20, "clean": 0, "tokenize": 60}


def test_what_the_consumer_does_is_not_counted(fake_time: FakeTime) -> None:
    clock = Clock()
    for _ in compose([stage("read", "", "text", source(2))], clock):
        fake_time.now += 30
    assert clock.seconds == {"read": 0}
