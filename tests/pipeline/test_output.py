"""The output directory: files are there in whole or not at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from premask._errors import FormatError, RequestError
from premask.pipeline.lock import LOCK, locked
from premask.pipeline.output import Output

from tests.pipeline.sets import files_of


@pytest.fixture(params=["local", "url"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    if request.param == "local":
        return Output.at(str(tmp_path / "out"))
    return Output.at(f"memory://{tmp_path}/out")


def fail_to_write(output: Output, name: str) -> None:
    with output.writing(name) as path:
        path.write_bytes(b"half")
        raise KeyError


def test_what_is_written_can_be_read(output: Output) -> None:
    output.write("shards/a.arrow", b"abc")
    assert output.read("shards/a.arrow") == b"abc"
    assert output.size("shards/a.arrow") == 3
    assert output.names("shards") == ["a.arrow"]
    assert "shards" in output.names()


def test_a_failed_write_leaves_nothing(output: Output) -> None:
    with pytest.raises(KeyError):
        fail_to_write(output, "shards/a.arrow")
    assert output.size("shards/a.arrow") == -1
    assert not output.is_local or files_of(output.root) == {}


def test_a_failed_write_keeps_what_was_there(output: Output) -> None:
    output.write("a", b"old")
    with pytest.raises(KeyError):
        fail_to_write(output, "a")
    assert output.read("a") == b"old"


def test_what_was_not_written_does_not_appear(output: Output) -> None:
    with output.writing("a"):
        pass
    assert output.size("a") == -1


def test_folders_and_files_can_be_removed(output: Output) -> None:
    output.write("shards/a", b"1")
    output.write("b", b"2")
    output.remove("shards")
    output.remove("b")
    output.remove("never there")
    assert output.names("shards") == []
    assert output.size("b") == -1


def test_a_missing_file_is_named(output: Output) -> None:
    with pytest.raises(FormatError, match=r"missing - at .*/nothing"):
        output.read("nothing")


def test_one_build_at_a_time(output: Output) -> None:
    with locked(output):
        with pytest.raises(RequestError, match="another build is writing here"), locked(output):
            pass
        assert output.size(LOCK) > 0
    assert output.size(LOCK) == -1
    with locked(output):
        pass


def test_the_lock_of_a_dead_process_is_stale(output: Output) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    holder = {"host": socket.gethostname(), "process": child.pid}
    output.write(LOCK, json.dumps(holder).encode())
    with locked(output):
        pass


def test_the_lock_of_another_host_is_kept() -> None:
    output = Output.at("memory://premask-lock/out")
    output.write(LOCK, json.dumps({"host": "elsewhere", "process": 1}).encode())
    with pytest.raises(RequestError, match="elsewhere"), locked(output):
        pass
    output.remove(LOCK)
