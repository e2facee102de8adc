"""Tokenizers of every family: tiny ones trained on the spot, real ones from the shared data."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from premask.stages.align import Int64
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

# Pieces that break naive offset arithmetic: astral, composed, folded, split, invisible.
PIECES = [
    *("Paris", "New York", "don't", "co-operate", "IBM's", "naïve", "cafe\u0301", "ÅNGSTRÖM"),
    *("İstanbul", "ß", "ﬁn", "½", "…", "ﷺ", "㎏", "Ａ", "①", "e\u0301\u0323", "\u0301", "Å"),
    *("東京都", "マスク", "서울", "마실까", "мир", "שלום", "العربية", "ไทย", "हिन्दी"),
    *("😀", "👩‍👩‍👧", "👍🏽", "🇩🇪", "𝔘𝔫𝔦", "𐍈", "\u200b", "\u00ad", "\ufeff", "\u200d", "\x07"),
    *("▁", "Ġ", "[MASK]", "</s>", "<extra_id_0>", "##a", "a.b", "(x)", '"', "3.14", "C++"),
]
SPACES = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", ""]


def random_text(rng: random.Random, num_pieces: int) -> str:
    """Random pieces and spaces, one after the other."""
    return "".join(rng.choice(PIECES) + rng.choice(SPACES) for _ in range(num_pieces))


def _corpus() -> list[str]:
    rng = random.Random(7)
    return [random_text(rng, 30) for _ in range(200)]


def _word_piece(*, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]"], limit_alphabet=80, show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _byte_level(normalizer: Any = None, *, prefix: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _unigram(normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _byte_fallback() -> Tokenizer:
    """Byte fallback with a prepended metaspace, as in Llama."""
    alphabet = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdeinorstxyNPY"]
    vocabulary = {piece: index for index, piece in enumerate(alphabet)}
    model = models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece cased": lambda: _word_piece(lowercase=False),
    "WordPiece uncased": lambda: _word_piece(lowercase=True),
    "ByteLevel": _byte_level,
    "ByteLevel prefix space": lambda: _byte_level(prefix=True),
    "ByteLevel NFC": lambda: _byte_level(normalizers.NFC()),
    "ByteLevel folded": lambda: _byte_level(
        normalizers.Sequence(
            [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
        )
    ),
    "Unigram": _unigram,
    "Unigram NFKC": lambda: _unigram(normalizers.NFKC()),
    "BPE byte fallback": _byte_fallback,
}
REAL = ("bert-base-cased", "bert-base-uncased", "roberta-base", "gpt2", "t5-small", "olmo-neox")


def real_tokenizer(small: Path, name: str, unpack: Callable[[Path], Path]) -> Tokenizer:
    """A published tokenizer from ``shared/data/small/tokenizers``."""
    folder = small / "tokenizers" / name
    if name == "gpt2":
        files = [str(unpack(folder / f)) for f in ("vocab.json.gz", "merges.txt.gz")]
        tokenizer = Tokenizer(models.BPE.from_file(*files))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return tokenizer
    return Tokenizer.from_str(
        gzip.decompress((folder / "tokenizer.json.gz").read_bytes()).decode()
    )


def offsets(
    tokenizer: Tokenizer, texts: Sequence[str], *, specials: bool = False
) -> tuple[Int64, Int64, Int64]:
    """Token starts and ends (int64 ``[T]``) and document splits (int64 ``[D + 1]``)."""
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=specials)
    pairs = [pair for encoding in encodings for pair in encoding.offsets]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    splits = np.cumsum([0, *(len(encoding) for encoding in encodings)], dtype=np.int64)
    return table[:, 0], table[:, 1], splits
