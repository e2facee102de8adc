from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask.stages.piece_table import LONGEST, PADDING
from premask.stages.word_pieces import WordPieces
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = ("a", "ab", "abc", "b", "##a", "##b", "##bc", "##abcabcabcabcab", "ccc", "##1", "A")


def tokenizer(*, lowercase: bool, most: int) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(("[UNK]", *WORDS))}
    made = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=most)
    )
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("most", [100, 6])
@settings(deadline=None)
@given(words=st.lists(st.text("abcA1", min_size=1, max_size=LONGEST), max_size=12))
def test_words_have_the_ids_and_offsets_of_the_tokenizer(
    lowercase: bool, most: int, words: list[str]
) -> None:
    plain = tokenizer(lowercase=lowercase, most=most)
    ours = WordPieces(json.loads(plain.to_str()))
    words = [word for word in words if len(word) <= ours.longest]
    ends = np.cumsum([0, *map(len, words)], dtype=np.int64)
    padded = ("".join(words).encode() + PADDING).translate(ours.fold)
    ids, spans_2, counts = ours.encode(padded, ends[:-1], ends[1:])
    expected = plain.encode_batch(words, add_special_tokens=False)
    assert ids.tolist() == [i for encoding in expected for i in encoding.ids]
    assert spans_2.T.tolist() == [list(o) for encoding in expected for o in encoding.offsets]
    assert counts.tolist() == [len(encoding.ids) for encoding in expected]
