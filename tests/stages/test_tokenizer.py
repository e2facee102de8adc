from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from premask._errors import RequestError
from premask.stages import tokenizer_pieces
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer
from premask.stages.tokenizer_pieces import pieces
from premask.stages.tokenizer_text import text_only
from premask.stages.tokenizer_words import CharacterClass, token_classes, word_starts_of
from tokenizers import Tokenizer, models

from tests.stages.families import random_text
from tests.stages.vocabularies import REAL, SPECIALS, real, tiny_bert, unpacked

Load = Callable[[str], LoadedTokenizer]


@pytest.fixture(scope="module")
def load(shared_small: Path) -> Load:
    return cache(lambda name: real(shared_small, name))


@pytest.fixture(scope="module")
def hostile(shared_small: Path) -> str:
    folder = shared_small / "hostile"
    special = (folder / "synthetic/text/literal-special-tokens.txt").read_text()
    return special + (folder / "blns/blns.txt").read_text()


def encode(loaded: LoadedTokenizer, text: str) -> list[int]:
    ids: list[int] = loaded.encoder.encode(text_only(text), add_special_tokens=False).ids
    return ids


def words(loaded: LoadedTokenizer, text: str) -> list[str]:
    """The text of each word, as the word starts cut it."""
    encoding = loaded.encoder.encode(text_only(text), add_special_tokens=False)
    ids = np.array(encoding.ids, np.uint32)
    starts = np.flatnonzero(loaded.word_starts.find(ids, np.array([0])))
    stops = [*starts[1:], len(ids)]
    ends = [
        max(end for _, end in encoding.offsets[a:b]) for a, b in zip(starts, stops, strict=True)
    ]
    begins = [encoding.offsets[start][0] for start in starts]
    return [text[a:b].strip() for a, b in zip(begins, ends, strict=True)]


def literal(loaded: LoadedTokenizer) -> list[str]:
    return [str(loaded.tokenizer.id_to_token(i)) for i in loaded.vocabulary.special_ids]


# Roles ------------------------------------------------------------------------------------


def test_roles_of_bert(load: Load) -> None:
    vocabulary = load("bert").vocabulary
    assert (vocabulary.size, vocabulary.unk_id, vocabulary.pad_id) == (30522, 100, 0)
    assert (vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) == (101, 102, 103)
    assert (vocabulary.prefix_ids, vocabulary.suffix_ids) == ((101,), (102,))
    assert vocabulary.special_ids == (0, 101, 102, 103)
    assert vocabulary.replacement_ranges == ((999, 30522),)


def test_roles_of_gpt2(load: Load) -> None:
    vocabulary = load("gpt2").vocabulary
    assert (vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id) == (50256, 50256, None)
    assert vocabulary.prefix_ids == vocabulary.suffix_ids == ()
    assert vocabulary.replacement_ranges == ((0, 50256),)


def test_roles_of_roberta(load: Load) -> None:
    vocabulary = load("roberta").vocabulary
    assert (vocabulary.bos_id, vocabulary.pad_id, vocabulary.eos_id) == (0, 1, 2)
    assert (vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) == (0, 2, 50264)
    assert (vocabulary.prefix_ids, vocabulary.suffix_ids) == ((0,), (2,))
    assert vocabulary.replacement_ranges == ((4, 50261),)  # without madeupword0000 and on


@pytest.mark.parametrize("name", ["t5", "t5-model"])
def test_roles_of_t5_include_the_sentinels_in_their_order(load: Load, name: str) -> None:
    vocabulary = load(name).vocabulary
    assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 1, 2)
    assert vocabulary.sentinel_ids == tuple(range(32099, 31999, -1))
    assert (vocabulary.prefix_ids, vocabulary.suffix_ids) == ((), (1,))
    assert vocabulary.replacement_ranges == ((3, 32000),)


def test_roles_of_xlnet(load: Load) -> None:
    vocabulary = load("xlnet").vocabulary
    assert (vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) == (3, 4, 6)
    assert vocabulary.suffix_ids == (4, 3)


