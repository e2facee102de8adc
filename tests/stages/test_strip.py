from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages import strip
from premask.stages.strip import plain_text, strip_wikitext
from premask.stages.wikitext import without_blocks

from tests.stages.read.reading import read_source


def text_of(wikitext: str) -> str:
    return plain_text(wikitext, Counter())


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("plain text", "plain text"),
        ("'''Bold''', ''italic'' and '''''both'''''", "Bold, italic and both"),
        ("[[Target]] and [[Target|shown '''text''']]", "Target and shown text"),
        ("[[Foo (bar)|]] and [[:Category:Foo]]", "Foo and Category:Foo"),
        ("a[[w:Foo (bar)|]]s", "aFoos"),
        ("[[File:A.jpg|thumb|a [[link]] in a caption]]text", "text"),
        ("[[Datei:A.jpg|mini]][[Файл:A|x]][[ファイル:A]][[Category:B]][[תצנ:x.svg|9px]]t", "t"),
        ("text\n[[de:Anderes]]\n[[zh-min-nan:X]]", "text"),
        ("{{Infobox|a={{b|[[c]]}}\n|d=e}}text {{{arg|x}}}end", "text end"),
        ("one<ref name=a>note {{cite}}</ref> two<ref name=a/> three", "one two three"),
        ("a <math>\\frac{{a}}{b}}</math> b", "a b"),
        ("a<!-- hidden {{ -->b", "ab"),
        ("<gallery>\nFile:A.jpg|x\n</gallery>\ntext", "text"),
        ("a\n{| class=x\n! h\n|-\n| {{a}} || [[b]]\n{|\n| inner\n|}\n|}\nb", "a\n\nb"),
        ("* one\n** two\n# three\n; term : def\n: said", "one\ntwo\nthree\nterm : def\nsaid"),
        ("[http://a.org shown] [http://a.org] http://b.org", "shown http://b.org"),
        ("AT&amp;T &ndash; 3&nbsp;km &#x41; &lt;b&gt;", "AT&T – 3\xa0km A <b>"),
        ("__NOTOC__ __INHALTSVERZEICHNIS__ text __x_y__", "text __x_y__"),
        ("<div style='x'>a<br/>b</div> H<sub>2</sub>O <unknown>", "a\nb\nH2O <unknown>"),
        ("<nowiki>[[not a link]] {{x}}</nowiki> <code>[[x]]</code>", "[[not a link]] {{x}} x"),
        ("A ({{IPA|x}}; {{audio}}, ) is a city ({{lang|fr}}, x).", "A is a city (x)."),
        ("unclosed {{ and [[ end", "unclosed and end"),
        ("Paris (France) est belle : oui !", "Paris (France) est belle : oui !"),
        ("if a < b and c > d", "if a < b and c > d"),
        ("-{zh-hans:联邦州; zh-hant:邦}-之一-{T|x}- -{plain}-", "联邦州之一 plain"),
    ],
)  # fmt: skip
def test_markup_becomes_text(wikitext: str, expected: str) -> None:
    assert text_of(wikitext) == expected


def test_headings_stay_as_lines_unless_their_section_is_empty() -> None:
    wikitext = (
        "lead\n== Full ==\nbody\n=== Empty ===\n{{x}}\n== Parent ==\n=== Child ===\ntext\n"
        "== References ==\n<references/>\n== See ==\n* [[a]]\n== End =="
    )
    assert text_of(wikitext) == "lead\n\nFull\nbody\n\nParent\n\nChild\ntext\n\nSee\na"


def test_blank_lines_are_joined() -> None:
    assert text_of("\n\n\na\n\n\n\n{{x}}\n\nb\nc\n\n") == "a\n\nb\nc"


