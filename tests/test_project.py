"""The project's own papers: README, packaging, versions, and what must not be in the tree."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import premask
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDERS = {"premask": "loader", "premask.pipeline": "pipeline", "premask.schemas": "schemas"}
FOLDERS["premask.stages"] = "stages"
SAMPLES = [ROOT / "samples" / name for name in ("wiki", "books", "news")]


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _premask(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "premask.pipeline", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "COLUMNS": "200", "NO_COLOR": "1", "HOME": str(Path.home())},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _commands(text: str) -> list[list[str]]:
    """Every `premask` command in the fenced blocks of a Markdown text."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    plain = "".join(block for language, block in fences if not language)
    lines = plain.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("premask ")]


@pytest.mark.parametrize("command", sorted({words[1] for words in _commands(README)}))
def test_commands_of_the_readme_exist_with_their_options(command: str) -> None:
    help_text = _premask(command, "--help")
    options = {
        word.partition("=")[0]
        for words in _commands(README)
        for word in words[2:]
        if words[1] == command and word.startswith("--")
    }
    assert not [option for option in options if option not in help_text]


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= targets
    assert not [t for t in targets if not re.search(rf"^{t}:", makefile, re.MULTILINE)]


def test_links_and_files_of_the_readme_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert not [link for link in links if "//" not in link and not (ROOT / link).exists()]


def test_the_job_file_of_the_readme_is_valid(tmp_path: Path) -> None:
    from premask.pipeline.load import load_job

    match = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert match is not None
    job = tmp_path / "books.yaml"
    job.write_text(match[1], encoding="utf-8")
    assert load_job(job, ["rows.max_length=256"]).rows.max_length == 256


def test_the_policies_of_the_readme_are_valid() -> None:
    calls = re.findall(r"^premask\.policy\(.*\)$", README, re.MULTILINE)
    assert len(calls) >= 2
    for call in calls:
        eval(call, {"premask": premask})


@pytest.mark.slow
def test_the_training_loop_of_the_readme_learns(tmp_path: Path) -> None:
    inputs = [f"--input={folder}" for folder in SAMPLES]
    tokenizer, shards = str(tmp_path / "tokenizer.json"), str(tmp_path / "shards")
    _premask("train-tokenizer", *inputs, "--vocab-size", "2000", "--out", tokenizer, "-q")
    _premask(
        "build", *inputs, "--tokenizer", tokenizer, "--out", shards, "--max-length", "64", "-q"
    )
    match = re.search(r"```python\n(import premask\n.*?)```", README, re.DOTALL)
    assert match is not None
    loop = match[1].replace("out/demo/shards", shards).replace("range(8)", "range(3)")
    done = subprocess.run(
        [sys.executable, "-c", loop], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    losses = [float(value) for value in re.findall(r"loss ([\d.]+)", done.stdout)]
    assert len(losses) == 3
    assert losses[2] < losses[0] - 0.3


def test_every_package_is_listed() -> None:
    listed = set(_project()["tool"]["setuptools"]["packages"])
    found = {
        ".".join([name, *path.parent.relative_to(ROOT / folder).parts])
        for name, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == found


def test_versions_agree() -> None:
    assert premask.__version__ == _project()["project"]["version"]


def test_the_light_package_requires_numpy_and_pyarrow_alone() -> None:
    names = [re.split(r"[<>=]", line)[0] for line in _project()["project"]["dependencies"]]
    assert names == ["numpy", "pyarrow"]


def test_every_requirement_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.\-]+==[0-9][\w.]*", pin)]
    pinned = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    project = _project()["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    wanted = {
        re.split(r"[<>=\[]", line)[0].lower() for line in (*project["dependencies"], *extras)
    }
    assert not wanted - pinned - {"premask"}


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_tree_names_no_place_of_a_machine() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    place = re.compile(r"(?<![\w.])/(?:work|tmp|root|home|opt)/[A-Za-z_]")
    found = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if name.startswith("tests/") or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0]}" for match in place.finditer(text)]
    assert not found


def test_the_sample_corpus_is_what_its_readme_says() -> None:
    articles = (SAMPLES[0] / "articles.txt").read_text(encoding="utf-8")
    assert articles.count("<doc id=") == articles.count("</doc>") == 63
    assert len(list(SAMPLES[1].glob("*.txt"))) == 3
    assert len((SAMPLES[2] / "news.jsonl").read_text(encoding="utf-8").splitlines()) == 15
