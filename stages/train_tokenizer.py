"""Trains a tokenizer on a corpus: WordPiece as in BERT, BPE as in RoBERTa, Unigram as in T5.

Each kind gets its family's normaliser, pre-tokenizer, decoder, special tokens and template, so
the file works in any trainer that knows the family. Documents are streamed from the readers;
memory holds the distinct words. The corpus is read once, for WordPiece twice.

WordPiece and BPE give the same bytes for the same corpus. For that, WordPiece takes its
alphabet from a pass of its own: `tokenizers` would number characters in the order of a randomly
seeded hash table, and break ties by those numbers. Unigram scores are estimated in the order of
such a table, too, and differ in the third decimal from run to run; train once and keep the
file.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from premask._errors import RequestError
from premask._format import TOKENIZER_FILE
from premask.masking._rows import Vocabulary
from premask.schemas.job import Source
from premask.schemas.unit import Ledger
from premask.stages.read import plan_source, read_slice
from premask.stages.strip import strip_wikitext
from premask.stages.tokenizer import LoadedTokenizer, build_tokenizer
from premask.stages.tokenizer_sentencepiece import template
from premask.stages.tokenizer_sources import TokenizerSource, roberta_template
from premask.stages.tokenizer_text import text_only
from premask.stages.tokenizer_vocabulary import ROLES
from premask.stages.tokenizer_words import CharacterClass, character_class
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

Kind = Literal["wordpiece", "bpe", "unigram"]
Texts = Callable[[], Iterator[str]]

_UNIT_BYTES = 32 << 20
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_T5 = ("<pad>", "</s>", "<unk>")
_TEMPLATES = {"wordpiece": ["[CLS]", "A", "[SEP]"], "unigram": ["A", "</s>"]}
_NUM_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a tokenizer is trained.

    Attributes:
        kind: the model and its family.
        vocab_size: ids in all, special tokens and sentinels included.
        lowercase: fold case (and, for WordPiece, strip accents).
        min_frequency: rarer pairs are not merged (WordPiece, BPE).
        alphabet_size: WordPiece: the most frequent characters that are kept.
        num_sentinels: Unigram: tokens ``<extra_id_0>`` and on.
        progress: show the library's progress bars.
    """

    kind: Kind
    vocab_size: int
    lowercase: bool = False
    min_frequency: int = 2
    alphabet_size: int = 1000
    num_sentinels: int = 100
    progress: bool = False

    def check(self) -> None:
        """Refuses a vocabulary that cannot even hold what its kind must have.

        Raises:
            RequestError: `kind` is unknown or `vocab_size` is too small.
        """
        if self.kind not in _TRAINERS:
            raise RequestError(
                f"there is no tokenizer of kind {self.kind!r}; use {', '.join(_TRAINERS)}",
                location="kind",
            )
        fixed = {
            "wordpiece": len(_BERT),
            "bpe": len(_ROBERTA) + _NUM_BYTES,
            "unigram": len(_T5) + self.num_sentinels,
        }[self.kind]
        if self.vocab_size <= fixed:
            raise RequestError(
                f"vocab_size {self.vocab_size} is too small: {self.kind} has {fixed} fixed "
                "tokens before the first of text; 30000 is usual",
                location="vocab_size",
            )


def train_tokenizer(
    sources: Sequence[Source], out: str | Path, training: Training
) -> LoadedTokenizer:
    """Trains a tokenizer on the documents of `sources` and writes it.

    Args:
        sources: as in a job.
        out: a new ``.json`` file, or a directory, which also gets the tokenizer_config.json
            that `transformers` reads.

    Raises:
        RequestError: the settings cannot work, the file is there already, or the sources hold
            no text.
    """
    training.check()
    target = Path(out)
    file = target if target.suffix == ".json" else target / TOKENIZER_FILE
    if file.exists():
        raise RequestError("the file is there already; choose another", location=str(file))
    tokenizer = train_on(lambda: _texts(sources), training)
    source = TokenizerSource(
        content=tokenizer, original=None, config={}, location=f"the trained {training.kind}"
    )
    loaded = build_tokenizer(source)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file is not target:
        _write(file.with_name("tokenizer_config.json"), _config(loaded))
    _write(file, loaded.json)
    return loaded