PATHOLOGICAL = [
    "{{" * 20_000 + "x" + "}}" * 20_000, "{{" * 50_000, "{|\n" * 5_000, "[[a|" * 20_000,
    "<ref>" * 20_000, "<b>" * 20_000, "[http://a " * 20_000, "'''''a " * 20_000,
    "<!--" * 20_000, ":" * 50_000, "=" * 50_000, "{{{a|" * 20_000, "<nowiki>" * 20_000,
    "{{a|[[b|<i>''" * 5_000, '<span a="' * 10_000, "\n==a [[b " * 10_000, "-{" * 20_000,
    "{|\n|a\n" * 3_000, "&" * 50_000, "[[a]] " * 20_000, "'''[http://a " * 5_000,
    "<" * 50_000, "<a b" * 20_000, "(" * 50_000, "( " * 50_000, " " * 100_000, "_" * 50_000,
    "[[" * 9_000 + "x" + "]]" * 9_000, "'" * 50_000,
]  # fmt: skip


@pytest.mark.parametrize("wikitext", PATHOLOGICAL, ids=lambda text: repr(text[:12]))
def test_pathological_markup_takes_bounded_time(wikitext: str) -> None:
    start = time.process_time()
    text_of(wikitext)
    assert time.process_time() - start < 10


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{{{", "}}}", "[[", "]]", "[[File:", "|", "{|", "|}", "\n", "<ref>",
             "</ref>", "<!--", "-->", "''", "'''", "==", "a", " b ", "<nowiki>", "</nowiki>",
             "<br>", "[http://x y]", "&lt;", "*", "<math>", "</math>", "-{", "}-", "\x01"]
        ),
        max_size=40,
    ).map("".join)
)  # fmt: skip
@example("-{}}{|")
@example("a }{{b}}} c")
@example("{</ref>{|</math>a")
def test_any_markup_gives_text_without_brackets_of_blocks(wikitext: str) -> None:
    text = text_of(wikitext)
    assert "\x01" not in text
    if "nowiki" not in wikitext:  # what stands there is text, brackets and all
        assert "[[File:" not in text
        assert "{{" not in without_blocks(wikitext)


def test_a_long_line_of_wild_markup_falls_back_to_patterns() -> None:
    counters: Counter[str] = Counter()
    line = "[http://x.org [[A|shown]] &amp; '''bold''' " * 500
    text = plain_text(line, counters)
    assert counters["markup_fallbacks"] == 1
    assert "shown & bold" in text


def batch_of(*texts: str) -> pa.RecordBatch:
    rows = [{"document_id": f"{i}", "position": i, "text": t} for i, t in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)


def test_the_stage_keeps_ids_and_places() -> None:
    ledger = Ledger(unit="a:0", documents_read=2)
    (batch,) = strip_wikitext()(iter([batch_of("'''a'''", "{{b}}")]), ledger)
    assert batch.to_pylist() == batch_of("a", "").to_pylist()
    assert batch.schema.equals(DOCUMENTS)


def test_a_page_that_defeats_the_parser_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    def defeated(wikitext: str, _counters: Counter[str]) -> str:
        if wikitext == "bad":
            raise RecursionError("too deep")
        return wikitext

    monkeypatch.setattr(strip, "plain_text", defeated)
    ledger = Ledger(unit="a:0", documents_read=2)
    (batch,) = strip_wikitext()(iter([batch_of("bad", "good")]), ledger)
    assert batch.column("text").to_pylist() == ["good"]
    assert [(r["document_id"], r["reason"]) for r in ledger.rejected] == [("0", "bad_markup")]


LANGUAGES = "am ar de el en es fr he hi ja ko my ru simple th tr vi yi zh".split()  # noqa: SIM905


@pytest.mark.parametrize("language", LANGUAGES)
def test_real_articles_lose_their_markup_and_keep_their_prose(
    shared_small: Path, language: str
) -> None:
    corpus = read_source(shared_small / "dump" / "minidumps" / f"{language}wiki.xml.bz2")
    pages = corpus.texts[:6]
    text = "\n".join(text_of(page) for page in pages)
    for markup in ("{{", "}}", "[[", "]]", "<ref", "''", "{|", "__NOTOC__", "&nbsp;"):
        assert markup not in text
    assert not re.search(r"^[ \t]*(\||!|\*|==)", text, re.MULTILINE)
    assert not re.search(r"\.(jpg|JPG|svg|png)\b", text)
    assert 0.05 < len(text) / sum(map(len, pages)) < 0.95
