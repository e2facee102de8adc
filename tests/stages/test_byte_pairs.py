from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.schemas.unit import Ledger
from premask.stages.encode import UnitEncoder
from premask.stages.tokenizer import LoadedTokenizer
from premask.stages.tokenizer_text import text_only, text_only_column

from tests.stages.vocabularies import real

pytest.importorskip("gigatoken")
from premask.stages import byte_pairs
from premask.stages.byte_pairs import BytePairs

Load = Callable[[str], LoadedTokenizer]
NAMES = ("gpt2", "roberta")
HOSTILE = (
    "it's 'tis I'M x's1 rock'n'roll 's don't-- ''",
    "a  b \n\n c\t\td \r\n e\u00a0f \u2003 g \u3000h\u0085 i\u2028 j \x0b k\x0c l\x1c m \x1f n",
    "<|endoftext|> <s> </s> <mask> [MASK] \ufffe5 \ufffd \x00",
    "中文 字 한국어 これはペン Việt e\u0301 👩\u200d👩\u200d👧 👍🏽 ½ x² 10km 1,000",
    "x" * 5000,
    " " * 500,
    "",
)


@pytest.fixture(scope="module")
def load(shared_small: Path) -> Load:
    return cache(lambda name: real(shared_small, name))


@pytest.fixture(scope="module")
def made(load: Load) -> Callable[[str], BytePairs]:
    return cache(lambda name: BytePairs(load(name).encoder.to_str()))


def through(encoder: BytePairs, texts: list[str]) -> list[list[int]]:
    raw = [text_only(text).encode() for text in texts]
    splits = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    tokens = encoder.encode(np.frombuffer(b"".join(raw), np.uint8), splits, with_offsets=False)
    assert tokens is not None
    return [part.tolist() for part in np.split(tokens.ids_T, tokens.splits[1:-1])]


def plainly(texts: list[str], loaded: LoadedTokenizer) -> list[list[int]]:
    encodings = loaded.encoder.encode_batch(
        list(map(text_only, texts)), add_special_tokens=False
    )
    return [encoding.ids for encoding in encodings]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_texts_have_the_ids_of_the_tokenizer(load: Load, name: str) -> None:
    loaded, texts = load(name), list(HOSTILE)
    assert through(BytePairs(loaded.encoder.to_str()), texts) == plainly(texts, loaded)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=20))
def test_any_text_has_the_ids_of_the_tokenizer(
    load: Load, made: Callable[[str], BytePairs], name: str, texts: list[str]
) -> None:
    assert through(made(name), texts) == plainly(texts, load(name))


def test_a_unit_takes_it_for_ids_and_the_cache_for_offsets(load: Load) -> None:
    loaded = load("gpt2")
    texts = text_only_column(pa.array(["The cat sat. "] * 9, pa.large_string()))
    encoder = UnitEncoder(loaded, Ledger(unit="u:0"))
    bare = encoder.encode(texts, with_offsets=False)
    spans = encoder.encode(texts, with_offsets=True)
    assert (
        bare.ids_T.tolist() == spans.ids_T.tolist() == 9 * plainly(["The cat sat. "], loaded)[0]
    )
    assert not len(bare.starts_T)
    assert spans.ends_T.max() == 13


def test_it_is_made_anew_when_it_has_grown(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_pairs, "MAX_GROWTH", -(1 << 40))
    monkeypatch.setattr(byte_pairs, "RENEW_BYTES", 100)
    encoder = BytePairs(load("gpt2").encoder.to_str())
    first = encoder._tokenizer
    texts = ["The cat sat on the mat and so on."] * 3
    same = [through(encoder, texts) for _ in range(2)]
    assert encoder._tokenizer is first
    same.append(through(encoder, texts))
    assert encoder._tokenizer is not first
    assert same == 3 * [plainly(texts, load("gpt2"))]