def train_on(texts: Texts, training: Training) -> dict[str, Any]:
    """The content of a tokenizer.json trained on what `texts` yields, each time it is called.

    Raises:
        RequestError: there is no text.
    """
    if not any(text.strip() for text in texts()):
        raise RequestError("the sources hold no text to train on", location="sources")
    tokenizer = _TRAINERS[training.kind](texts, training)
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    content["added_tokens"] = [
        token for token in content["added_tokens"] if not token["content"].startswith("##")
    ]
    ids = {token["content"]: token["id"] for token in content["added_tokens"]}
    content["post_processor"] = (
        roberta_template(ids, add_prefix_space=False)
        if training.kind == "bpe"
        else template(_TEMPLATES[training.kind], ids)
    )
    return content


def _texts(sources: Sequence[Source]) -> Iterator[str]:
    for index, source in enumerate(sources):
        for piece in plan_source(source, index, _UNIT_BYTES):
            ledger = Ledger(unit=piece.label)
            batches = read_slice(piece, source, ledger)
            if piece.format == "mediawiki":
                batches = strip_wikitext()(batches, ledger)
            for batch in batches:
                yield from map(text_only, batch.column("text").to_pylist())


def _word_piece(texts: Texts, training: Training) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=training.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    alphabet = _alphabet(texts(), tokenizer.normalizer, training.alphabet_size)
    # Listed as special tokens, continuing characters get their numbers in this order; they are
    # taken off the list of special tokens again in `train_on`.
    inside = [f"##{c}" for c in alphabet if character_class(c) != CharacterClass.ISOLATED]
    trainer = trainers.WordPieceTrainer(
        vocab_size=training.vocab_size,
        min_frequency=training.min_frequency,
        special_tokens=[*_BERT, *inside],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=training.progress,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def _alphabet(texts: Iterator[str], normalizer: Any, size: int) -> list[str]:
    """The most frequent characters, white space left out, in the order of their codes."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    characters = [c for c in counts if not c.isspace()]
    return sorted(sorted(characters, key=lambda c: (-counts[c], c))[:size])


def _bpe(texts: Texts, training: Training) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if training.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=training.vocab_size,
        min_frequency=training.min_frequency,
        special_tokens=[
            AddedToken(name, lstrip=name == "<mask>", normalized=False, special=True)
            for name in _ROBERTA
        ],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=training.progress,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def _unigram(texts: Texts, training: Training) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    folding = [normalizers.Lowercase()] if training.lowercase else []
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), *folding]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=training.vocab_size - training.num_sentinels,
        special_tokens=list(_T5),
        unk_token="<unk>",
        show_progress=training.progress,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    sentinels = [f"<extra_id_{i}>" for i in reversed(range(training.num_sentinels))]
    tokenizer.add_special_tokens(sentinels)
    return tokenizer


_TRAINERS: dict[str, Callable[[Texts, Training], Tokenizer]] = {
    "wordpiece": _word_piece,
    "bpe": _bpe,
    "unigram": _unigram,
}


def _config(loaded: LoadedTokenizer) -> bytes:
    """The tokenizer_config.json with which `transformers` loads the directory."""
    names = {f"{role}_token": _token(loaded, loaded.vocabulary, role) for role in ROLES}
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config |= {key: token for key, token in names.items() if token is not None}
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()


def _token(loaded: LoadedTokenizer, vocabulary: Vocabulary, role: str) -> str | None:
    token_id = getattr(vocabulary, f"{role}_id")
    return None if token_id is None else str(loaded.tokenizer.id_to_token(token_id))


def _write(file: Path, data: bytes) -> None:
    """Writes a file that is there in whole or not at all."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
