"""Target: the files of a tokenizer, of every kind, one of them damaged.

What loads must tokenize a text, and every id that it gives must be in its vocabulary.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.tokenize import tokenize
from premask.stages.tokenizer import load_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.fuzz.target import Target, option
from tests.stages.test_tokenizer_sentencepiece import BPE, HEAD, LETTERS, UNIGRAM, field
from tests.stages.vocabularies import tiny_bert

TEXTS = ("The cat sat.", "", "[MASK] </s> <extra_id_0> ä\0\n", "1234 " * 9, "x" * 300)
NAMES = (
    *("tokenizer.json", "vocab.txt", "spiece.model", "vocab.json", "merges.txt"),
    *("tokenizer_config.json", "vocab.txt.gz", "tokenizer.json.gz"),
)
CONFIG = {"mask_token": "[MASK]", "pad_token": {"content": "[PAD]"}, "do_lower_case": False}


def _seeds(fixed: Path) -> list[bytes]:
    """An input is a file's number and what it holds."""
    bert = tiny_bert(fixed)
    letters = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz.Ġ")}
    level = Tokenizer(models.BPE({**letters, "ab": 28, "<|endoftext|>": 29}, [("a", "b")]))
    level.pre_tokenizer = pre_tokenizers.ByteLevel()
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "cat": 1}, "[UNK]"))
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁a", -1.0), ("b", -2.0)], 0, False))
    files: list[tuple[int, bytes]] = [
        *((0, each.to_str().encode()) for each in (level, words, unigram)),
        (0, bert.json),
        (1, (fixed / "vocab.txt").read_bytes()),
        *((2, _sentencepiece(kind)) for kind in (UNIGRAM, BPE)),
        (3, json.dumps({**letters, "ab": 28}).encode()),
        (4, b"#version: 0.2\na b\n"),
        (5, json.dumps(CONFIG).encode()),
    ]
    (fixed / "vocab.json").write_bytes(files[-3][1])
    (fixed / "merges.txt").write_bytes(files[-2][1])
    return [bytes([k]) + data for k, data in files]


def _sentencepiece(kind: int) -> bytes:
    pieces = [
        field(1, field(1, text.encode()) + field(2, float(score)) + field(3, type_))
        for text, score, type_ in (*HEAD, *LETTERS)
    ]
    return b"".join(pieces) + field(2, field(3, kind)) + field(3, field(3, 1))


def _run(data: bytes, fixed: Path, scratch: Path) -> None:
    name = option(data, 0, NAMES)
    for beside in {"vocab.json": ["merges.txt"], "merges.txt": ["vocab.json"]}.get(
        name, ["vocab.txt"] if name == "tokenizer_config.json" else []
    ):
        (scratch / beside).write_bytes((fixed / beside).read_bytes())
    (scratch / name).write_bytes(data[1:])
    loaded = load_tokenizer(str(scratch))
    load_tokenizer_again = load_tokenizer(str(scratch))
    assert load_tokenizer_again.sha256 == loaded.sha256
    rows = [{"document_id": f"{i}", "position": i, "text": t} for i, t in enumerate(TEXTS)]
    ledger = Ledger(unit="a:0", documents_read=len(rows), counters=Counter())
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)
    for tokens in tokenize([batch], loaded, ledger):
        tokens.validate(full=True)
        ids = tokens.column("input_ids").flatten().to_pylist()
        assert all(i < loaded.vocabulary.size for i in ids)
        assert not set(ids) & (set(loaded.vocabulary.special_ids) - {loaded.vocabulary.unk_id})


TARGETS = {
    "tokenizer": Target(
        prepare=_seeds,
        run=_run,
        words=(
            b'"id": 4294967295',
            b'"vocab": {',
            b"null",
            b"-1",
            b"[[[[",
            b'"type": "',
            b"##",
        ),
        options=1,
    )
}
