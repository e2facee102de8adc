"""Shard sets of pairs give the batches that Hugging Face's collator gives."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from premask.schemas.job import Job
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.pipeline.sets import manifest_of, run_build

MAX_LENGTH, TARGET_LENGTH = 96, 40
SOURCE_LENGTH = MAX_LENGTH - TARGET_LENGTH
ROWS = {"arrangement": "pairs", "max_length": MAX_LENGTH, "target_length": TARGET_LENGTH}
Pair = tuple[str, str]

ENGLISH = [
    ("the cat sat on the mat", "le chat"),
    ("seven boats went past a green bridge near the old river", "sept bateaux " * 9),
    ("a", "un"),
    ("rain fell over London " * 30, "il pleut"),
]


def write_jsonl(path: Path, pairs: list[Pair]) -> Path:
    lines = [json.dumps({"id": f"p{i}", "en": a, "fr": b}) for i, (a, b) in enumerate(pairs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def build_pairs(folder: Path, source: Path, tokenizer: Path, **changes: Any) -> Path:
    fields = {"path": str(source), "text_field": "en", "target_field": "fr"} | changes
    job = Job.model_validate(
        {
            "sources": [fields],
            "output": str(folder / "out"),
            "tokenizer": str(tokenizer),
            "rows": ROWS,
        }
    )
    run_build(job)
    return folder / "out"


def hugging_face(shards: Path, **special: str) -> PreTrainedTokenizerFast:
    file = str(shards / "tokenizer.json")
    return PreTrainedTokenizerFast(tokenizer_file=file, **special)  # type: ignore[no-untyped-call]


def features(tokenizer: Any, pairs: list[Pair]) -> list[dict[str, Any]]:
    found = []
    for source, target in pairs:
        sides = tokenizer(source, truncation=True, max_length=SOURCE_LENGTH)
        labels = tokenizer(text_target=target, truncation=True, max_length=TARGET_LENGTH)
        found.append({**sides, "labels": labels["input_ids"]})
        found[-1].pop("token_type_ids", None)
    return found


def in_order(shards: premask.ShardSet) -> premask.rows.Rows:
    """All rows, in the order in which their pairs were written."""
    rows = shards.rows(slice(None), document_ids=True)
    names = rows.document_ids or ()
    return rows.take(sorted(range(len(names)), key=lambda i: int(names[i].lstrip("p"))))


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert np.array_equal(np.asarray(array), np.asarray(theirs[name])), name


def collated(tokenizer: Any, pairs: list[Pair], model: Any = None) -> dict[str, Any]:
    """Hugging Face's batch, both sides as wide as they may be."""
    collate = DataCollatorForSeq2Seq(tokenizer, model, padding="max_length")
    collate.max_length = SOURCE_LENGTH
    batch = collate(features(tokenizer, pairs), return_tensors="pt")
    found = {name: tensor.numpy() for name, tensor in batch.items()}
    for name in found.keys() - {"input_ids", "attention_mask"}:
        assert (found["labels"][:, TARGET_LENGTH:] == -100).all()
        found[name] = found[name][:, :TARGET_LENGTH]
    return found


def test_the_collators_batches_come_of_shards(tmp_path: Path, tokenizer_file: Path) -> None:
    shards = build_pairs(tmp_path, write_jsonl(tmp_path / "a.jsonl", ENGLISH), tokenizer_file)
    tokenizer = hugging_face(shards, pad_token="[PAD]")
    policy = premask.policy("seq2seq", input_length=SOURCE_LENGTH, target_length=TARGET_LENGTH)
    ours = premask.apply_policy(policy, in_order(premask.open_shards(shards)))
    assert_same(ours, collated(tokenizer, ENGLISH))


def test_a_batch_padded_to_its_longest_row_differs_in_padding_alone(
    tmp_path: Path, tokenizer_file: Path
) -> None:
    shards = build_pairs(tmp_path, write_jsonl(tmp_path / "a.jsonl", ENGLISH), tokenizer_file)
    tokenizer = hugging_face(shards, pad_token="[PAD]")
    theirs = DataCollatorForSeq2Seq(tokenizer)(
        features(tokenizer, ENGLISH), return_tensors="np"
    )
    ours = premask.apply_policy("seq2seq", in_order(premask.open_shards(shards)))
    fills = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "labels": -100}
    for name, fill in fills.items():
        width = theirs[name].shape[1]
        assert np.array_equal(ours[name][:, :width], theirs[name])
        assert (ours[name][:, width:] == fill).all()


