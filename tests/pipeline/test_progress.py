"""Progress: figures, plain lines, JSON lines, and the live display."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from premask._errors import RequestError
from premask.pipeline.live import draw
from premask.pipeline.progress import JsonReporter, LineReporter, figures, reporting
from premask.pipeline.tally import Tally, clock, plural, short
from rich.console import Console


def tally() -> Tally:
    found = Tally(num_units=4, num_bytes=400, skipped=1, skipped_bytes=100)
    found.start -= 10  # ten seconds ago
    seconds = {"read": 1.0, "tokenize": 3.0}
    result = {"documents": 7, "rejected": 2, "rows": 5, "tokens": 12_000}
    found.add({**result, "stage_seconds": seconds}, 100)
    return found


def test_the_rest_is_estimated_from_bytes() -> None:
    found = tally()
    assert found.seconds_left == pytest.approx(20, abs=0.5)
    assert found.tokens_per_second == pytest.approx(1200, rel=0.05)
    assert found.shares() == {"read": 0.25, "tokenize": 0.75}


def test_nothing_is_estimated_before_the_first_unit() -> None:
    assert Tally(num_units=4, num_bytes=400).seconds_left is None


def test_a_unit_in_flight_counts_as_far_as_it_has_come() -> None:
    found = tally()
    found.watch(2, {"share": 0.5, "documents": 3, "tokens": 800}, 100)
    found.watch(2, {"share": 0.75, "documents": 5, "tokens": 900}, 100)
    assert (found.documents, found.tokens, found.done_bytes) == (12, 12_900, 175)
    assert found.seconds_left == pytest.approx(10 * 125 / 175, abs=0.5)
    assert found.to_json()["units_running"] == 1


def test_a_unit_that_failed_no_longer_counts() -> None:
    found = tally()
    found.watch(2, {"share": 0.5, "documents": 3, "stage_seconds": {"read": 9.0}}, 100)
    found.drop(2)
    assert (found.documents, found.done_bytes) == (7, 100)
    assert found.shares() == {"read": 0.25, "tokenize": 0.75}


def test_a_line_comes_while_a_long_unit_runs() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream=stream)
    reporter._last -= 60
    reporter.tell("progress", tally())
    reporter.tell("progress", tally())
    assert stream.getvalue().count("2/4 units") == 1


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 units"), (1, "1 unit"), (2, "2 units")]
)
def test_a_noun_agrees_with_its_number(number: int, expected: str) -> None:
    assert plural(number, "unit") == expected


def test_a_line_has_all_figures() -> None:
    line = figures(tally())
    assert line.startswith("2/4 units; 12.0k tokens (1.2k/s); 7 documents; 2 rejected")
    assert line.endswith("read 25%, tokenize 75%; 0:20 left")


def test_plain_lines_come_at_the_end_and_for_failures() -> None:
    stream = io.StringIO()
    reporter, found = LineReporter(stream=stream), tally()
    reporter.tell("unit", found)
    assert stream.getvalue() == ""
    reporter.tell("failed", found, "unit a:0 failed: KeyError", "Traceback of it")
    found.done = 3
    reporter.tell("unit", found)
    first, second = stream.getvalue().splitlines()
    assert first == "unit a:0 failed: KeyError"
    assert second.startswith("4/4 units")


def test_a_log_has_tracebacks(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    with reporting(quiet=True, log=str(log)) as reporter:
        reporter.tell("failed", tally(), "unit a:0 failed", "Traceback of it")
    assert log.read_text() == "unit a:0 failed\nTraceback of it\n"


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(RequestError, match="--log-json"),
        reporting(log_json=str(tmp_path / "no" / "such" / "folder")),
    ):
        pass


def test_json_lines_carry_event_message_and_figures() -> None:
    stream = io.StringIO()
    JsonReporter(stream=stream).tell("retry", tally(), "again", "Traceback")
    value = json.loads(stream.getvalue())
    assert value["event"] == "retry"
    assert (value["message"], value["traceback"]) == ("again", "Traceback")
    assert (value["units_done"], value["tokens"]) == (2, 12_000)


def test_the_live_display_shows_the_figures() -> None:
    console = Console(file=io.StringIO(), record=True, width=80)
    console.print(draw(tally()))
    text = console.export_text()
    for part in ("2/4 units", "12.0k tokens", "2 rejected", "tokenize 75%", "50%"):
        assert part in text


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0"), (950, "950"), (12_345, "12.3k"), (4_500_000, "4.5M"), (2.5e12, "2.5T")],
)
def test_counts_are_short(number: float, expected: str) -> None:
    assert short(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, "?"), (5, "0:05"), (125, "2:05"), (3725, "1:02:05")]
)
def test_durations_read_like_a_clock(seconds: float | None, expected: str) -> None:
    assert clock(seconds) == expected
