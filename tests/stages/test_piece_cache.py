from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask._errors import UnitError
from premask.schemas.unit import Ledger
from premask.stages.encode import UnitEncoder, encode_plainly
from premask.stages.fast_encoders import FastPath, PatientPieceCache
from premask.stages.piece_borders import Family, NoBorders, family_of
from premask.stages.piece_cache import PieceCache
from premask.stages.tokenizer import LoadedTokenizer
from premask.stages.tokenizer_text import text_only, text_only_column
from premask.stages.tokens import BlockEncoder

from tests.stages.vocabularies import REAL, real, tiny_bert

Load = Callable[[str], LoadedTokenizer]
CACHED = tuple(name for name in REAL if name != "neox")
TRICKY = (
    "it's 'tis I'M x's1 rock'n'roll 's 't ' s ''s .'s a.'s 9's don't-- ''",
    "a  b \n\n c\t\td \r\n e\u00a0f \u2003 g \u3000h\u0085 i\u2028 j \x0b k\x0c l\x1c m \x1f n",
    "e\u0301 \u0301x a\u0308, ,\u0301b \u0600 x \u200d y\u200b z \ufeff q \u00ad r",
    "[MASK] </s> <mask> <extra_id_0> <|endoftext|> [UNK] ##s \ufffe5 \ufffd",
    "ΑΣ ΟΔΟΣ. ß İstanbul ﬁne ① ½ x² 10km 3.14 1,000 B2B\x00C\x7fD",
    "中文 字 한국어 텍스트 これはペン Việt Nam 👩\u200d👩\u200d👧 👍🏽 é,è;a",
    " leading and trailing  ",
    "\u037e; \u1fef` \u212ax `` '' …",
    "x" * 101 + " " + "y" * 100 + "z" * 99,
    "",
    " ",
)


@pytest.fixture(scope="module")
def load(shared_small: Path) -> Load:
    return cache(lambda name: real(shared_small, name))


@pytest.fixture(scope="module")
def documents(shared_small: Path) -> list[str]:
    """Articles of several languages, hostile strings and a few of our own."""
    texts = list(TRICKY)
    for file in sorted((shared_small / "wiki/extracted").rglob("*.gz")):
        data = gzip.decompress(file.read_bytes()).decode()
        texts += [text for text in data.split("</doc>\n") if text.strip()][:12]
    for folder in ("blns", "unicode", "tokenizer", "utf8"):
        for file in sorted((shared_small / "hostile" / folder).iterdir()):
            content = file.read_bytes()
            text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode(
                errors="replace"
            )
            texts += [text, *text.split("\n")[:200]]
    return [text[:8000] for text in texts]


def family_in(loaded: LoadedTokenizer) -> Family:
    encoder = loaded.fast.encoders[-1]
    assert isinstance(encoder, PatientPieceCache)
    return encoder.parts[1]


def cache_of(loaded: LoadedTokenizer, **limits: float) -> PieceCache:
    """A cache that takes any text, however new."""
    limits = {"plain_share": 1.0} | limits
    return PieceCache(loaded.encoder, family_in(loaded), **limits)  # type: ignore[arg-type]


def with_encoder(loaded: LoadedTokenizer, *encoders: BlockEncoder) -> LoadedTokenizer:
    return replace(loaded, fast=FastPath(encoders=encoders))


def through_cache(texts: list[str], cache: PieceCache) -> list[tuple[list[int], ...]]:
    """Ids, starts and ends of each document, as the cache itself gives them."""
    raw = [text_only(text).encode() for text in texts]
    splits = np.cumsum([0, *map(len, raw)])
    data = np.frombuffer(b"".join(raw), np.uint8)
    tokens = cache.encode(data, splits, with_offsets=True)
    assert tokens is not None, "declined"
    ends = tokens.splits[1:-1]
    columns = (tokens.ids_T, tokens.starts_T, tokens.ends_T)
    return list(zip(*([a.tolist() for a in np.split(c, ends)] for c in columns), strict=True))


def acceptable(texts: list[str], loaded: LoadedTokenizer) -> list[str]:
    """What the cache takes with offsets: of a SentencePiece model, nothing with controls."""
    if family_in(loaded) != "white_space":
        return texts
    return [re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "", text) for text in texts]