def test_a_loader_gives_them_as_torch_tensors(tmp_path: Path, tokenizer_file: Path) -> None:
    shards = build_pairs(tmp_path, write_jsonl(tmp_path / "a.jsonl", ENGLISH), tokenizer_file)
    loader = premask.Loader(shards, policy="seq2seq", batch_size=2, backend="torch")
    labels = [row[row != -100].tolist() for batch in loader for row in batch["labels"]]
    tokenizer = hugging_face(shards, pad_token="[PAD]")
    assert sorted(labels) == sorted(x["labels"] for x in features(tokenizer, ENGLISH))


def tiny_bart(tokenizer: Any) -> Any:
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
    )
    return BartForConditionalGeneration(config)


def tiny_t5(tokenizer: Any) -> Any:
    config = T5Config(
        vocab_size=len(tokenizer), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1
    )
    config.decoder_start_token_id = config.pad_token_id = 0
    return T5ForConditionalGeneration(config)


@pytest.mark.parametrize(
    ("name", "model", "start", "special"),
    [
        ("t5-small", tiny_t5, "pad", {"pad_token": "<pad>", "eos_token": "</s>"}),
        ("roberta-base", tiny_bart, "eos", {"pad_token": "<pad>", "eos_token": "</s>"}),
    ],
)
def test_models_get_the_decoder_inputs_that_they_would_make(
    tmp_path: Path,
    shared_small: Path,
    name: str,
    model: Callable[[Any], Any],
    start: str,
    special: dict[str, str],
) -> None:
    pairs = xquad(shared_small, "de")[:24]
    shards = build_pairs(
        tmp_path,
        write_jsonl(tmp_path / "a.jsonl", pairs),
        shared_small / "tokenizers" / name,
    )
    tokenizer = hugging_face(shards, **special)
    policy = premask.policy(
        "seq2seq",
        input_length=SOURCE_LENGTH,
        target_length=TARGET_LENGTH,
        decoder_input_ids=True,
        decoder_start=start,
    )
    ours = premask.apply_policy(policy, in_order(premask.open_shards(shards)))
    del ours["decoder_attention_mask"]
    theirs = collated(tokenizer, pairs, model(tokenizer))
    # Behind a target's end, where no loss is taken, theirs go on with the end token once more.
    counts = ours["labels"] != -100
    decoder = [x.pop("decoder_input_ids") for x in (ours, theirs)]
    assert np.array_equal(decoder[0][counts], decoder[1][counts])
    assert_same(ours, theirs)


def xquad(shared_small: Path, language: str) -> list[Pair]:
    path = shared_small / "pairs" / f"xquad-en-{language}.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [(r["source"], r["target"]) for r in map(json.loads, lines)]


def test_pairs_from_tables_and_lines_are_the_same(tmp_path: Path, tokenizer_file: Path) -> None:
    ids = [f"p{i}" for i in range(len(ENGLISH))]
    texts, targets = zip(*ENGLISH, strict=True)
    lines = ["\t".join(row) for row in zip(ids, texts, targets, strict=True)]
    (tmp_path / "a.tsv").write_text("\n".join(["id\ten\tfr", *lines]))
    table = pa.table({"id": ids, "en": texts, "fr": targets})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as stream:
        stream.write_table(table)
    write_jsonl(tmp_path / "a.jsonl", ENGLISH)
    found = []
    for suffix in ("jsonl", "tsv", "parquet", "arrow"):
        folder = tmp_path / suffix
        shards = build_pairs(folder, tmp_path / f"a.{suffix}", tokenizer_file)
        rows = in_order(premask.open_shards(shards))
        found.append((rows.values().tolist(), rows.values("segment").tolist()))
    assert all(x == found[0] for x in found)


def test_sentence_pairs_without_a_header_are_read_by_number(
    tmp_path: Path, shared_small: Path, tokenizer_file: Path
) -> None:
    source = shared_small / "pairs" / "tatoeba-en-ko.tsv.gz"
    lines = gzip.decompress(source.read_bytes()).decode().splitlines()
    shards = build_pairs(
        tmp_path, source, tokenizer_file, format="tsv", text_field="1", target_field="2"
    )
    totals = manifest_of(shards).totals
    assert totals["documents_read"] == len(lines)
    assert totals["documents_kept"] == totals["rows"]


def test_summaries_are_shorter_than_what_they_sum_up(
    tmp_path: Path, shared_small: Path, tokenizer_file: Path
) -> None:
    source = shared_small / "summarisation" / "scitldr-a-dev.jsonl.gz"
    records = map(json.loads, gzip.decompress(source.read_bytes()).decode().splitlines())
    pairs = [(" ".join(r["source"]), r["target"][0]) for r in records]
    shards = build_pairs(tmp_path, write_jsonl(tmp_path / "a.jsonl", pairs), tokenizer_file)
    manifest = manifest_of(shards)
    assert manifest.totals["rows"] == len(pairs)
    assert manifest.columns["segment"] == "list<uint8>"
    assert manifest.totals["counters"]["truncated_pairs"] > 0
