"""Tokenizers for the tests of the stages: a tiny one in code, and the real ones by name."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "cat", "sat", "on", "mat", "dog", "ran", "##s", "##ning", "un", "##happy")

# Real tokenizers by the form in which they come, relative to the shared data.
REAL = {
    "bert": "bert-base-uncased/tokenizer.json.gz",
    "bert-cased": "bert-base-cased/vocab.txt",
    "bert-chinese": "bert-base-chinese/vocab.txt",
    "bert-multilingual": "bert-base-multilingual-cased/vocab.txt.gz",
    "gpt2": "gpt2",
    "roberta": "roberta-base",
    "t5": "t5-small",
    "t5-model": "t5-base/spiece.model.gz",
    "xlnet": "xlnet-base-cased",
    "neox": "olmo-neox",
}


def tiny_bert(folder: Path) -> LoadedTokenizer:
    """BERT with a dozen words, every ASCII letter and punctuation, written to `folder`."""
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [*SPECIALS, *WORDS, *letters, *(f"##{c}" for c in letters if c.isalnum())]
    path = folder / "vocab.txt"
    path.write_text("\n".join(pieces) + "\n")
    return load_tokenizer(str(path))


def real(shared_small: Path, name: str) -> LoadedTokenizer:
    """A real tokenizer from the shared data."""
    return load_tokenizer(str(shared_small / "tokenizers" / REAL[name]))


def unpacked(source: Path, folder: Path) -> Path:
    """A copy of `source` in `folder`, without its ``.gz``."""
    target = folder / source.name.removesuffix(".gz")
    if source.suffix == ".gz":
        target.write_bytes(gzip.decompress(source.read_bytes()))
    else:
        shutil.copy(source, target)
    return target
