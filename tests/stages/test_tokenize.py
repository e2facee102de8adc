from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from premask._format import Boundary
from premask.schemas.records import ANNOTATIONS, DOCUMENTS, TOKENS
from premask.schemas.unit import Ledger
from premask.stages import tokenizer_pieces
from premask.stages.tokenize import tokenize, tokens_schema, tracks_of
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

from tests.stages.vocabularies import real, tiny_bert

Load = Callable[[str], LoadedTokenizer]
FAMILIES = ("bert", "bert-cased", "roberta", "gpt2", "t5")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedTokenizer:
    return tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def load(shared_small: Path) -> Load:
    return cache(lambda name: real(shared_small, name))


@pytest.fixture(scope="module")
def articles(shared_small: Path) -> list[str]:
    """Real documents of several languages."""
    texts = []
    for file in ("en/AA_wiki_00.gz", "de/wiki_00.gz", "zh/AA_wiki_18.gz"):
        data = gzip.decompress((shared_small / "wiki/extracted" / file).read_bytes()).decode()
        texts += [text for text in data.split("</doc>\n") if text.strip()][:40]
    return texts


def documents(
    texts: Sequence[str], annotations: dict[str, list[list[int]]] | None = None
) -> pa.RecordBatch:
    ids = [f"d{i}" for i in range(len(texts))]
    batch = pa.record_batch([ids, list(range(len(texts))), list(texts)], schema=DOCUMENTS)
    for name, rows in (annotations or {}).items():
        column = pa.array(rows, ANNOTATIONS[name])
        batch = batch.append_column(pa.field(name, ANNOTATIONS[name]), column)
    return batch


def run(
    batches: Sequence[pa.RecordBatch], tokenizer: LoadedTokenizer
) -> tuple[list[dict[str, Any]], Ledger]:
    ledger = Ledger(unit="u:0")
    table = list(tokenize(iter(batches), tokenizer, ledger))
    return [row for batch in table for row in batch.to_pylist()], ledger


def flags(row: dict[str, Any], bit: Boundary) -> list[bool]:
    return [bool(bits & bit) for bits in row["boundaries"]]


@pytest.mark.parametrize("name", FAMILIES)
def test_ids_equal_a_plain_encode_of_the_document(
    load: Load, articles: list[str], name: str
) -> None:
    rows, _ = run([documents(articles)], load(name))
    plain = load(name).tokenizer.encode_batch(articles, add_special_tokens=False)
    assert [row["input_ids"] for row in rows] == [encoding.ids for encoding in plain]


@pytest.mark.parametrize("name", ["gpt2", "roberta"])
def test_byte_level_ids_decode_to_the_source(
    load: Load, articles: list[str], name: str
) -> None:
    rows, _ = run([documents(articles)], load(name))
    decoded = [load(name).tokenizer.decode(row["input_ids"]) for row in rows]
    assert decoded == articles


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_ids_decode_to_the_source_up_to_normalisation(load: Load, name: str) -> None:
    texts = ["The cat sat on the mat.", "A big café, and a dog."]
    rows, _ = run([documents(texts)], load(name))
    decoded = [load(name).tokenizer.decode(row["input_ids"]) for row in rows]
    lowered = ["the cat sat on the mat.", "a big cafe, and a dog."]
    assert decoded == (lowered if name == "bert" else texts)


def test_the_first_token_begins_the_document_and_a_word(tiny: LoadedTokenizer) -> None:
    rows, _ = run([documents(["cats ran", "dog"])], tiny)
    assert [flags(row, Boundary.DOCUMENT_START) for row in rows] == [
        [True, False, False],
        [True],
    ]
    assert flags(rows[0], Boundary.WORD_START) == [True, False, True]


def test_batches_of_documents_have_no_influence(tiny: LoadedTokenizer) -> None:
    texts = ["the cat sat", "unhappy", "dogs ran on", "mat."]
    together, _ = run([documents(texts)], tiny)
    apart, _ = run([documents([text]) for text in texts], tiny)
    keys = ("input_ids", "boundaries")
    assert [[r[k] for k in keys] for r in together] == [[r[k] for k in keys] for r in apart]


def test_documents_without_tokens_are_rejected(tiny: LoadedTokenizer) -> None:
    rows, ledger = run([documents(["", "cat", " \n\t"]), documents([" "])], tiny)
    assert [row["document_id"] for row in rows] == ["d1"]
    assert [(r["document_id"], r["position"], r["reason"]) for r in ledger.rejected] == [
        ("d0", 0, "no_tokens"),
        ("d2", 2, "no_tokens"),
        ("d0", 0, "no_tokens"),
    ]


