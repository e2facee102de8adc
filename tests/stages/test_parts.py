"""Lines, pairs and rearranged documents as they are tokenized."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import RequestError
from premask._format import Boundary
from premask.schemas.job import Rows
from premask.schemas.records import DOCUMENTS, TARGETED_DOCUMENTS
from premask.schemas.rows import FillInMiddle
from premask.schemas.unit import Ledger
from premask.stages.parts import divider, lines, pairs, sentinel_ids
from premask.stages.row_identity import RowIdentity
from premask.stages.tokenize import tokenize
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

IDENTITY = RowIdentity(job_seed=7, unit_name="a.txt", unit_start=0)
LETTERS = "abcdefghijklmnopqrstuvwxyz ."
PRE, SUF, MID = range(len(LETTERS), len(LETTERS) + 3)
FIM = FillInMiddle(sentinels=("<pre>", "<suf>", "<mid>"))


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> LoadedTokenizer:
    """One token per character, so that a text can be read off its tokens."""
    names = [*LETTERS, *FIM.sentinels, "?"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens([*FIM.sentinels])
    path = tmp_path_factory.mktemp("letters") / "tokenizer.json"
    tokenizer.save(str(path))
    return load_tokenizer(str(path))


def documents(*texts: str, targets: list[str] | None = None) -> pa.RecordBatch:
    rows: list[dict[str, Any]] = [
        {"document_id": f"d{i}", "position": 10 * i, "text": text}
        for i, text in enumerate(texts)
    ]
    for row, target in zip(rows, targets or [], strict=bool(targets)):
        row["target"] = target
    schema = TARGETED_DOCUMENTS if targets else DOCUMENTS
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def tokens_of(
    tokenizer: LoadedTokenizer, batch: pa.RecordBatch, **rows: Any
) -> tuple[list[dict[str, Any]], Ledger]:
    ledger = Ledger(unit="u")
    divide = divider(Rows(**rows), tokenizer, IDENTITY)
    found = tokenize([batch], tokenizer, ledger, divide)
    return [row for tokens in found for row in tokens.to_pylist()], ledger


def spelled(ids: list[int]) -> str:
    return "".join(LETTERS[i] if i < len(LETTERS) else f"<{i}>" for i in ids)


@given(st.lists(st.text("ab \n", max_size=30), min_size=1, max_size=5))
def test_lines_are_those_of_the_text_without_the_blank_ones(texts: list[str]) -> None:
    divided = lines(documents(*texts))
    found = divided.texts.to_pylist()
    assert divided.starts_P is not None
    for number, text in enumerate(texts):
        part = slice(*divided.splits[number : number + 2].tolist())
        wanted = [line for line in text.split("\n") if line.strip()]
        assert found[part] == (wanted or [""])
        for start, line in zip(divided.starts_P[part].tolist(), wanted, strict=False):
            assert text[start : start + len(line)] == line


def test_every_line_is_tokenized_by_itself(letters: LoadedTokenizer) -> None:
    rows, _ = tokens_of(letters, documents("ab\n\nc d\n", "e"), arrangement="lines")
    assert [(spelled(row["input_ids"]), row["parts"]) for row in rows] == [
        ("abc d", [2, 3]),
        ("e", [1]),
    ]
    assert [bits & Boundary.DOCUMENT_START for bits in rows[0]["boundaries"]] == [8, 0, 0, 0, 0]


def test_a_document_of_blank_lines_has_no_tokens(letters: LoadedTokenizer) -> None:
    rows, ledger = tokens_of(letters, documents("\n \n", "a"), arrangement="lines")
    assert [row["document_id"] for row in rows] == ["d1"]
    assert [(r["document_id"], r["reason"]) for r in ledger.rejected] == [("d0", "no_tokens")]


def test_a_target_follows_its_text(letters: LoadedTokenizer) -> None:
    batch = documents("ab", "cde", targets=["xyz", "w"])
    assert pairs(batch).texts.to_pylist() == ["ab", "xyz", "cde", "w"]
    rows, _ = tokens_of(letters, batch, arrangement="pairs")
    assert [(spelled(row["input_ids"]), row["parts"]) for row in rows] == [
        ("abxyz", [2, 3]),
        ("cdew", [3, 1]),
    ]


def test_a_pair_needs_tokens_on_both_sides(letters: LoadedTokenizer) -> None:
    rows, ledger = tokens_of(
        letters, documents("ab", "cd", "", targets=["", "e", "f"]), arrangement="pairs"
    )
    assert [row["document_id"] for row in rows] == ["d1"]
    assert [record["document_id"] for record in ledger.rejected] == ["d0", "d2"]
    assert "text or the target" in ledger.rejected[0]["detail"]


def undone(ids: list[int]) -> str:
    """The text that was rearranged."""
    text = spelled(ids)
    if not text.startswith(f"<{PRE}>"):
        return text
    if text.startswith(f"<{PRE}><{SUF}>"):
        suffix, rest = text.removeprefix(f"<{PRE}><{SUF}>").split(f"<{MID}>")
        return rest + suffix
    prefix, rest = text.removeprefix(f"<{PRE}>").split(f"<{SUF}>")
    suffix, middle = rest.split(f"<{MID}>")
    return prefix + middle + suffix


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(st.text(LETTERS, min_size=1, max_size=20), min_size=1, max_size=8))
def test_rearranged_documents_can_be_put_in_order_again(
    letters: LoadedTokenizer, texts: list[str]
) -> None:
    rows, _ = tokens_of(letters, documents(*texts), fill_in_middle=FIM)
    assert [undone(row["input_ids"]) for row in rows] == texts


def rearranged(letters: LoadedTokenizer, **options: Any) -> list[list[int]]:
    settings_ = FillInMiddle(sentinels=FIM.sentinels, **options)
    rows, _ = tokens_of(letters, documents(*["abcdefgh"] * 4000), fill_in_middle=settings_)
    return [row["input_ids"] for row in rows]


def share(hits: int, total: int, expected: float) -> bool:
    error = float((expected * (1 - expected) / total) ** 0.5)
    return abs(hits / total - expected) < 5 * error


def test_the_shares_are_those_asked_for(letters: LoadedTokenizer) -> None:
    found = rearranged(letters, rate=0.3, suffix_first=0.25)
    moved = [ids for ids in found if PRE in ids]
    assert share(len(moved), len(found), 0.3)
    # The suffix follows at once, too, where the prefix is empty: one cut of two at place 0.
    assert share(sum(ids[1] == SUF for ids in moved), len(moved), 0.25 + 0.75 * 17 / 81)


def test_cuts_are_uniform_between_characters(letters: LoadedTokenizer) -> None:
    found = rearranged(letters, rate=1.0, suffix_first=0.0)
    cuts: Counter[tuple[int, int]] = Counter()
    for ids in found:
        low = ids.index(SUF) - 1
        cuts[low, low + len(ids) - ids.index(MID) - 1] += 1
    # Two independent places of nine: unequal pairs twice as often as equal ones.
    expected = {
        (low, high): (1 if low == high else 2) * len(found) / 81
        for low in range(9)
        for high in range(low, 9)
    }
    assert cuts.keys() == expected.keys()
    chi_square = sum((cuts[pair] - n) ** 2 / n for pair, n in expected.items())
    assert chi_square < 44 + 5 * 88**0.5


def test_sentinels_are_special_and_what_follows_them_begins_a_word(
    letters: LoadedTokenizer,
) -> None:
    rows, _ = tokens_of(
        letters,
        documents("abc def"),
        fill_in_middle=FillInMiddle(rate=1, sentinels=FIM.sentinels),
    )
    ids, bits = rows[0]["input_ids"], rows[0]["boundaries"]
    special = [i for i, token in enumerate(ids) if token in (PRE, SUF, MID)]
    assert [i for i, bit in enumerate(bits) if bit & Boundary.SPECIAL] == special
    text = [bit for bit in bits if not bit & Boundary.SPECIAL]
    assert text[0] & Boundary.DOCUMENT_START
    for i in special:
        if i + 1 < len(ids) and i + 1 not in special:
            assert bits[i + 1] & Boundary.WORD_START


def test_draws_belong_to_the_place_of_a_document(letters: LoadedTokenizer) -> None:
    texts = [f"{'abcdefgh' * 3}" for _ in range(40)]
    batch = documents(*texts)
    whole, _ = tokens_of(letters, batch, fill_in_middle=FIM)
    apart = [
        row
        for number in range(40)
        for row in tokens_of(letters, batch.slice(number, 1), fill_in_middle=FIM)[0]
    ]
    assert whole == apart
    assert len({tuple(row["input_ids"]) for row in whole}) > 10


def test_sentinels_that_a_tokenizer_lacks_are_refused(letters: LoadedTokenizer) -> None:
    assert sentinel_ids(FIM, letters) == (PRE, SUF, MID)
    for names in (("<pre>", "<suf>", "<none>"), ("<pre>", "<pre>", "<mid>")):
        with pytest.raises(RequestError, match=r"three tokens .*fill_in_middle\.sentinels"):
            sentinel_ids(FillInMiddle(sentinels=names), letters)


def test_lengths_of_parts_add_up_on_real_text(
    shared_small: Path,
) -> None:
    tokenizer = load_tokenizer(str(shared_small / "tokenizers" / "t5-small"))
    text = (shared_small / "books" / "bert-sample_text.txt").read_text()
    rows, _ = tokens_of(tokenizer, documents(text), arrangement="lines")
    wanted = [
        tokenizer.encoder.encode(line, add_special_tokens=False).ids
        for line in text.split("\n")
        if line.strip()
    ]
    assert rows[0]["parts"] == [len(ids) for ids in wanted]
    assert rows[0]["input_ids"] == [token for ids in wanted for token in ids]
    assert np.sum(rows[0]["parts"]) == len(rows[0]["input_ids"])
