from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
import spacy
from premask._errors import RequestError
from premask.stages.gazetteer import (
    Name,
    TokenSpan,
    find_names,
    gazetteer_info,
    merge,
    phrase_matcher,
    read_gazetteer,
)


def names(folder: Path, file: str, content: str) -> list[tuple[str, str]]:
    path = folder / file
    data = content.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if file.endswith(".gz") else data)
    return [(name.text, name.label) for name in read_gazetteer(str(path))]


def test_text_has_a_name_on_every_line(tmp_path: Path) -> None:
    content = "\ufeffNew_York\n\n  Rome \r\nRome\n"
    assert names(tmp_path, "x.txt", content) == [("New York", "NAME"), ("Rome", "NAME")]


def test_a_table_has_names_and_labels_behind_an_optional_identifier(tmp_path: Path) -> None:
    content = (
        "Rome\tPLACE\nQ90\tParis\tPLACE\n/m/0k8z\tApple\nhttp://w.org/x\tUlm\tCITY\tmore\n"
    )
    assert names(tmp_path, "x.tsv", content) == [
        ("Rome", "PLACE"),
        ("Paris", "PLACE"),
        ("Apple", "NAME"),
        ("Ulm", "CITY"),
    ]


def test_json_lines_are_names_or_patterns_of_spacy(tmp_path: Path) -> None:
    content = '{"name": "Rome", "label": "PLACE"}\n{"label": "ORG", "pattern": "Apple"}\n'
    assert names(tmp_path, "x.jsonl", content) == [("Rome", "PLACE"), ("Apple", "ORG")]


def test_files_may_be_compressed(tmp_path: Path) -> None:
    assert names(tmp_path, "x.txt.gz", "Rome\n") == [("Rome", "NAME")]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("x.csv", "a,b", "unknown kind of gazetteer 'x.csv'; allowed are .txt"),
        ("x.jsonl", '{"name": "a"}\nnot json', "not JSON.*x.jsonl:2"),
        ("x.jsonl", '{"pattern": [{"LOWER": "a"}]}', "expected an object with strings"),
        ("x.jsonl", "[1]", "expected an object with strings"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    tmp_path: Path, file: str, content: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        names(tmp_path, file, content)


@pytest.mark.parametrize("file", ["x.txt", "x.txt.gz"])
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="expected UTF-8 text"):
        read_gazetteer(str(tmp_path / file))


def test_an_absent_file_is_refused() -> None:
    with pytest.raises(RequestError, match=r"cannot read the gazetteer 'none\.txt'"):
        gazetteer_info("none.txt")


def test_names_are_found_as_whole_tokens_with_their_case() -> None:
    nlp = spacy.blank("en")
    entries = [Name("New York", "PLACE"), Name("York", "NAME")]
    codes = {nlp.vocab.strings.add("PLACE"): 1, nlp.vocab.strings.add("NAME"): 2}
    doc = nlp("New York, Yorkshire and new york.")
    assert sorted(find_names(phrase_matcher(nlp, entries), doc, codes)) == [
        (0, 2, 1),
        (1, 2, 2),
    ]


def slow_merge(model: list[TokenSpan], listed: list[TokenSpan]) -> list[TokenSpan]:
    """The rule, read aloud."""
    kept: list[TokenSpan] = []
    waiting = [(span, 0) for span in model] + [(span, 1) for span in listed]
    while waiting:
        best = min(waiting, key=lambda x: (x[0][0] - x[0][1], x[1], x[0][0], x[0][2]))
        kept.append(best[0])
        waiting = [x for x in waiting if x[0][1] <= best[0][0] or best[0][1] <= x[0][0]]
    return sorted(kept)


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_span_wins_then_the_models_then_the_leftmost(seed: int) -> None:
    rng = random.Random(seed)

    def some(count: int) -> list[TokenSpan]:
        starts = [rng.randrange(30) for _ in range(count)]
        return [(start, start + rng.randint(1, 5), rng.randint(1, 3)) for start in starts]

    model = slow_merge(some(8), [])
    listed = some(25)
    assert merge(model, listed) == slow_merge(model, listed)
