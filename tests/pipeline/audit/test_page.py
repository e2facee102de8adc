"""The report as data and as a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from premask.masking.policy import policy
from premask.pipeline.audit.compare import differences, render_comparison
from premask.pipeline.audit.page import render
from premask.pipeline.audit.run import Request, audit, write
from premask.pipeline.audit.summary import sentences, verdict
from premask.pipeline.local import LocalEngine
from premask.rows import Rows

from tests.pipeline.audit.material import TRACKS, InMemory

EVIL = " <script>alert('x')</script>&\"<img src=https://example.org/x.png onerror=alert(1)>"


def make_report(rows: Rows, name: str, *, done: str | None = None) -> dict[str, Any]:
    """A report on made-up rows, whose tokens all spell an attack."""
    promised = policy(name)
    others = {0: policy(done)} if done else {}
    request = Request(
        source=InMemory(rows, promised, (0, 1, 2), policies=others),
        policy=promised,
        about={"location": "<b>out</b>", "kind": "dynamic shard set"},
        tracks=TRACKS,
        spell=lambda token: EVIL if token > 4 else " [CLS]",
    )
    return audit(
        request, LocalEngine(), significance=0.001, progress=lambda _done, _total: None
    )


@pytest.fixture(scope="module")
def report(rows: Rows) -> dict[str, Any]:
    return make_report(rows.take(range(200)), "entity")


def test_the_document_has_the_keys_that_are_promised(report: dict[str, Any]) -> None:
    assert {
        "format", "format_version", "data", "policy", "epochs", "significance", "passed",
        "promises", "untested", "totals", "measures", "excerpts",
    } == set(report)  # fmt: skip
    assert {
        "masked_share", "rows_by_percent", "split", "units", "runs", "word_runs", "runs_law",
        "word_runs_law",
        "by_position", "by_frequency", "by_word_length", "head", "tail", "by_track", "coverage",
        "tokens", "sequences",
    } == set(report["measures"])  # fmt: skip


def test_the_document_is_plain_json_and_the_same_every_time(
    rows: Rows, report: dict[str, Any]
) -> None:
    text = json.dumps(report, sort_keys=True, allow_nan=False)
    again = make_report(rows.take(range(200)), "entity")
    assert json.dumps(again, sort_keys=True, allow_nan=False) == text


def test_markup_in_the_corpus_stays_text(report: dict[str, Any]) -> None:
    page = render(report)
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    tags = _Tags()
    tags.feed(page)
    assert "script" not in tags.seen
    assert "img" not in tags.seen
    assert not [name for name in tags.attributes if name.startswith("on")]


def test_the_page_asks_for_nothing(report: dict[str, Any]) -> None:
    page = render(report)
    tags = _Tags()
    tags.feed(page)
    assert tags.addresses == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_the_page_is_well_formed(report: dict[str, Any]) -> None:
    tags = _Tags()
    tags.feed(render(report))
    assert tags.open == []


def test_the_summary_says_whether_all_is_well(rows: Rows, report: dict[str, Any]) -> None:
    assert verdict(report)[0]
    broken = make_report(rows.take(range(200)), "entity", done="random")
    good, headline, text = verdict(broken)
    assert not good
    assert headline.startswith("1 of ")
    assert "Entities are masked whole or not at all. Found: " in text
    assert "00000.arrow" in text


def test_the_summary_gives_the_figures(report: dict[str, Any]) -> None:
    text = " ".join(sentences(report))
    assert "200 rows" in text
    assert re.search(r"15\.\d% of the text is masked", text)
    assert "After 3 epochs" in text


def test_a_comparison_puts_the_largest_difference_first(
    rows: Rows, report: dict[str, Any]
) -> None:
    other = make_report(rows.take(range(200)), "random")
    found = differences(report, other)
    assert {found[0].name, found[1].name} == {
        "hit words that are cut",
        "hit entities that are cut",
    }
    page = render_comparison(report, other)
    assert page.index("hit entities that are cut") < page.index("Alike within")


def test_both_files_are_written(report: dict[str, Any], tmp_path: Path) -> None:
    write(report, tmp_path / "new" / "folder")
    written = json.loads((tmp_path / "new" / "folder" / "audit.json").read_text())
    assert written["format"] == "premask-audit"
    assert (
        (tmp_path / "new" / "folder" / "audit.html").read_text().startswith("<!doctype html>")
    )


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_browser_opens_the_page_without_a_complaint(
    report: dict[str, Any], tmp_path: Path
) -> None:
    write(report, tmp_path)
    browser = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
    ]  # fmt: skip
    done = subprocess.run(
        [*browser, (tmp_path / "audit.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "All" in done.stdout
    assert "CONSOLE" not in done.stderr


class _Tags(HTMLParser):
    """The tags of a page, its addresses, and the tags that were left open."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