def test_unknown_tokens_are_counted_and_are_text(tiny: LoadedTokenizer) -> None:
    rows, ledger = run([documents(["cat é € cat"])], tiny)
    assert ledger.counters["unknown_tokens"] == 1
    assert rows[0]["input_ids"].count(tiny.vocabulary.unk_id) == 1
    assert not any(flags(rows[0], Boundary.SPECIAL))


def test_the_schema_is_the_one_of_the_records(tiny: LoadedTokenizer) -> None:
    (batch,) = tokenize([documents(["cat"])], tiny, Ledger(unit="u:0"))
    assert batch.schema == TOKENS


def test_nothing_comes_of_nothing(tiny: LoadedTokenizer) -> None:
    assert run([], tiny)[0] == run([documents([])], tiny)[0] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_annotations_become_bits_and_tracks(load: Load, name: str) -> None:
    text = "Ünlü Anna Smith left. She ran."
    spans = {
        "sentence_starts": [[0, 22]],
        "entity_starts": [[5]],
        "entity_ends": [[15]],
        "entity_codes": [[7]],
        "annotated_word_starts": [[0, 5, 10, 16, 20, 22, 26, 29]],
        "annotated_word_ends": [[4, 9, 15, 20, 21, 25, 29, 30]],
        "pos_tags": [[1, 2, 2, 3, 4, 5, 3, 4]],
    }
    loaded = load(name)
    (row,), _ = run([documents([text], spans)], loaded)
    encoding = loaded.tokenizer.encode(text, add_special_tokens=False)
    entity = [i for i, bit in enumerate(flags(row, Boundary.IN_ENTITY)) if bit]
    assert entity == list(range(entity[0], entity[-1] + 1))
    assert row["entity_labels"] == [7 * (i in entity) for i in range(len(encoding.ids))]
    covered = [encoding.offsets[i] for i in entity]
    assert text[min(a for a, _ in covered) : max(b for _, b in covered)].strip() == "Anna Smith"
    assert sum(flags(row, Boundary.ENTITY_START)) == 1
    assert sum(flags(row, Boundary.SENTENCE_START)) == 2
    assert set(row["pos_tags"]) <= {0, 1, 2, 3, 4, 5}
    assert row["input_ids"] == encoding.ids


def test_annotated_and_bare_documents_have_the_same_ids(tiny: LoadedTokenizer) -> None:
    texts = ["the cat sat. dogs ran!", "", "unhappy mats"]
    bare, _ = run([documents(texts)], tiny)
    annotated, _ = run([documents(texts, {"sentence_starts": [[0], [], [0]]})], tiny)
    assert [row["input_ids"] for row in bare] == [row["input_ids"] for row in annotated]


def test_tracks_come_in_their_fixed_order() -> None:
    assert tracks_of(["pos_tags", "text", "entity_codes"]) == ("entity_labels", "pos_tags")
    assert tokens_schema(["pos_tags"]).names == [*TOKENS.names, "pos_tags"]


def test_words_of_other_pre_tokenizers_come_from_the_encodings(tmp_path: Path) -> None:
    content = json.loads(tiny_bert(tmp_path).json)
    content["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    rows, _ = run([documents(["cats ##s", "", "cat"])], load_tokenizer(str(tmp_path)))
    assert flags(rows[0], Boundary.WORD_START) == [True, False, True]
    assert flags(rows[1], Boundary.WORD_START) == [True]


@pytest.mark.parametrize("name", FAMILIES)
def test_long_documents_are_annotated_across_their_pieces(
    load: Load, articles: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    texts = [text for text in articles if len(text) > 200][:20]
    words = [[m.span() for m in re.finditer(r"\w+", text)] for text in texts]
    annotations = {
        "annotated_word_starts": [[a for a, _ in spans] for spans in words],
        "annotated_word_ends": [[b for _, b in spans] for spans in words],
        "pos_tags": [[i % 255 + 1 for i in range(len(spans))] for spans in words],
        "sentence_starts": [[a for a, _ in spans[::9]] for spans in words],
    }
    whole = run([documents(texts, annotations)], load(name))
    monkeypatch.setattr(tokenizer_pieces, "PIECE_CHARACTERS", 100)
    assert run([documents(texts, annotations)], load(name)) == whole
