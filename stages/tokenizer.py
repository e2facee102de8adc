"""Loads a tokenizer and encodes text with it, never making a special token out of text.

Everything that the rest of Premask needs to know of a tokenizer is found here once: what its
ids mean, where words begin, and a variant of it that sees only text. Loading takes about half
a second for 50,000 pieces, most of it in `tokenizers`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from premask._errors import RequestError
from premask.masking._rows import Vocabulary
from premask.stages.fast_encoders import FastPath, fast_path
from premask.stages.tokenizer_pieces import can_be_cut
from premask.stages.tokenizer_sources import TokenizerSource, find_tokenizer
from premask.stages.tokenizer_text import encode_only_text
from premask.stages.tokenizer_vocabulary import describe_vocabulary
from premask.stages.tokenizer_words import (
    WordStarts,
    classes_rule,
    lookup_rule,
    token_bytes,
)
from tokenizers import Tokenizer

_STEPS = {"normalizer", "pre_tokenizer", "post_processor", "decoder"}
# Words, and characters that no vocabulary has.
_PROBE = "a \ue000 \U0010fffd \u0378 1.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTokenizer:
    """A tokenizer, with all that the stages need to know of it.

    Attributes:
        tokenizer: the tokenizer as its authors meant it; for decoding and for comparison.
        encoder: the same without special tokens and template; texts go through `text_only`.
        vocabulary: what its ids mean.
        word_starts: how words are found.
        can_be_cut: whether long documents may be encoded in pieces.
        fast: what encodes faster than the tokenizer, if anything does.
        json: the tokenizer.json that the shard set carries.
        sha256: of `json`.
        model: ``WordPiece``, ``BPE``, ``Unigram`` or ``WordLevel``.
    """

    tokenizer: Tokenizer
    encoder: Tokenizer
    vocabulary: Vocabulary
    word_starts: WordStarts
    can_be_cut: bool
    fast: FastPath
    json: bytes
    sha256: str
    model: str


def load_tokenizer(path: str) -> LoadedTokenizer:
    """Loads a tokenizer.

    Args:
        path: tokenizer.json, vocab.txt, vocab.json or merges.txt, SentencePiece .model (all
            also with .gz), a directory with one of these, or a name on the Hugging Face hub.

    Raises:
        RequestError: nothing is there, it is damaged, or it cannot turn text into tokens.
    """
    return build_tokenizer(find_tokenizer(path))


def build_tokenizer(source: TokenizerSource) -> LoadedTokenizer:
    """A loaded tokenizer from the content of a tokenizer.json."""
    tokenizer = _parse(source.content, source.location)
    content = source.content
    if "type" not in content["model"] or not content.keys() >= _STEPS or not source.original:
        content = json.loads(tokenizer.to_str())  # old files leave out defaults
    data = source.original or (tokenizer.to_str(pretty=True) + "\n").encode()
    check_encodes(tokenizer, source.location)
    vocabulary = describe_vocabulary(
        tokenizer, content["model"], source.config, location=source.location
    )
    only_text = encode_only_text(content, _not_text(vocabulary))
    encoder = _parse(only_text, source.location)
    check_encodes(encoder, source.location)
    word_starts = _word_starts(tokenizer, content, vocabulary)
    return LoadedTokenizer(
        tokenizer=tokenizer,
        encoder=encoder,
        vocabulary=vocabulary,
        word_starts=word_starts,
        can_be_cut=can_be_cut(encoder),
        fast=fast_path(encoder, word_starts.rule),
        json=data,
        sha256=hashlib.sha256(data).hexdigest(),
        model=str(content["model"]["type"]),
    )


def parse_tokenizer(text: str) -> Tokenizer:
    """The tokenizer of the text of a tokenizer.json.

    Raises:
        ValueError: the `tokenizers` library refuses it.
    """
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the extension raises nothing narrower
        raise ValueError(error) from error


def _parse(content: Mapping[str, Any], location: str) -> Tokenizer:
    try:
        return parse_tokenizer(json.dumps(content, ensure_ascii=False))
    except ValueError as error:
        raise RequestError(
            f"the `tokenizers` library refuses the file: {error}; write it again with a recent "
            "version of that library",
            location=location,
        ) from error


def check_encodes(tokenizer: Tokenizer, location: str) -> None:
    """Refuses a tokenizer that fails on a text: one that knows no unknown token, say."""
    try:
        tokenizer.encode(_PROBE)
    except BaseException as error:  # the extension raises nothing narrower, and panics
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise RequestError(
            f"the tokenizer cannot encode every text: {error}; it needs a token for what its "
            "vocabulary lacks",
            location=location,
        ) from error


def _word_starts(
    tokenizer: Tokenizer, content: Mapping[str, Any], vocabulary: Vocabulary
) -> WordStarts:
    """Picks the rule that is exact for this tokenizer, the cheapest first."""
    model = content["model"]
    tokens = {i: token for token, i in tokenizer.get_vocab(with_added_tokens=True).items()}
    if model["type"] == "WordLevel":
        return lookup_rule(tokens, size=vocabulary.size, continuation="")
    if model["type"] == "WordPiece":
        prefix = model.get("continuing_subword_prefix")
        # A text word that begins with the prefix itself would look like a continuation.
        if prefix and not any(w.startswith(prefix) for w in _words(tokenizer, f"a {prefix}b")):
            return lookup_rule(tokens, size=vocabulary.size, continuation=prefix)
        return WordStarts(rule="word_ids")
    steps = [*_steps(content["normalizer"]), *_steps(content["pre_tokenizer"])]
    byte_level = any(step["type"] == "ByteLevel" for step in steps)
    blank = next((mark for step in steps if (mark := _blank_mark(step))), None)
    affixes = model.get("continuing_subword_prefix"), model.get("end_of_word_suffix")
    if any(affixes) or not (byte_level or blank):
        return WordStarts(rule="word_ids")
    added = tokenizer.get_added_tokens_decoder()
    raw = token_bytes(tokens, byte_level=byte_level, blank=blank, literal=added)
    return classes_rule(
        raw,
        size=vocabulary.size,
        digits_apart=len(_words(tokenizer, "a1")) > 1,
        opaque=_not_text(vocabulary),
    )


def _not_text(vocabulary: Vocabulary) -> set[int]:
    unknown = set() if vocabulary.unk_id is None else {vocabulary.unk_id}
    return unknown | set(vocabulary.special_ids)


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words into which the pre-tokenizer cuts a text."""
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def _steps(part: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, sequences unfolded."""
    if part is None:
        return []
    inner = part.get("normalizers") or part.get("pretokenizers")
    return [step for item in inner for step in _steps(item)] if inner else [part]


def _blank_mark(step: Mapping[str, Any]) -> str | None:
    """What a step writes in the place of a space, if it does."""
    if step["type"] == "Metaspace":
        return str(step.get("replacement", "▁"))
    if step["type"] == "Replace" and step.get("pattern") == {"String": " "}:
        return str(step["content"])
    return None