def plainly(texts: list[str], loaded: LoadedTokenizer) -> list[tuple[list[int], ...]]:
    encodings = loaded.encoder.encode_batch(
        list(map(text_only, texts)), add_special_tokens=False
    )
    return [(e.ids, [a for a, _ in e.offsets], [b for _, b in e.offsets]) for e in encodings]


def column(texts: list[str]) -> pa.LargeStringArray:
    return text_only_column(pa.array(texts, pa.large_string()))


@pytest.mark.parametrize("name", CACHED)
def test_real_texts_have_the_ids_and_offsets_of_the_tokenizer(
    load: Load, documents: list[str], name: str
) -> None:
    loaded = load(name)
    cache = cache_of(loaded)
    for first in range(0, len(documents), 150):
        texts = acceptable(documents[first : first + 150], loaded)
        for text, ours, plain in zip(
            texts, through_cache(texts, cache), plainly(texts, loaded), strict=True
        ):
            assert ours == plain, text[:200]


_alphabet = st.one_of(
    st.sampled_from(
        " \n\t\r'sStTdDreEmMlL.,-1a9Zé\u0301\u00a0\u3000\u2009\u0600中ß\x00\x0b\x1c"
    ),
    st.characters(exclude_categories=["Cs"]),
)


@pytest.mark.parametrize("name", CACHED)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(_alphabet, max_size=40), min_size=1, max_size=20))
def test_any_text_has_the_ids_and_offsets_of_the_tokenizer(
    load: Load, name: str, texts: list[str]
) -> None:
    loaded = load(name)
    texts = acceptable(texts, loaded)
    assert through_cache(texts, cache_of(loaded)) == plainly(texts, loaded)


@pytest.mark.parametrize("control", ["\x01", "\x0b", "\x1f", "\x7f", "\x8f", "\x9f"])
def test_offsets_around_controls_are_left_to_sentencepiece_itself(
    load: Load, control: str
) -> None:
    loaded = load("t5")
    raw = f"Hello {control} {control}. a {control}b".encode()
    data, splits = np.frombuffer(raw, np.uint8), np.array([0, len(raw)])
    cache = cache_of(loaded)
    assert cache.encode(data, splits, with_offsets=True) is None
    ids = cache.encode(data, splits, with_offsets=False)
    assert ids is not None
    assert ids.ids_T.tolist() == plainly([raw.decode()], loaded)[0][0]


@pytest.mark.parametrize("limits", [{"max_pieces": 1}, {"max_pieces": 50}, {"max_bytes": 100}])
def test_a_tiny_cache_gives_the_same(tmp_path: Path, limits: dict[str, float]) -> None:
    loaded = tiny_bert(tmp_path)
    cache = cache_of(loaded, **limits)
    for number in range(20):
        texts = [f"the cat {number} sat on mat{i}, dogs!" for i in range(number, number + 3)]
        assert through_cache(texts, cache) == plainly(texts, loaded)
    assert len(cache) <= 50


def test_a_piece_is_encoded_once(tmp_path: Path) -> None:
    cache = cache_of(tiny_bert(tmp_path))
    through_cache(["the cat sat on the cat the cat"], cache)
    assert len(cache) == 5  # the first "the" has no blank before it
    through_cache(["the sat on cat"], cache)
    assert len(cache) == 5


def test_offsets_may_be_asked_for_later(tmp_path: Path) -> None:
    loaded = tiny_bert(tmp_path)
    cache = cache_of(loaded)
    text = np.frombuffer(b"the cat sat", np.uint8)
    bare = cache.encode(text, np.array([0, 11]), with_offsets=False)
    assert bare is not None
    assert len(bare.starts_T) == 0
    ours = through_cache(["the cat sat"], cache)
    assert ours == plainly(["the cat sat"], loaded)
    assert ours[0][0] == bare.ids_T.tolist()


def test_new_text_is_left_to_the_tokenizer(tmp_path: Path) -> None:
    cache = cache_of(tiny_bert(tmp_path), plain_share=0.5)
    text = np.frombuffer(b"the cat sat", np.uint8)
    assert cache.encode(text, np.array([0, 11]), with_offsets=False) is None
    assert len(cache) == 0


