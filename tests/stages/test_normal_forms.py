"""Normal forms by the column are those that `unicodedata` gives."""

from __future__ import annotations

import sys
import unicodedata
from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages.normal_forms import Name, in_doubt, in_normal_form

FORMS: tuple[Name, ...] = get_args(Name)
FIRSTS = ("", "a", "e\u0301", "\u1100", "\uac00", "\u0cc6", "\u0cca", "\U00011131", "\u0327")
# Starters and marks that compose, are reordered, are excluded from composition, or decompose.
ODD = "aeå\u0301\u0327\u0344\u0345\u0958\u0cc6\u0cc2\u0cd5\u1100\u1161\u11a8\uac00\ufb01\u212b"


def column(*texts: str) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("first", FIRSTS)
def test_every_character_behind_another_is_as_python_has_it(name: Name, first: str) -> None:
    characters = map(chr, range(sys.maxunicode + 1))
    texts = [first + c for c in characters if not "\ud800" <= c <= "\udfff"]
    texts = [text for text in texts if not unicodedata.is_normalized(name, text)]
    assert len(texts) > 1000
    assert in_doubt(column(*texts), name).all()
    assert in_normal_form(column(*texts), name).to_pylist() == [
        unicodedata.normalize(name, text) for text in texts
    ]


@settings(deadline=None)
@given(
    texts=st.lists(st.text(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]))),
    name=st.sampled_from(FORMS),
    skipped=st.integers(0, 3),
)
def test_any_texts_are_as_python_has_them(texts: list[str], name: Name, skipped: int) -> None:
    ours = in_normal_form(column(*texts).slice(min(skipped, len(texts))), name)
    ours.validate(full=True)
    assert ours.to_pylist() == [unicodedata.normalize(name, t) for t in texts[skipped:]]


@pytest.mark.parametrize("name", FORMS)
def test_common_text_is_not_looked_at_one_by_one(name: Name) -> None:
    texts = column("naïve “café” – Łódź", "Привет, мир", "名前はまだ無い。", "한국어", "plain")
    assert not in_doubt(texts, name).any()
