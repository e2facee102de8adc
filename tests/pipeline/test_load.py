"""Loading a job: files, overrides, and refusals that name the key."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from premask._errors import RequestError
from premask.pipeline.load import load_job
from premask.schemas.job import Job

JOB = """\
sources:
  - path: corpus/
output: out/
tokenizer: tokenizer.json
rows:
  max_length: 128
"""


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def refusal(path: Path | None, *overrides: str) -> str:
    with pytest.raises(RequestError) as caught:
        load_job(path, overrides)
    return str(caught.value)


def test_a_file_becomes_a_job(job_file: Path) -> None:
    job = load_job(job_file)
    assert isinstance(job, Job)
    assert job.rows.max_length == 128


def test_set_changes_a_nested_key_and_a_list_item(job_file: Path) -> None:
    job = load_job(job_file, ["rows.max_length=64", "sources.0.path=other", "annotate.gpus=1"])
    assert job.rows.max_length == 64
    assert job.sources[0].path == "other"
    assert job.annotate is not None


def test_set_adds_the_next_list_item(job_file: Path) -> None:
    assert load_job(job_file, ["sources.1.path=b"]).sources[1].path == "b"


def test_set_wins_over_values_and_values_over_the_file(job_file: Path) -> None:
    values = {"rows.max_length": 64, "seed": 5}
    job = load_job(job_file, ["seed=6"], values=values)
    assert (job.rows.max_length, job.seed) == (64, 6)


def test_a_job_needs_no_file() -> None:
    values = {"sources": [{"path": "a"}], "output": "o", "tokenizer": "t"}
    assert load_job(None, ["sources.1.path=b"], values=values).sources[1].path == "b"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("rows.max_lenght=3", "did you mean 'max_length'? - at rows.max_lenght"),
        ("rows.max_length=many", "expected a whole number, got 'many' - at rows.max_length"),
        ("rows.max_length=4", "must be at least 8, got 4 - at rows.max_length"),
        ("rows.arrangement=ful", "did you mean 'full'? - at rows.arrangement"),
        ("rows.stride=5", "- at rows.stride"),
        ("rows.min_length=127", "- at rows.min_length"),
        ("sources=[]", "expected at least 1 entry, got none - at sources"),
        ("sources=7", "expected a list, got 7 - at sources"),
        ("sources.0.formt=text", "did you mean 'format'? - at sources.0.formt"),
        ("sources.0.format=wiki", "- at sources.0.format"),
        ("annotate.piepline=x", "did you mean 'pipeline'? - at annotate.piepline"),
        ("unit_bytes=lots", "expected a size such as 32MiB, got 'lots' - at unit_bytes"),
        ("mode=static", "see premask policies - at policy"),
        ("policy=7", "- at policy"),
        ("rows=5", "expected a mapping of keys to values, got 5 - at rows"),
        ("rows.max_length.x=5", "- at --set rows.max_length.x"),
        ("sources.5.path=x", "expected the number of a list item, 0 to 1, got '5'"),
        ("sources.path=x", "got 'path' - at --set sources.path"),
        ("seed", "expected key.path=value, got 'seed'"),
        ("seed=[1", "not YAML"),
        ("zzz=1", "unknown key 'zzz'; allowed: sources, output"),
    ],
)
def test_a_refusal_names_the_key(job_file: Path, override: str, expected: str) -> None:
    message = refusal(job_file, override)
    assert expected in message
    assert "pydantic" not in message


def test_all_wrong_keys_are_told_at_once(job_file: Path) -> None:
    lines = refusal(job_file, "rows.max_length=4", "clean.unicod=NFC").splitlines()
    assert [line.rpartition("- at ")[2] for line in lines] == [
        "clean.unicod",
        "rows.max_length",
    ]


def test_missing_keys_say_what_they_are_for() -> None:
    message = refusal(None, "sources.0.path=x", "output=o")
    assert "the key 'tokenizer' is missing (tokenizer.json" in message
    assert message.endswith("- at tokenizer")


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("sources:\n  - path: a\n output: b\n")
    assert f"{path}, line 3" in refusal(path)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB + "output: again\n")
    assert "the key 'output' stands here twice" in refusal(path)


@pytest.mark.parametrize(
    ("text", "expected"), [("", "is empty"), ("- a\n", "got a list"), ("\xff", "got a str")]
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    assert expected in refusal(path)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "cannot read the job file" in refusal(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is no such job file" in refusal(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "!!timestamp x: 1",
        "output: !!timestamp x",
        "output: 2001-99-99",
        "output: !!float c",
        "output: !!int c",
        "output: !!int ''",
        "output: !!bool c",
        'output: "a\\0b"',
        'output: "\\ud800"',
        "[a]: b",
        "? {a: b}\n: c",
        "output: !!python/object/apply:os.system [ls]",
        "[" * 5000,
        "output: " + "9" * 5000,
        "output: &a [*a]",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join(['*' + m] * 9)}]\n" for m, n in pairwise("abcdefgh")),
    ],
)
def test_yaml_that_is_a_trap_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"{text}\n")
    said = refusal(path)
    assert len(said) < 1000
    assert str(path) in said


@pytest.mark.parametrize("change", ["sources.².path=a", "sources.-1.path=a", "sources.1e5=a"])
def test_a_list_takes_numbers_only(job_file: Path, change: str) -> None:
    assert "number of a list item" in refusal(job_file, change)
