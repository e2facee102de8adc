"""Every target runs on its first inputs and on some that are made of them.

The long runs are ``python -m tests.fuzz``; see CONTRIBUTING.md. What they found has a test of
its own beside the code that was mended.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

import pytest
from premask._errors import RequestError

from tests.fuzz import watch
from tests.fuzz.everything import TARGETS
from tests.fuzz.mutation import mutate
from tests.fuzz.target import Target
from tests.fuzz.watch import Finding, Watch

NUM_INPUTS = 40


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_finds_nothing_in_its_first_inputs(name: str, tmp_path: Path) -> None:
    target, rng = TARGETS[name], Random(7)
    tried = Watch(target, tmp_path / "run")
    inputs = [*tried.seeds]
    while len(inputs) < len(tried.seeds) + NUM_INPUTS:
        inputs.append(mutate(rng.choice(tried.seeds), tried.seeds, target.words, rng))
    for data in inputs:
        finding = tried.run(data)
        assert finding is None, (data, finding.detail)


def _found(do: Callable[[Path], object], tmp_path: Path) -> Finding | None:
    """What is found when a run does this in its folder."""

    def run(_data: bytes, _fixed: Path, scratch: Path) -> None:
        do(scratch)

    target = Target(prepare=lambda _: [], run=run)
    return Watch(target, tmp_path / "run").run(b"x")


def _raise(error: Exception) -> None:
    raise error


def test_an_error_that_is_not_our_own_is_a_finding(tmp_path: Path) -> None:
    found = _found(lambda _: _raise(KeyError("a")), tmp_path)
    assert found is not None
    assert found.kind.startswith("KeyError test_smoke.py:")
    assert _found(lambda _: _raise(RequestError("no")), tmp_path) is None


def test_a_write_outside_is_a_finding(tmp_path: Path) -> None:
    def stray(scratch: Path) -> None:
        (scratch / "inside").write_bytes(b"x")
        (scratch / ".." / "outside").write_bytes(b"x")

    found = _found(stray, tmp_path)
    assert found is not None
    assert found.kind == "write outside"
    assert found.detail.count("\n") == 0


def test_an_endless_loop_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_scratch: Path) -> None:
        for _ in count():
            pass

    monkeypatch.setattr(watch, "MAX_CPU_SECONDS", 0.1)
    found = _found(endless, tmp_path)
    assert found is not None
    assert "TooSlow" in found.kind


def test_growth_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_GROWTH_BYTES", 64 << 20)
    # More than the process ever had: only what goes beyond its peak counts.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    found = _found(lambda _: b"x" * (peak + (128 << 20)), tmp_path)
    assert found is not None
    assert found.kind == "memory"


def test_mutations_are_the_same_for_the_same_seed() -> None:
    def made() -> list[bytes]:
        rng = Random(1)
        return [mutate(b"abc" * 9, [b"xyz"], [b"w"], rng) for _ in range(200)]

    first = made()
    assert first == made()
    assert len(set(first)) > 150
