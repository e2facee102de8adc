from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from premask._errors import RequestError
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer
from premask.stages.tokenizer_sentencepiece import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
)

UNIGRAM, BPE, WORD = 1, 2, 3
Pieces = Sequence[tuple[str, float, int]]

HEAD: Pieces = [("<unk>", 0, UNKNOWN), ("<s>", 0, CONTROL), ("</s>", 0, CONTROL)]
BYTES: Pieces = [(f"<0x{byte:02X}>", 0, BYTE) for byte in range(256)]
LETTERS: Pieces = [(c, -20 - i, NORMAL) for i, c in enumerate("▁abcd.")]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def load(tmp_path: Path, pieces: Pieces, kind: int, *, keep_spaces: bool) -> LoadedTokenizer:
    messages = [
        field(1, field(1, text.encode()) + field(2, float(score)) + field(3, type_))
        for text, score, type_ in pieces
    ]
    normalizer = field(3, 1) + field(4, int(not keep_spaces))
    data = b"".join(messages) + field(2, field(3, kind)) + field(3, normalizer)
    path = tmp_path / "tokenizer.model"
    path.write_bytes(data)
    return load_tokenizer(str(path))


@pytest.fixture
def llama(tmp_path: Path) -> LoadedTokenizer:
    merged = [("ab", -1, NORMAL), ("▁ab", -2, NORMAL), ("cd", -3, NORMAL), ("abcd", -4, NORMAL)]
    pieces = [*HEAD, *BYTES, *merged, ("▁▁", -5, NORMAL), *LETTERS]
    return load(tmp_path, pieces, BPE, keep_spaces=True)


def tokens(loaded: LoadedTokenizer, text: str) -> list[str]:
    encoding = loaded.encoder.encode(text, add_special_tokens=False)
    return [str(loaded.tokenizer.id_to_token(i)) for i in encoding.ids]


def test_bpe_merges_follow_the_scores(llama: LoadedTokenizer) -> None:
    # "ab" is the best pair; then "▁ab" beats "abcd".
    assert tokens(llama, "abcd") == ["▁ab", "cd"]
    assert tokens(llama, "cabcd") == ["▁", "c", "abcd"]


def test_unknown_characters_fall_back_to_bytes(llama: LoadedTokenizer) -> None:
    assert tokens(llama, "abé") == ["▁ab", "<0xC3>", "<0xA9>"]
    ids = llama.encoder.encode("abé", add_special_tokens=False).ids
    assert llama.tokenizer.decode(ids) == "abé"


def test_bytes_are_no_replacements_and_no_special_tokens(llama: LoadedTokenizer) -> None:
    vocabulary = llama.vocabulary
    assert vocabulary.replacement_ranges == ((259, vocabulary.size),)
    assert vocabulary.special_ids == (1, 2)
    assert vocabulary.prefix_ids == (1,)


def test_control_pieces_in_the_text_stay_text(llama: LoadedTokenizer) -> None:
    assert not {"<s>", "</s>"} & set(tokens(llama, "a<s>b</s> </s>"))


def test_pieces_that_span_words_keep_documents_whole(llama: LoadedTokenizer) -> None:
    assert tokens(llama, "a  b")[:2] == ["▁", "a"]
    assert "▁▁" in tokens(llama, "a  b")
    assert not llama.can_be_cut


def test_user_defined_pieces_win_over_their_parts_whatever_their_score(tmp_path: Path) -> None:
    pieces = [*HEAD, ("cd", -1000, USER_DEFINED), *LETTERS]
    loaded = load(tmp_path, pieces, UNIGRAM, keep_spaces=False)
    assert tokens(loaded, "abcd") == ["▁", "a", "b", "cd"]


def test_word_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="model of type 3"):
        load(tmp_path, [*HEAD, *LETTERS], WORD, keep_spaces=False)


@pytest.mark.parametrize(
    "data",
    [
        field(1, field(1, 5)),  # a number where a piece's text should be
        field(1, field(1, 1.5)),
        field(1, field(1, b"a") + field(3, float("inf"))),
        field(1, field(1, b"a") + field(2, b"x")),
        field(1, field(1, b"a")) + field(3, field(2, 7)),
        field(1, field(1, b"\xff")),
        field(1, b"\x0a\x7f"),
    ],
)
def test_a_model_of_wrong_kinds_of_fields_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.model"
    path.write_bytes(data)
    with pytest.raises(RequestError, match="not a SentencePiece model"):
        load_tokenizer(str(path))


@pytest.mark.parametrize("number", ["1e9", "-1", "10000000", '"a"', "null", "[]"])
def test_a_number_of_sentinels_that_is_none_is_refused(tmp_path: Path, number: str) -> None:
    load(tmp_path, [*HEAD, *LETTERS], UNIGRAM, keep_spaces=False)
    (tmp_path / "tokenizer_config.json").write_text(f'{{"extra_ids": {number}}}')
    with pytest.raises(RequestError, match="extra_ids"):
        load_tokenizer(str(tmp_path))
