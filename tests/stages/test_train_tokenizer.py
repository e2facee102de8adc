from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer
from premask.stages.train_tokenizer import Kind, Training, train_tokenizer

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
KINDS: tuple[Kind, ...] = ("wordpiece", "bpe", "unigram")
SENTENCE = "The old lamplighter walked home through the snow, and sat down."


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return [Source(path=str(SAMPLES / "books")), Source(path=str(SAMPLES / "news"))]


@pytest.fixture(scope="module")
def trained(
    sources: list[Source], tmp_path_factory: pytest.TempPathFactory
) -> dict[Kind, tuple[Path, LoadedTokenizer]]:
    found: dict[Kind, tuple[Path, LoadedTokenizer]] = {}
    for kind in KINDS:
        out = tmp_path_factory.mktemp(kind)
        training = Training(kind=kind, vocab_size=900)
        found[kind] = out, train_tokenizer(sources, out, training)
    return found


Trained = dict[Kind, tuple[Path, LoadedTokenizer]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_has_the_size_asked_for(trained: Trained, kind: Kind) -> None:
    assert trained[kind][1].vocabulary.size == 900


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_loads_as_what_was_trained(trained: Trained, kind: Kind) -> None:
    out, loaded = trained[kind]
    again = load_tokenizer(str(out))
    assert again.sha256 == loaded.sha256
    assert again.vocabulary == loaded.vocabulary
    assert again.word_starts.rule == loaded.word_starts.rule


@pytest.mark.parametrize("kind", KINDS)
def test_text_survives_encoding(trained: Trained, kind: Kind) -> None:
    tokenizer = trained[kind][1].tokenizer
    assert tokenizer.decode(tokenizer.encode(SENTENCE).ids) == SENTENCE


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [("wordpiece", "[CLS]", "[SEP]"), ("bpe", "<s>", "</s>"), ("unigram", "▁The", "</s>")],
)
def test_the_template_is_the_familys(
    trained: Trained, kind: Kind, first: str, last: str
) -> None:
    tokens = trained[kind][1].tokenizer.encode(SENTENCE).tokens
    assert (tokens[0], tokens[-1]) == (first, last)


def test_the_special_tokens_are_the_familys(trained: Trained) -> None:
    bert, roberta, t5 = (trained[kind][1].vocabulary for kind in KINDS)
    assert bert.special_ids == (0, 2, 3, 4)
    assert (bert.pad_id, bert.unk_id, bert.mask_id) == (0, 1, 4)
    assert roberta.special_ids == (0, 1, 2, 4)
    assert (roberta.cls_id, roberta.pad_id, roberta.sep_id, roberta.mask_id) == (0, 1, 2, 4)
    assert (t5.pad_id, t5.eos_id, t5.unk_id) == (0, 1, 2)
    assert t5.sentinel_ids == tuple(range(899, 799, -1))


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_another_process_trains_the_same_bytes(
    trained: Trained, sources: list[Source], tmp_path: Path, kind: Kind
) -> None:
    code = (
        "import sys\n"
        "from premask.schemas.job import Source\n"
        "from premask.stages.train_tokenizer import Training, train_tokenizer\n"
        "training = Training(kind=sys.argv[1], vocab_size=900)\n"
        "train_tokenizer([Source(path=p) for p in sys.argv[3:]], sys.argv[2], training)\n"
    )
    arguments = [kind, str(tmp_path), *(source.path for source in sources)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    assert (tmp_path / "tokenizer.json").read_bytes() == trained[kind][1].json


@pytest.mark.parametrize(("kind", "mask"), [("wordpiece", "[MASK]"), ("bpe", "<mask>")])
def test_transformers_loads_the_directory(trained: Trained, kind: Kind, mask: str) -> None:
    transformers = pytest.importorskip("transformers")
    out, loaded = trained[kind]
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(out))
    assert tokenizer.mask_token == mask
    assert tokenizer(SENTENCE)["input_ids"] == loaded.tokenizer.encode(SENTENCE).ids


def test_case_is_folded_on_request(sources: list[Source], tmp_path: Path) -> None:
    for kind in KINDS:
        training = Training(kind=kind, vocab_size=700, lowercase=True)
        loaded = train_tokenizer(sources, tmp_path / f"{kind}.json", training)
        ids = [loaded.tokenizer.encode(text).ids for text in ("SNOW home", "snow Home")]
        assert ids[0] == ids[1]


def test_rare_characters_fall_out_of_the_alphabet(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("banana bandana ban " * 50 + "żółw")
    training = Training(kind="wordpiece", vocab_size=60, alphabet_size=4)
    loaded = train_tokenizer([Source(path=str(tmp_path / "x.txt"))], tmp_path / "t", training)
    tokens = loaded.tokenizer.get_vocab()
    assert {"a", "b", "n", "d", "##a", "banana"} <= tokens.keys()
    assert "ż" not in tokens


def test_an_existing_file_is_not_overwritten(trained: Trained, sources: list[Source]) -> None:
    out, loaded = trained["bpe"]
    with pytest.raises(RequestError, match="there already"):
        train_tokenizer(sources, out, Training(kind="bpe", vocab_size=900))
    assert (out / "tokenizer.json").read_bytes() == loaded.json


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("wordpiece", 5, "5 fixed tokens"),
        ("bpe", 261, "261 fixed tokens"),
        ("unigram", 100, "103 fixed tokens"),
        ("words", 100, "no tokenizer of kind 'words'; use wordpiece, bpe, unigram"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, kind: Kind, size: int, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        train_tokenizer([], tmp_path, Training(kind=kind, vocab_size=size))


def test_a_corpus_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(" \n")
    source = Source(path=str(tmp_path / "x.txt"))
    with pytest.raises(RequestError, match="no text to train on"):
        train_tokenizer([source], tmp_path / "out", Training(kind="bpe", vocab_size=300))
    assert not (tmp_path / "out").exists()


def test_the_configuration_names_the_roles(trained: Trained) -> None:
    config = json.loads((trained["unigram"][0] / "tokenizer_config.json").read_text())
    assert (config["pad_token"], config["eos_token"]) == ("<pad>", "</s>")
    assert "mask_token" not in config
