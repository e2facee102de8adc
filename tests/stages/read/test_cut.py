"""Streams are cut where documents begin, whatever the blocks are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
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
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    monkeypatch.setattr("premask.stages.read.opening.BLOCK_BYTES", block_bytes)
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
    found = list(chunks(stream, re.compile(pattern), "a.txt", ledger))
    assert b"".join(content for _, content in found) == data
    ends = {match.end() for match in re.finditer(pattern, data)}
    position = 0
    for start, content in found:
        assert start == position
        assert start == 0 or start in ends or start == size
        position += len(content)
    if block_bytes >= size and ends - {0}:
        assert len(found) == 2
