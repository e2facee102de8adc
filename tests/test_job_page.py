"""`docs/job.md` says what the models of the job file say."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from premask.pipeline.load import load_job

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "job.md").read_text(encoding="utf-8")
MODELS = (
    *("sources.0.", "clean.", "annotate.", "rows.", "rows.fill_in_middle."),
    *("collocations.", "shards."),
)


def test_the_page_is_in_step_with_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, "make_job", raising=False)
    assert importlib.import_module("make_job").page() == PAGE, "run python docs/make_job.py"


@pytest.mark.parametrize("prefix", MODELS)
def test_every_part_of_a_job_has_its_table(prefix: str) -> None:
    assert re.search(rf"^\| `{re.escape(prefix)}\w+` \|", PAGE, re.MULTILINE)


def test_the_job_of_the_page_is_valid(tmp_path: Path) -> None:
    match = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    job = tmp_path / "job.yaml"
    job.write_text(match[1], encoding="utf-8")
    assert len(load_job(job, []).sources) == 2


def test_every_default_of_the_page_is_accepted_by_set(tmp_path: Path) -> None:
    """What a table shows as a default can be typed as it stands."""
    rows = re.findall(r"^\| `([\w.]+)` \| [^|]* \| `([^`]+)` \|", PAGE, re.MULTILINE)
    together = ("rows.fill_in_middle.", "annotate.", "collocations.")
    job = tmp_path / "job.yaml"
    job.write_text("{sources: [{path: a.txt}], output: out, tokenizer: t.json}")
    assert len(rows) > 30
    for prefix in ("", *together):
        mine = [
            f"{key}={value}"
            for key, value in rows
            if key.startswith(prefix) and (prefix or not key.startswith(together))
        ]
        assert load_job(job, mine).output == "out"
