"""Finds a tokenizer's files and turns whatever they are into a tokenizer.json.

Understood: ``tokenizer.json``, BERT's ``vocab.txt``, ``vocab.json`` + ``merges.txt`` (GPT-2,
RoBERTa, BART), SentencePiece ``.model``, each also with ``.gz``; a directory of these; and the
name of a model on the Hugging Face hub. ``tokenizer_config.json`` beside the file is read for
the special tokens' roles.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask.stages.hub_files import fetch_files
from premask.stages.tokenizer_sentencepiece import sentencepiece_content, template

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_CONFIG = "tokenizer_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSource:
    """A tokenizer.json with what stood beside it.

    Attributes:
        content: the parsed tokenizer.json.
        original: its bytes where it was one already; None where it was made here.
        config: ``tokenizer_config.json``, empty without one.
        location: where it came from, for messages.
    """

    content: dict[str, Any]
    original: bytes | None
    config: Mapping[str, Any]
    location: str


def find_tokenizer(path: str) -> TokenizerSource:
    """Reads a tokenizer from a file, a directory or the hub.

    Raises:
        RequestError: nothing is there, or it is not a tokenizer of a known form.
    """
    found = Path(path)
    if found.is_dir():
        return _read_file(_main_file(found))
    if found.is_file():
        return _read_file(found)
    if _HUB_NAME.fullmatch(path) and found.suffix not in (".json", ".txt", ".model", ".gz"):
        # Most old models have no configuration; the spellings of their tokens will do.
        return _read_file(fetch_files(path, "tokenizer.json", _CONFIG))
    raise RequestError(
        f"there is no tokenizer at {path!r}; give a tokenizer.json, vocab.txt, vocab.json with "
        "merges.txt, a SentencePiece .model, a directory of these, or a hub name",
        location="tokenizer",
    )


def _main_file(directory: Path) -> Path:
    """The file that says most; one kind is enough, the others are older forms of it."""
    for name in ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "*.model"):
        found = sorted(directory.glob(name)) or sorted(directory.glob(f"{name}.gz"))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise RequestError(
                f"{len(found)} models ({names}); name one", location=str(directory)
            )
        if found:
            return found[0]
    raise RequestError(
        "no tokenizer.json, vocab.txt, vocab.json or .model in the directory",
        location=str(directory),
    )


def _read_file(file: Path) -> TokenizerSource:
    location = str(file)
    name = file.name.removesuffix(".gz")
    config_file = file.with_name(_CONFIG)
    config = _parse_json(config_file.read_bytes(), config_file) if config_file.is_file() else {}
    data = _read_bytes(file)
    original = None
    if name.endswith(".model"):
        content = sentencepiece_content(data, config, location=location)
    elif name.endswith(".txt") and name != "merges.txt":
        content = _bert_content(_decode(data, file), config, location)
    elif name == "merges.txt" or name == "vocab.json":
        content = _byte_level_content(file, config)
    else:
        content, original = _parse_json(data, file), data
    if not {"model", "added_tokens"} <= content.keys():
        raise RequestError(
            "not a tokenizer.json: it has no model; rename vocab.json files to vocab.json",
            location=location,
        )
    return TokenizerSource(content=content, original=original, config=config, location=location)


def _read_bytes(file: Path) -> bytes:
    data = file.read_bytes()
    if not file.name.endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(
            f"the gzip file is damaged: {error}; fetch it again", location=str(file)
        ) from error


def _decode(data: bytes, file: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"not UTF-8: {error}; give the file as the model's authors published it",
            location=str(file),
        ) from error


def _parse_json(data: bytes, file: Path) -> dict[str, Any]:
    try:
        value = json.loads(_decode(data, file))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not JSON: {error}", location=str(file)) from error
    if not isinstance(value, dict):
        raise RequestError("a JSON object is expected", location=str(file))
    return value


def _added(
    ids: Mapping[str, int], names: tuple[str, ...], *, eats_space: str = ""
) -> list[dict[str, Any]]:
    return [
        {
            "id": ids[name],
            "content": name,
            "single_word": False,
            "lstrip": name == eats_space,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name in sorted(names, key=lambda name: ids[name])
    ]


def _bert_content(text: str, config: Mapping[str, Any], location: str) -> dict[str, Any]:
    """BERT's WordPiece from the lines of a vocab.txt.

    Lower-casing is taken from the configuration, else from the vocabulary: a cased one has
    capital letters in thousands of pieces, an uncased one in a handful.
    """
    ids = _bert_ids(text, location)
    plain = [piece for piece in ids if piece not in _BERT_SPECIALS]
    capitals = sum(piece != piece.lower() for piece in plain)
    lowercase = bool(config.get("do_lower_case", capitals * 200 < len(plain)))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(ids, _BERT_SPECIALS),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": bool(config.get("tokenize_chinese_chars", True)),
            "strip_accents": config.get("strip_accents"),
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(["[CLS]", "A", "[SEP]"], ids),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def _bert_ids(text: str, location: str) -> dict[str, int]:
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    ids = {piece: i for i, piece in enumerate(lines)}
    missing = [name for name in _BERT_SPECIALS if name not in ids]
    if missing:
        raise RequestError(
            f"the vocabulary lacks {', '.join(missing)}; a BERT vocab.txt has one piece per "
            "line, its special tokens in capitals",
            location=location,
        )
    return ids


def _byte_level_content(file: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """GPT-2's byte-level BPE, or RoBERTa's where its special tokens are in the vocabulary."""
    ids, merges = _vocabulary_and_merges(file)
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": bool(config.get("add_prefix_space", False)),
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        **_byte_level_specials(ids, byte_level),
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": ids,
            "merges": merges,
        },
    }


def _vocabulary_and_merges(file: Path) -> tuple[dict[str, int], list[list[str]]]:
    files = {}
    for name in ("vocab.json", "merges.txt"):
        candidates = [file.with_name(name), file.with_name(f"{name}.gz")]
        present = [candidate for candidate in candidates if candidate.is_file()]
        if not present:
            raise RequestError(
                f"{name} is missing; a byte-level BPE needs vocab.json and merges.txt together",
                location=str(file.parent),
            )
        files[name] = present[0]
    ids = _parse_json(_read_bytes(files["vocab.json"]), files["vocab.json"])
    lines = _decode(_read_bytes(files["merges.txt"]), files["merges.txt"]).split("\n")
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    wrong = [pair for pair in merges if len(pair) != 2 or "".join(pair) not in ids]
    if wrong:
        raise RequestError(
            f"{len(wrong)} merges do not fit the vocabulary, the first is {wrong[0]}; "
            "use the vocab.json and merges.txt of one model",
            location=str(files["merges.txt"]),
        )
    return ids, merges


def _byte_level_specials(
    ids: Mapping[str, int], byte_level: Mapping[str, Any]
) -> dict[str, Any]:
    if not set(_ROBERTA_SPECIALS) <= ids.keys():
        names = tuple(name for name in ("<|endoftext|>",) if name in ids)
        return {"added_tokens": _added(ids, names), "post_processor": dict(byte_level)}
    roberta = roberta_template(ids, add_prefix_space=byte_level["add_prefix_space"])
    added = _added(ids, _ROBERTA_SPECIALS, eats_space="<mask>")
    return {"added_tokens": added, "post_processor": roberta}


def roberta_template(ids: Mapping[str, int], *, add_prefix_space: bool) -> dict[str, Any]:
    """RoBERTa's post-processor: ``<s> A </s>``, and ``</s> B </s>`` for a second text."""
    return {
        "type": "RobertaProcessing",
        "sep": ["</s>", ids["</s>"]],
        "cls": ["<s>", ids["<s>"]],
        "trim_offsets": True,
        "add_prefix_space": add_prefix_space,
    }
