from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.read.reading import Corpus, read_source

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
KINDS = sorted(COMPRESS)


def lines(count: int) -> bytes:
    return b"".join(
        json.dumps({"text": f"line {i * 7919}"}).encode() + b"\n" for i in range(count)
    )


def read(folder: Path, content: bytes, name: str = "a.jsonl") -> Corpus:
    path = folder / name
    path.write_bytes(content)
    return read_source(path)


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_read_as_one_stream(tmp_path: Path, kind: str) -> None:
    data = lines(100)
    packed = b"".join(map(COMPRESS[kind], (data[:777], b"", data[777:])))
    corpus = read(tmp_path, packed, f"a.jsonl.{kind}")
    assert corpus.texts == [f"line {i * 7919}" for i in range(100)]
    assert corpus.units[0].num_bytes > len(packed)
    assert not any(ledger.counters for ledger in corpus.ledgers)


@pytest.mark.parametrize("kind", KINDS)
def test_content_decides_and_not_the_name(tmp_path: Path, kind: str) -> None:
    assert read(tmp_path, COMPRESS[kind](lines(9))).read == 9
    assert read(tmp_path, lines(9), f"a.jsonl.{kind}").read == 9


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_skipped_and_garbage_is_counted(tmp_path: Path, kind: str) -> None:
    packed = COMPRESS[kind](lines(9))
    assert read(tmp_path, packed + bytes(512)).count("trailing_garbage_bytes") == 0
    corpus = read(tmp_path, packed + b"not a member")
    assert (corpus.read, corpus.rejected) == (9, [])
    assert corpus.count("trailing_garbage_bytes") == 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_stream_keeps_what_was_read_and_says_so(tmp_path: Path, kind: str) -> None:
    data = lines(60_000)
    packed = COMPRESS[kind](data)
    corpus = read(tmp_path, packed[: len(packed) * 6 // 10], f"a.jsonl.{kind}")
    assert corpus.reasons == ["truncated_stream"]
    assert corpus.texts == [f"line {i * 7919}" for i in range(len(corpus.texts))]
    assert len(corpus.texts) > 10_000
    position = corpus.rejected[0]["position"]
    assert data[:position].count(b"\n") == len(corpus.texts)


def test_a_wrong_checksum_keeps_every_document(tmp_path: Path) -> None:
    packed = COMPRESS["gz"](lines(100))
    corpus = read(tmp_path, packed[:-8] + bytes(4) + packed[-4:])
    assert len(corpus.texts) == 100
    assert corpus.reasons == ["bad_checksum"]


@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_data_end_the_stream_with_a_reject(tmp_path: Path, kind: str) -> None:
    packed = bytearray(COMPRESS[kind](lines(20_000)))
    for position in range(len(packed) // 2, len(packed) // 2 + 40):
        packed[position] ^= 0x55
    corpus = read(tmp_path, bytes(packed))
    assert set(corpus.reasons) & {"corrupt_stream", "bad_checksum", "truncated_stream"}


def test_an_empty_compressed_file_is_damaged(tmp_path: Path) -> None:
    assert read(tmp_path, b"", "a.jsonl.gz").reasons == ["truncated_stream"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_stays_within_bounds(tmp_path: Path, kind: str) -> None:
    bomb = COMPRESS[kind](bytes(100 << 20))
    path = tmp_path / f"a.txt.{kind}"
    path.write_bytes(bomb)
    tracemalloc.start()
    corpus = read_source(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert corpus.reasons == ["too_long"]
    assert peak < 100 << 20


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(KINDS),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 10_000),
)
def test_no_damage_escapes_the_ledger(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    edits: list[tuple[int, int]],
    cut: int,
) -> None:
    packed = bytearray(COMPRESS[kind](lines(300)))
    for position, value in edits:
        packed[position % len(packed)] = value
    folder = tmp_path_factory.mktemp("damage")
    path = folder / "a.jsonl"
    path.write_bytes(bytes(packed[: max(cut, 1)]))
    corpus = read_source(path, format="jsonl")
    assert corpus.read == len(corpus.documents) + len(corpus.rejected)
