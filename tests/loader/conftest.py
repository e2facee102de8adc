"""One small shard set, written once, for every test of the reader and the loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import premask
import pytest

from tests.loader.shardset import random_lengths, random_rows, write_set

NUM_ROWS = 103


@pytest.fixture(scope="session")
def rows() -> dict[str, list[Any]]:
    """The columns of `small_set`, ragged."""
    return random_rows(random_lengths(NUM_ROWS))


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, list[Any]]) -> Path:
    """A dynamic set of 103 ragged rows in 6 shards. Not to be changed."""
    return write_set(tmp_path_factory.mktemp("small") / "set", rows)


@pytest.fixture
def own_set(tmp_path: Path, rows: dict[str, list[Any]]) -> Callable[..., Path]:
    """Writes a set of the same rows that the test may damage."""

    def write(**changes: Any) -> Path:
        return write_set(tmp_path / "own", rows, **changes)

    return write


@pytest.fixture(scope="session")
def shards(small_set: Path) -> premask.ShardSet:
    return premask.open_shards(small_set)
