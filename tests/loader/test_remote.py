"""Shard sets behind a URL: fetched, checked, and kept in a bounded cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest

fsspec = pytest.importorskip("fsspec")
URL = "memory://bucket/set"


@pytest.fixture
def remote(small_set: Path) -> Iterator[Any]:
    """`small_set` in fsspec's memory filesystem."""
    filesystem = fsspec.filesystem("memory")
    for path in small_set.rglob("*"):
        if path.is_file():
            filesystem.pipe(f"/bucket/set/{path.relative_to(small_set)}", path.read_bytes())
    yield filesystem
    filesystem.rm("/bucket", recursive=True)


@pytest.mark.usefixtures("remote")
def test_a_remote_set_reads_as_a_local_one(shards: premask.ShardSet, tmp_path: Path) -> None:
    found = premask.open_shards(URL, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 0, "opening fetches no shard"
    index = np.random.default_rng(0).permutation(103)
    assert np.array_equal(found.rows(index).values(), shards.rows(index).values())
    assert np.array_equal(found.counts, shards.counts)


@pytest.mark.usefixtures("remote")
def test_a_remote_set_gives_the_loaders_batches(
    shards: premask.ShardSet, tmp_path: Path
) -> None:
    found = premask.open_shards(URL, cache=tmp_path, cache_bytes=12_000)
    options: dict[str, Any] = {"policy": "random", "batch_size": 8, "backend": "numpy"}
    here, there = premask.Loader(shards, **options), premask.Loader(found, **options)
    for left, right in zip(here, there, strict=True):
        assert all(np.array_equal(left[name], right[name]) for name in left)


@pytest.mark.usefixtures("remote")
def test_the_cache_stays_within_its_bound(tmp_path: Path) -> None:
    found = premask.open_shards(URL, cache=tmp_path, cache_bytes=12_000)
    sizes = []
    for row in range(0, 103, 5):
        found.rows([row])
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    assert 0 < max(sizes) <= 12_000
    assert len(found._open) < 6


def test_a_cached_shard_is_not_fetched_again(remote: Any, tmp_path: Path) -> None:
    premask.open_shards(URL, cache=tmp_path).rows([0])
    found = premask.open_shards(URL, cache=tmp_path)
    remote.rm("/bucket/set/shards/00000.arrow")
    assert len(found.rows([0, 5])) == 2


def test_a_damaged_remote_shard_is_refused_and_not_kept(remote: Any, tmp_path: Path) -> None:
    found = premask.open_shards(URL, cache=tmp_path)
    data = bytearray(remote.cat_file("/bucket/set/shards/00001.arrow"))
    data[-40] ^= 1
    remote.pipe("/bucket/set/shards/00001.arrow", bytes(data))
    with pytest.raises(premask.FormatError, match=r"fetched shard has SHA-256.*00001\.arrow"):
        found.rows([25])
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_a_missing_remote_shard_is_named(remote: Any, tmp_path: Path) -> None:
    remote.rm("/bucket/set/shards/00002.arrow")
    with pytest.raises(premask.FormatError, match=r"missing.*00002\.arrow"):
        premask.open_shards(URL, cache=tmp_path)


def test_a_url_without_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(premask.FormatError, match=r"no shard set.*nothing/manifest\.json"):
        premask.open_shards("memory://nothing", cache=tmp_path)


def test_an_unknown_scheme_is_a_request_error(tmp_path: Path) -> None:
    with pytest.raises(premask.RequestError, match="cannot open 'nonsense://x'"):
        premask.open_shards("nonsense://x", cache=tmp_path)
