"""Sentences by punctuation alone."""

from __future__ import annotations

import gzip
import time
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.schemas.job import Annotate
from premask.schemas.records import ANNOTATIONS, DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.annotate import annotator_info, make_annotator, track_names
from premask.stages.sentence_rules import RuleAnnotator, sentence_starts


def sentences(text: str) -> list[str]:
    starts = sentence_starts(text)
    return [text[start:end].strip() for start, end in pairwise([*starts, len(text)])]


@pytest.mark.parametrize(
    "found",
    [
        ["It rained.", "We stayed in.", "Did you?", "No!"],
        ['He said "Go away." and left.', "“Why?” she asked.", "(It was late.)", "We slept."],
        ["Dr. J. R. Smith of the U.S. Army met Mr. Ng at 5 p.m. in St. Ives.", "They talked."],
        ["See Fig. 3, e.g. the curve of version 2.5.", "It rises."],
        ["Wait... what was that?", "Nothing…", "Really?!", "Yes."],
        ["So did I.", "He left."],
    ],
)
def test_english_sentences(found: list[str]) -> None:
    assert sentences(" ".join(found)) == found


@pytest.mark.parametrize(
    "found",
    [
        ["吾輩は猫である。", "名前はまだ無い。"],
        ["他说：“你好！”", "然后他走了。"],
        ["यह एक वाक्य है।", "यह दूसरा है।"],
        ["هل أنت هنا؟", "نعم."],
        ["Это дом.", "Он стар."],
    ],
)
def test_sentences_of_other_scripts(found: list[str]) -> None:
    text = ("" if "。" in found[0] + found[1] else " ").join(found)
    assert sentences(text) == found


def test_a_line_end_alone_ends_nothing_and_a_blank_line_does() -> None:
    assert sentences("A wrapped\nline. And\nanother one") == [
        "A wrapped\nline.",
        "And\nanother one",
    ]
    assert sentences("A title\n \nthe text goes on") == ["A title", "the text goes on"]


def test_a_text_begins_with_its_first_letter() -> None:
    assert sentence_starts("  \n Hi. You.") == [4, 8]
    assert sentence_starts(" \n") == []
    assert sentence_starts("") == []


@given(st.text("aA. \n\"'!?。", max_size=60))
def test_starts_rise_and_stand_on_characters(text: str) -> None:
    starts = sentence_starts(text)
    assert starts == sorted(set(starts))
    assert all(not text[start].isspace() for start in starts)
    assert bool(starts) == bool(text.strip())
    # Nothing is lost between sentences but white space.
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "text", ["." * 300_000, '!"' * 150_000, "\n " * 150_000, "a. " * 100_000, "。」" * 150_000]
)
def test_time_grows_with_the_text_alone(text: str) -> None:
    start = time.perf_counter()
    sentence_starts(text)
    assert time.perf_counter() - start < 5


def test_sentences_of_a_novel_are_of_a_novels_length(shared_small: Path) -> None:
    path = shared_small / "books" / "en" / "Doyle_Hound_1902.txt.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    words = [len(sentence.split()) for sentence in sentences(text)]
    assert 12 < sum(words) / len(words) < 20
    assert max(words) < 200


def documents(*texts: str) -> pa.RecordBatch:
    rows = [{"document_id": str(i), "position": i, "text": x} for i, x in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)


def test_the_annotator_gives_the_column_of_sentence_starts() -> None:
    annotator = make_annotator(Annotate(pipeline="premask/rules", tracks=("sentences",)))
    assert isinstance(annotator, RuleAnnotator)
    (batch,) = annotator([documents("One. Two.", "Three.")], Ledger(unit="u"))
    assert batch.column("sentence_starts").to_pylist() == [[0, 5], [0]]
    assert batch.schema.field("sentence_starts").type == ANNOTATIONS["sentence_starts"]


def test_rules_find_nothing_but_sentences() -> None:
    for tracks in (("sentences", "pos"), ("entities",)):
        with pytest.raises(RequestError, match=r"nothing else.*annotate\.tracks"):
            track_names(Annotate(pipeline="premask/rules", tracks=tracks))
    settings = Annotate(pipeline="premask/rules", tracks=("sentences",), gazetteers=("a.txt",))
    with pytest.raises(RequestError, match=r"annotate\.gazetteers"):
        make_annotator(settings)


def test_the_manifest_gets_name_version_and_hash_of_the_rules() -> None:
    info = annotator_info(Annotate(pipeline="premask/rules", tracks=("sentences",)))
    assert (info["name"], info["version"], len(info["sha256"])) == ("premask/rules", "1", 64)
