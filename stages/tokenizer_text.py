"""A tokenizer for which special tokens do not exist in text.

`tokenizers` turns a literal ``[MASK]`` or ``</s>`` in a corpus into the special id. Its flag
against that (``encode_special_tokens``) stops the matching of added tokens only, which leaves
``</s>`` and ``<extra_id_0>`` to T5's unigram model, where they are pieces like any other.
Here special pieces keep their ids, under names that no text can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from premask.stages.tokens import buffers

# A noncharacter of Unicode: `text_only` takes it out of a text, so no text reaches a name.
_MARK = "\ufffe"
_MARK_BYTES = _MARK.encode()
_REPLACEMENT = "\ufffd"


def text_only(text: str) -> str:
    """`text` without the one character that special names hold; same length, same offsets."""
    return text.replace(_MARK, _REPLACEMENT) if _MARK in text else text


def text_only_column(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """`text_only` of a column; the column itself where there is nothing to replace."""
    splits, data = buffers(texts)
    if _MARK_BYTES not in data[splits[0] : splits[-1]].tobytes():
        return texts
    return pc.replace_substring(texts, _MARK, _REPLACEMENT)


def encode_only_text(content: dict[str, Any], special_ids: set[int]) -> dict[str, Any]:
    """The content of a tokenizer.json, changed so that no text can reach a special id.

    Special pieces are renamed in the model and among the added tokens alike; no id moves, and
    all other text is encoded as before. Post-processing, truncation and padding are taken out.
    """
    names = {token["content"]: token["id"] for token in content["added_tokens"]}
    model = dict(content["model"])
    vocabulary = model["vocab"]
    names |= vocabulary if isinstance(vocabulary, dict) else {}
    renamed = {name: f"{_MARK}{i}" for name, i in names.items() if i in special_ids}
    if isinstance(vocabulary, dict):
        model["vocab"] = {renamed.get(name, name): i for name, i in vocabulary.items()}
    else:
        model["vocab"] = [
            [f"{_MARK}{i}" if i in special_ids else piece, score]
            for i, (piece, score) in enumerate(vocabulary)
        ]
    if model.get("unk_token") in renamed:
        model["unk_token"] = renamed[model["unk_token"]]
    if "merges" in model:
        model["merges"] = [m for m in model["merges"] if not _touches(m, renamed)]
    added = [
        token | {"content": renamed[token["content"]], "normalized": False}
        if token["id"] in special_ids
        else token
        for token in content["added_tokens"]
    ]
    bare = {"post_processor": None, "truncation": None, "padding": None}
    return content | bare | {"model": model, "added_tokens": added}


def _touches(merge: str | list[str], renamed: Mapping[str, str]) -> bool:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left in renamed or right in renamed or left + right in renamed
