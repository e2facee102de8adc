"""The page on the loader: its snippets run, and the examples that it names exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import premask
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "loader.md").read_text(encoding="utf-8")
SNIPPETS = [
    code for code in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "s3:" not in code
]


@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippets_of_the_page_run(code: str, small_set: Path, shards: premask.ShardSet) -> None:
    names: dict[str, Any] = {"premask": premask, "first": shards, "second": shards}
    code = code.replace('"out/"', repr(str(small_set)))
    exec(compile(code, "docs/loader.md", "exec"), names)
    loaders = [x for x in names.values() if isinstance(x, premask.Loader)]
    assert loaders
    assert all(len(loader) >= 1 for loader in loaders)


def test_examples_on_the_page_exist() -> None:
    named = re.findall(r"`(examples/\w+\.py)`", PAGE)
    assert len(named) == 10
    assert all((ROOT / name).is_file() for name in named)