def test_roles_named_by_the_configuration_win(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    config = {"sep_token": "dog", "mask_token": {"content": "cat"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    vocabulary = load_tokenizer(str(tmp_path)).vocabulary
    ids = [*SPECIALS, "the", "cat", "sat", "on", "mat", "dog"]
    assert (vocabulary.sep_id, vocabulary.mask_id) == (ids.index("dog"), ids.index("cat"))


def test_a_configuration_of_another_model_is_refused(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"mask_token": "<mask>"}')
    with pytest.raises(RequestError, match="'<mask>' as mask_token"):
        load_tokenizer(str(tmp_path))


# Sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_a_vocab_txt_makes_the_published_tokenizer(shared_small: Path, model: str) -> None:
    folder = shared_small / "tokenizers" / model
    made = load_tokenizer(str(folder / "vocab.txt"))
    given = load_tokenizer(str(folder / "tokenizer.json.gz"))
    assert json.loads(made.tokenizer.to_str()) == json.loads(given.tokenizer.to_str())
    assert made.vocabulary == given.vocabulary


def test_a_t5_model_file_makes_the_published_tokenizer(load: Load) -> None:
    made = json.loads(load("t5-model").tokenizer.to_str())
    given = json.loads(load("t5").tokenizer.to_str())
    made.pop("post_processor")  # the published one gives the second text of a pair type 0
    given.pop("post_processor")
    assert made == given
    assert load("t5-model").vocabulary == load("t5").vocabulary


def test_vocab_and_merges_make_the_published_roberta(
    shared_small: Path, tmp_path: Path, load: Load
) -> None:
    folder = shared_small / "tokenizers"
    unpacked(folder / "roberta-base/vocab.json.gz", tmp_path)
    unpacked(folder / "gpt2/merges.txt.gz", tmp_path)
    made = load_tokenizer(str(tmp_path / "merges.txt"))
    rng = random.Random(5)
    for _ in range(100):
        text = random_text(rng, 20)
        assert made.tokenizer.encode(text).ids == load("roberta").tokenizer.encode(text).ids
    assert made.vocabulary == load("roberta").vocabulary


def test_all_forms_of_one_tokenizer_give_one_hash(shared_small: Path, tmp_path: Path) -> None:
    source = shared_small / "tokenizers/bert-base-uncased/tokenizer.json.gz"
    plain = unpacked(source, tmp_path)
    loaded = load_tokenizer(str(plain))
    assert load_tokenizer(str(source)).sha256 == load_tokenizer(str(tmp_path)).sha256
    assert loaded.json == gzip.decompress(source.read_bytes())


def test_the_json_that_is_shipped_encodes_alike(load: Load) -> None:
    text = "Ünder the “bridge” (1999), don't stop."
    for name in REAL:
        shipped = Tokenizer.from_str(load(name).json.decode())
        assert shipped.encode(text).ids == load(name).tokenizer.encode(text).ids


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", b"[pad]\n[unk]\n[cls]\n[sep]\n[mask]\nword\n", "lacks"),
        ("vocab.txt", "\n".join(SPECIALS).encode(), "none of them is text"),
        ("tokenizer.json", b"[1, 2]", "a JSON object is expected"),
        ("tokenizer.json", b"{", "not JSON"),
        ("tokenizer.json", b"{}", "no model"),
        ("tokenizer.json", b'{"model": {"type": "None"}, "added_tokens": []}', "refuses"),
        ("tokenizer.json.gz", b"no gzip", "damaged"),
        ("vocab.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("vocab.json", b"{}", "merges.txt is missing"),
        ("x.model", b"\x0a\xff", "not a SentencePiece model"),
        ("x.model", b"", "with 0 pieces"),
    ],
)
def test_a_file_that_cannot_work_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=message):
        load_tokenizer(str(tmp_path / name))


def test_merges_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    with pytest.raises(RequestError, match="do not fit the vocabulary"):
        load_tokenizer(str(tmp_path))


def test_two_tokens_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2, "c": 2}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    with pytest.raises(RequestError, match=r"'ab' and 'c' share the id 2"):
        load_tokenizer(str(tmp_path))


def test_a_template_with_a_token_that_it_does_not_define_is_refused(tmp_path: Path) -> None:
    part = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    content = {
        "added_tokens": [],
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part, text],
            "pair": [text],
            "special_tokens": {},
        },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0, "[CLS]": 1, "a": 2},
        },
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match="cannot encode every text"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("path", ["/nowhere/tokenizer.json", "missing.txt", "a/b/c"])
def test_a_missing_tokenizer_is_refused(path: str) -> None:
    with pytest.raises(RequestError, match="there is no tokenizer at"):
        load_tokenizer(path)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no tokenizer\.json"):
        load_tokenizer(str(tmp_path))


def test_a_hub_name_without_a_hub_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RequestError, match="Hugging Face hub does not give"):
        load_tokenizer("nobody/nothing")


