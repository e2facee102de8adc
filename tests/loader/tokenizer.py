"""A small WordPiece tokenizer in the Hugging Face form, made in code."""

from __future__ import annotations

import string
from typing import Any

import pytest

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "cat", "sat", "on", "a", "mat", "dog", "ran", "un", "believ", "##able", "##ly")


def wordpiece() -> Any:
    """``[CLS] … [SEP]``, lower-case letters, a few words, punctuation."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    letters = [*string.ascii_lowercase, *(f"##{c}" for c in string.ascii_lowercase), *".,!"]
    tokens = [*SPECIALS, *WORDS, *letters, "[unused1]"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=50)
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=128,
    )
