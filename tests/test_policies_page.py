"""`docs/policies.md` says what the table of presets says."""

from __future__ import annotations

import importlib
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from premask.masking.presets import PRESETS

DOCS = Path(__file__).resolve().parent.parent / "docs"


@cache
def written() -> str:
    return (DOCS / "policies.md").read_text(encoding="utf-8")


def test_the_page_is_in_step_with_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, "make_policies", raising=False)
    page = importlib.import_module("make_policies").page()
    assert written() == page, "run python docs/make_policies.py"


def test_every_preset_has_a_section_with_an_example() -> None:
    sections = re.split(r"^### ", written(), flags=re.MULTILINE)[1:]
    by_name = {section.partition("\n")[0]: section for section in sections}
    assert set(by_name) >= set(PRESETS)
    for name in PRESETS:
        for part in ("```text", "inputs", "**Law.**", "**Source.**", "**Needs.**"):
            assert part in by_name[name], (name, part)


def test_links_within_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.+)$", written(), re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", written())) <= anchors


def test_lines_of_examples_fit_a_page() -> None:
    blocks = re.findall(r"```text\n(.*?)```", written(), re.DOTALL)
    assert max(len(line) for block in blocks for line in block.splitlines()) <= 92