def test_a_vocabulary_with_lower_case_specials_is_refused(shared_small: Path) -> None:
    path = shared_small / "hostile/tokenizer/vocab-lowercased-specials.txt.gz"
    with pytest.raises(RequestError, match=r"lacks \[UNK\], \[CLS\], \[SEP\], \[MASK\]"):
        load_tokenizer(str(path))


# Text stays text --------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_no_text_becomes_a_special_token(load: Load, hostile: str, name: str) -> None:
    loaded = load(name)
    text = hostile + " ".join(literal(loaded)) + "".join(literal(loaded))
    assert not set(encode(loaded, text)) & set(loaded.vocabulary.special_ids)


@pytest.mark.parametrize("name", REAL)
def test_not_even_the_hidden_names_become_special_tokens(load: Load, name: str) -> None:
    loaded = load(name)
    hidden = "".join(f" {loaded.encoder.id_to_token(i)}" for i in loaded.vocabulary.special_ids)
    assert not set(encode(loaded, hidden)) & set(loaded.vocabulary.special_ids)


@pytest.mark.parametrize("name", ["gpt2", "roberta", "neox"])
def test_special_lookalikes_decode_to_themselves(load: Load, name: str) -> None:
    loaded = load(name)
    text = f"a {' '.join(literal(loaded))} b"
    assert loaded.tokenizer.decode(encode(loaded, text), skip_special_tokens=False) == text


def test_added_tokens_that_are_text_stay_whole(load: Load) -> None:
    ids = encode(load("neox"), "mail |||EMAIL_ADDRESS||| now")
    assert 50277 in ids


@pytest.mark.parametrize("name", REAL)
def test_ids_equal_the_plain_tokenizers_where_no_special_is_spelled(
    load: Load, name: str
) -> None:
    loaded, rng = load(name), random.Random(11)
    for _ in range(150):
        text = random_text(rng, 25)
        for special in ("[MASK]", "</s>", "<extra_id_0>"):
            text = text.replace(special, "·")
        assert (
            encode(loaded, text) == loaded.tokenizer.encode(text, add_special_tokens=False).ids
        )


# Words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "bert-cased", "bert-chinese"])
def test_wordpiece_words_are_the_pre_tokenizers_own(
    load: Load, hostile: str, name: str
) -> None:
    loaded, rng = load(name), random.Random(3)
    assert loaded.word_starts.rule == "lookup"
    for text in [hostile, *(random_text(rng, 40) for _ in range(50))]:
        encoding = loaded.encoder.encode(text_only(text), add_special_tokens=False)
        found = loaded.word_starts.find(np.array(encoding.ids, np.uint32), np.array([0]))
        assert (found == word_starts_of([encoding])).all()


@pytest.mark.parametrize("name", ["gpt2", "roberta"])
def test_byte_level_words_begin_wherever_the_pre_tokenizers_do(
    shared_small: Path, load: Load, name: str
) -> None:
    loaded = load(name)
    text = (shared_small / "books/bert-sample_text.txt").read_text()
    encoding = loaded.encoder.encode(text, add_special_tokens=False)
    found = loaded.word_starts.find(np.array(encoding.ids, np.uint32), np.array([0]))
    missing = word_starts_of([encoding]) & ~found
    # A combining mark is punctuation to GPT-2's pattern; here it belongs to its letter.
    assert missing.mean() < 0.01
    assert 0.5 < found.mean() < 0.9


@pytest.mark.parametrize("name", ["gpt2", "roberta", "neox", "t5", "xlnet"])
def test_words_of_english_are_the_same_for_all_families(load: Load, name: str) -> None:
    text = "Unbelievably, the well-known (old) mathematicians re-tokenized it!"
    expected = "Unbelievably , the well - known ( old ) mathematicians re - tokenized it !"
    assert words(load(name), text) == expected.split()


@pytest.mark.parametrize("name", ["gpt2", "roberta", "neox"])
def test_byte_level_words_in_other_scripts(load: Load, name: str) -> None:
    text = "Привет мир, 東京ひらがなカタカナ हिन्दी naïve 😀😀 서울"
    expected = "Привет мир , 東 京 ひらがな カタカナ हिन्दी naïve 😀 😀 서울"
    assert words(load(name), text) == expected.split()


def test_han_characters_are_words_of_their_own_in_bert(load: Load) -> None:
    assert words(load("bert-chinese"), "我们ok的") == ["我", "们", "ok", "的"]


def test_a_first_word_without_a_blank_is_a_word(load: Load) -> None:
    for name in ("gpt2", "roberta"):
        assert words(load(name), "unforgettable things") == ["unforgettable", "things"]


