"""Streams are cut where documents begin, whatever the blocks are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from premask.schemas.unit import Ledger, Slice
from premask.stages.read.cut import chunks
from premask.stages.read.stream import Stream

PATTERNS = [rb"\n", rb"\n[ \t\r]*\n", rb"(?=<page[ >])", rb"\n(?=<doc )"]
PARTS = [
    b"\n",
    b"\n\n",
    b" ",
    b"<page>",
    b"<doc >",
    b"<do",
    b"c ",
    b"text",
    b"x" * 300,
    b"y" * 5000,
]


def cut(
    folder: Path, patch: pytest.MonkeyPatch, data: bytes, pattern: bytes, block_bytes: int
) -> tuple[list[tuple[int, bytes]], list[dict[str, Any]]]:
    """The pieces of a file that is read in blocks, and what was rejected."""
    path = folder / "a.txt"
    path.write_bytes(data)
    patch.setattr("premask.stages.read.opening.BLOCK_BYTES", block_bytes)
    size = len(data)
    piece = Slice(
        source=0,
        name="a.txt",
        path=str(path),
        format="text",
        start=0,
        end=size,
        size=size,
        num_bytes=size,
    )
    ledger = Ledger(unit="a.txt:0")
    stream = Stream(piece, "utf-8", ledger)
    return list(chunks(stream, re.compile(pattern), "a.txt", ledger)), ledger.rejected


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.sampled_from(PARTS), max_size=30),
    pattern=st.sampled_from(PATTERNS),
    block_bytes=st.sampled_from([1, 3, 64, 5000, 1 << 20]),
)
def test_pieces_begin_where_documents_begin(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[bytes],
    pattern: bytes,
    block_bytes: int,
) -> None:
    data = b"".join(parts)
    size = len(data)
    found, _ = cut(tmp_path, monkeypatch, data, pattern, block_bytes)
    assert b"".join(content for _, content in found) == data
    ends = {match.end() for match in re.finditer(pattern, data)}
    position = 0
    for start, content in found:
        assert start == position
        assert start == 0 or start in ends or start == size
        position += len(content)
    if block_bytes >= size and ends - {0}:
        assert len(found) == 2


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.sampled_from([1, 8, 300, 690, 900, 1500, 4000]), max_size=8),
    block_bytes=st.sampled_from([1, 7, 257, 1000, 5000, 1 << 20]),
)
@example(sizes=[1500, 8, 4000, 1500, 1500], block_bytes=1000)
def test_a_document_between_two_that_are_too_long_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], block_bytes: int
) -> None:
    monkeypatch.setattr("premask.stages.read._reader.MAX_DOCUMENT_BYTES", 700)
    documents = [b"%d" % i + b"x" * size + b"\n" for i, size in enumerate(sizes)]
    found, rejected = cut(tmp_path, monkeypatch, b"".join(documents), rb"\n", block_bytes)
    kept = [line for _, content in found for line in content.splitlines(keepends=True)]
    assert [document for document in documents if document in kept] == kept
    assert len(kept) + len(rejected) == len(documents)
    assert all(len(document) > 700 for document in documents if document not in kept)
