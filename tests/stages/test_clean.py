from __future__ import annotations

import re
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask.schemas.job import Clean
from premask.schemas.records import DOCUMENTS, TARGETED_DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.clean import clean_documents, follow
from premask.stages.clean_columns import without_controls


def cleaned(*texts: str, batch: int = 2, **options: Any) -> tuple[list[str], Ledger]:
    ledger = Ledger(unit="a:0", documents_read=len(texts))
    rows = [{"document_id": f"d{i}", "position": i, "text": t} for i, t in enumerate(texts)]
    batches = (
        pa.RecordBatch.from_pylist(rows[start : start + batch], schema=DOCUMENTS)
        for start in range(0, len(rows), batch)
    )
    kept: list[str] = []
    for result in clean_documents(Clean(**options))(batches, ledger):
        assert result.schema.equals(DOCUMENTS)
        assert result.num_rows > 0
        kept += result.column("text").to_pylist()
    assert ledger.documents_kept == len(kept)
    return kept, ledger


def reasons(ledger: Ledger) -> list[tuple[str, str]]:
    return [(record["document_id"], record["reason"]) for record in ledger.rejected]


def test_line_ends_become_line_feeds_and_other_controls_go() -> None:
    kept, _ = cleaned("a\r\nb\rc\x0bd\x0ce\x85f\tg\x00h\x7fi\x9fj\n")
    assert kept == ["a\nb\nc\nd\ne\nf\tghij\n"]


def test_control_characters_may_stay() -> None:
    kept, _ = cleaned("a\r\nb\x00", control_characters="keep")
    assert kept == ["a\r\nb\x00"]


def by_characters(text: str) -> str:
    """The law, character by character."""
    text = re.sub("\r\n|[\r\x0b\x0c\x85]", "\n", text)
    return re.sub("[\x00-\x08\x0e-\x1f\x7f-\x9f]", "", text)


@settings(deadline=None)
@given(
    texts=st.lists(
        st.text(
            st.sampled_from("\r\r\n\n\x0b\x0c\x85\x00\x07\x7f\x84\x86\x9f\xa0\x80\tab é中😀")
        ),
        min_size=1,
        max_size=8,
    ),
    skipped=st.integers(0, 3),
)
def test_columns_are_cleaned_as_their_characters_are(texts: list[str], skipped: int) -> None:
    column = pa.array(texts, pa.large_string()).slice(min(skipped, len(texts) - 1))
    ours = without_controls(column)
    ours.validate(full=True)
    assert ours.to_pylist() == [by_characters(text) for text in column.to_pylist()]


@settings(deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from("\r\n\x85\x00 \u3000\x1cab.é"), max_size=6), min_size=1
    ),
    blank=st.text(st.sampled_from("\n \u3000é")),
    spread=st.sampled_from([0, 0, 10, 50, 90]),
    least=st.integers(0, 4) | st.integers(0, 300),
)
def test_the_same_documents_stay_one_by_one(
    texts: list[str], blank: str, spread: int, least: int
) -> None:
    texts += [spread * blank + text * spread + blank * spread for text in texts]
    plain = [by_characters(text) for text in texts]
    expected = [t for t in plain if t.strip() and len(t.strip()) >= least]
    assert cleaned(*texts, min_characters=least)[0] == expected


def test_other_invisible_characters_are_text() -> None:
    text = "zero\u200bwidth \ufeff \u2028 \u202e"
    assert cleaned(text)[0] == [text]


@pytest.mark.parametrize(
    ("form", "expected"), [("none", "e\u0301ﬁ"), ("NFC", "éﬁ"), ("NFKC", "éfi")]
)
def test_the_normal_form_is_the_one_asked_for(form: str, expected: str) -> None:
    assert cleaned("e\u0301ﬁ", unicode=form)[0] == [expected]