def test_little_text_is_left_to_the_tokenizer(tmp_path: Path) -> None:
    loaded = tiny_bert(tmp_path)
    patient = PatientPieceCache(loaded.encoder, family_in(loaded), patience=100)
    text = np.frombuffer(b"the cat " * 8, np.uint8)
    assert patient.encode(text, np.array([0, 64]), with_offsets=False) is None
    found = patient.encode(text, np.array([0, 64]), with_offsets=False)
    assert found is not None
    assert found.ids_T.tolist() == loaded.encoder.encode("the cat " * 8).ids


def test_a_slice_of_a_column_is_encoded_as_its_own(tmp_path: Path) -> None:
    loaded = tiny_bert(tmp_path)
    loaded = with_encoder(loaded, cache_of(loaded))
    texts = ["dog", "the cat", "", "cats \ufffe5 ran", "mat"]
    ours = UnitEncoder(loaded, Ledger(unit="u:0")).encode(
        column(texts).slice(1, 3), with_offsets=True
    )
    plain = encode_plainly(list(map(text_only, texts[1:4])), loaded, with_offsets=True)
    assert ours.ids_T.tolist() == plain.ids_T.tolist()
    assert ours.splits.tolist() == plain.splits.tolist()
    assert ours.starts_T.tolist() == plain.starts_T.tolist()


def wrong(loaded: LoadedTokenizer, family: Family) -> LoadedTokenizer:
    """A tokenizer with a cache that cuts where it must not."""
    return with_encoder(loaded, PieceCache(loaded.encoder, family, plain_share=1.0))


def test_a_cache_that_errs_at_once_is_not_used(load: Load) -> None:
    loaded, ledger = wrong(load("gpt2"), "bert"), Ledger(unit="u:0")
    texts = ["It's what he's said"] * 3
    ours = UnitEncoder(loaded, ledger).encode(column(texts), with_offsets=False)
    plain = encode_plainly(texts, loaded, with_offsets=False)
    assert ours.ids_T.tolist() == plain.ids_T.tolist()
    assert ledger.counters["encoder_differences"] == 1
    assert not loaded.fast.encoders[0].usable


def test_a_cache_that_errs_later_fails_the_unit_and_names_the_text(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("premask.stages.encode.SAMPLE", 2)
    loaded = wrong(load("gpt2"), "bert")
    encoder = UnitEncoder(loaded, Ledger(unit="u:0"))
    encoder.encode(column(["The cat sat.", "So it did."]), with_offsets=False)
    with pytest.raises(UnitError, match="document 2 of the unit, which begins \"It's"):
        encoder.encode(column(["It's what he's said"]), with_offsets=False)
    again = UnitEncoder(loaded, Ledger(unit="u:0")).encode(
        column(["It's what he's said"]), with_offsets=False
    )
    assert again.ids_T.tolist() == load("gpt2").encoder.encode("It's what he's said").ids


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        ("pre_tokenizer", {"type": "WhitespaceSplit"}, "pre-tokenizer is WhitespaceSplit"),
        ("pre_tokenizer", None, "no pre-tokenizer"),
        ("normalizer", {"type": "Lowercase"}, "normaliser is Lowercase"),
        ("added_tokens", [{"content": "New York"}], "added token 'New York'"),
    ],
)
def test_unknown_steps_forbid_the_cache_and_are_named(
    tmp_path: Path, part: str, value: object, reason: str
) -> None:
    content = json.loads(tiny_bert(tmp_path).encoder.to_str())
    assert family_of(content) == "bert"
    with pytest.raises(NoBorders, match=reason):
        family_of(content | {part: value})


@pytest.mark.parametrize("name", REAL)
def test_what_encodes_is_said_to_users(load: Load, name: str) -> None:
    path = load(name).fast
    assert ("piece cache" in str(path)) == (name in CACHED)
    assert ("gigatoken" in str(path)) == (name in ("gpt2", "roberta"))
    assert bool(path.why_not) == (name not in CACHED)
