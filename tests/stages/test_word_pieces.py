from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages.piece_loops import LONGEST
from premask.stages.piece_table import PADDING
from premask.stages.word_pieces import WordPieces
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = ("a", "ab", "abc", "b", "##a", "##b", "##bc", "##abcabcabcabcab", "ccc", "##1", "A")


def made(*, lowercase: bool, most: int) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(("[UNK]", *WORDS))}
    built = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=most)
    )
    built.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return built


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("most", [100, 6])
@settings(deadline=None)
@given(words=st.lists(st.from_regex(r"[ \n]{0,3}[abcA1é.]{0,18}", fullmatch=True), max_size=12))
def test_plain_words_have_the_ids_and_offsets_of_the_tokenizer(
    lowercase: bool, most: int, words: list[str]
) -> None:
    tokenizer = made(lowercase=lowercase, most=most)
    ours = WordPieces(json.loads(tokenizer.to_str()))
    raw = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    padded = (b"".join(raw) + PADDING).translate(ours.fold)
    ids, spans_2, counts = ours.encode(np.frombuffer(padded, np.uint8), ends[:-1], ends[1:])
    plain = [is_plain(word, most) for word in words]
    assert (counts > 0).tolist() == plain
    expected = tokenizer.encode_batch([w for w, p in zip(words, plain, strict=True) if p])
    assert ids.tolist() == [i for encoding in expected for i in encoding.ids]
    assert spans_2.T.tolist() == [list(o) for encoding in expected for o in encoding.offsets]
    assert counts[counts > 0].tolist() == [len(encoding.ids) for encoding in expected]


def is_plain(piece: str, most: int) -> bool:
    word = piece.lstrip(" \n")
    return word.isascii() and word.isalnum() and len(word) <= min(most, LONGEST)