def test_line_ends_are_borders(load: Load) -> None:
    assert words(load("gpt2"), "one\ntwo") == ["one", "", "two"]


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_word_starts_do_not_depend_on_the_batch(load: Load, name: str) -> None:
    loaded, rng = load(name), random.Random(2)
    texts = ["\u0301x", *(random_text(rng, 5) for _ in range(40))]
    rows = [ids for text in texts if (ids := encode(loaded, text))]
    starts = np.cumsum([0, *map(len, rows[:-1])])
    together = loaded.word_starts.find(np.concatenate(rows).astype(np.uint32), starts)
    alone = [loaded.word_starts.find(np.array(ids, np.uint32), np.array([0])) for ids in rows]
    assert (together == np.concatenate(alone)).all()


def test_a_pre_tokenizer_that_keeps_the_prefix_is_not_looked_up(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    content: dict[str, Any] = json.loads(load_tokenizer(str(tmp_path)).json)
    content["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    loaded = load_tokenizer(str(path))
    assert loaded.word_starts.rule == "word_ids"
    encoding = loaded.encoder.encode("cat ##s cats", add_special_tokens=False)
    assert encoding.tokens == ["cat", "##s", "cat", "##s"]
    assert word_starts_of([encoding]).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("ж", "LETTER"),
        ("中", "ISOLATED"),
        ("😀", "ISOLATED"),
        ("か", "HIRAGANA"),
        ("한", "LETTER"),
    ],
)
def test_a_character_cut_in_two_begins_its_word_once(character: str, kind: str) -> None:
    data = character.encode()
    cut = len(data) - 1
    assert token_classes(data[:cut]) == [CharacterClass[kind]]
    assert token_classes(data[cut:]) == [CharacterClass.JOINED]


# Pieces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_pieces_of_a_long_document_give_the_tokens_of_the_whole(
    shared_small: Path, load: Load, hostile: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tokenizer_pieces, "PIECE_CHARACTERS", 50)
    loaded, rng = load(name), random.Random(9)
    assert loaded.can_be_cut
    sample = (shared_small / "books/bert-sample_text.txt").read_text()
    for text in (sample, hostile, *(random_text(rng, 200) for _ in range(20))):
        cut = list(pieces([text], cut=True))
        assert "".join(piece.text for piece in cut) == text
        assert len(cut) > 2
        parts = [token for piece in cut for token in encode(loaded, piece.text)]
        assert parts == encode(loaded, text)


def test_a_tokenizer_whose_pieces_span_words_is_not_cut(tmp_path: Path) -> None:
    content = json.loads(tiny_bert(tmp_path).json)
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}
    content["pre_tokenizer"] = metaspace | {"split": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert not load_tokenizer(str(tmp_path)).can_be_cut


def test_a_text_without_blanks_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_pieces, "PIECE_CHARACTERS", 10)
    assert [len(piece.text) for piece in pieces(["x" * 100], cut=True)] == [100]


@pytest.mark.parametrize(
    "model",
    [
        models.Unigram([("a", -1.0), ("b", -2.0)], None, False),
        models.WordLevel({"a": 0, "b": 1}, "[UNK]"),
    ],
)
def test_a_tokenizer_that_fails_on_unknown_characters_is_refused(
    tmp_path: Path, model: Any
) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer(model).save(str(path))
    with pytest.raises(RequestError, match="cannot encode every text"):
        load_tokenizer(str(path))


def test_a_byte_level_vocabulary_without_every_byte_does_without_gigatoken(
    tmp_path: Path,
) -> None:
    ids = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz.Ġ")}
    (tmp_path / "vocab.json").write_text(json.dumps({**ids, "ab": 28}))
    (tmp_path / "merges.txt").write_text("a b\n")
    loaded = load_tokenizer(str(tmp_path))
    assert encode(loaded, "ab cab") == [28, 27, 2, 28]


@pytest.mark.parametrize("content", ["[" * 200_000, "{", "\udcff"])
def test_a_tokenizer_file_that_is_no_json_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(RequestError, match=r"not JSON|not UTF-8"):
        load_tokenizer(str(path))


@pytest.mark.parametrize("key", ["normalizer", "pre_tokenizer", "post_processor", "decoder"])
def test_a_file_that_leaves_out_a_step_has_none(tmp_path: Path, key: str) -> None:
    path = tmp_path / "tokenizer.json"
    ids = {c: i for i, c in enumerate("abc")}
    content = json.loads(Tokenizer(models.BPE(ids, [])).to_str())
    del content[key]
    path.write_text(json.dumps(content))
    assert encode(load_tokenizer(str(path)), "cab") == [2, 0, 1]