def test_empty_and_short_documents_are_rejected_with_their_reason() -> None:
    kept, ledger = cleaned("", " \n\u3000\t", "\x00\x01", " four ", "fives", min_characters=5)
    assert kept == ["fives"]
    assert reasons(ledger) == [
        ("d0", "empty"),
        ("d1", "empty"),
        ("d2", "empty"),
        ("d3", "too_short"),
    ]


def test_empty_documents_go_whatever_the_minimum_is() -> None:
    assert cleaned("", "a", min_characters=0)[0] == ["a"]


def test_repeats_go_across_batches_when_asked() -> None:
    texts = ["a", "b", "a", "a\x00", "c", "b"]
    kept, ledger = cleaned(*texts, drop_duplicates=True)
    assert kept == ["a", "b", "c"]
    assert [reason for _, reason in reasons(ledger)] == ["duplicate"] * 3
    assert cleaned(*texts)[0] == ["a", "b", "a", "a", "c", "b"]


def test_a_batch_without_survivors_is_left_out() -> None:
    kept, _ = cleaned("", "", "x", "y")
    assert kept == ["x", "y"]


def test_documents_of_few_words_are_rejected() -> None:
    kept, ledger = cleaned("one two", " one\ntwo  three ", "one two three four", min_words=3)
    assert kept == [" one\ntwo  three ", "one two three four"]
    assert reasons(ledger) == [("d0", "too_short")]
    assert ledger.rejected[0]["detail"] == "2 words, at least 3 are asked"


@pytest.mark.parametrize(
    ("text", "is_title"),
    [
        ("Anarchism", True),
        ("\n  Battle of Hastings \n\n", True),
        ("He said so.", False),
        ('"He said so."', False),
        ("名前はまだ無い。", False),
        ("Really?", False),
        ("Title\n\nAnd its text", False),
        ("Contents:", False),
    ],
)
def test_stubs_are_single_lines_that_end_no_sentence(text: str, is_title: bool) -> None:
    kept, ledger = cleaned(text, drop_stubs=True)
    assert kept == ([] if is_title else [text])
    assert reasons(ledger) == ([("d0", "stub")] if is_title else [])


def test_titles_stay_unless_it_is_asked() -> None:
    assert cleaned("Anarchism")[0] == ["Anarchism"]


def test_ftfy_mends_what_was_decoded_wrongly_and_nothing_else() -> None:
    broken = "schÃ¶n"
    same = "“curly” ﬁne ＡＢＣ e\u0301"
    assert cleaned(broken, same, unicode="ftfy")[0] == ["schön", "“curly” ﬁne ＡＢＣ é"]


def test_ftfy_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(RequestError, match=r"pip install ftfy.* at clean\.unicode"):
        clean_documents(Clean(unicode="ftfy"))


def test_repeats_that_were_found_before_are_followed() -> None:
    rows = [{"document_id": f"d{i}", "position": i, "text": t} for i, t in enumerate("a bac")]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)
    ledger = Ledger(unit="a:0")
    stage = clean_documents(Clean(drop_duplicates=True), follow([0, 3]))
    (result,) = stage(iter([batch]), ledger)
    # Documents are counted without those that were rejected before.
    assert result.column("text").to_pylist() == ["b", "a"]
    assert reasons(ledger) == [("d0", "duplicate"), ("d1", "empty"), ("d4", "duplicate")]


def test_a_target_is_cleaned_as_its_text_is() -> None:
    rows = [
        {"document_id": "d0", "position": 0, "text": "a\r\nb", "target": "e\u0301\x00"},
        {"document_id": "d1", "position": 1, "text": "a", "target": " \n"},
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=TARGETED_DOCUMENTS)
    ledger = Ledger(unit="a:0")
    (result,) = clean_documents(Clean(unicode="NFC"))(iter([batch]), ledger)
    assert result.schema.equals(TARGETED_DOCUMENTS)
    assert result.to_pylist() == [
        {"document_id": "d0", "position": 0, "text": "a\nb", "target": "é"}
    ]
    assert ledger.rejected[0]["detail"] == "the target holds nothing but white space"
