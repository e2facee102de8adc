"""Shard sets of every arrangement: built, verified, loaded, frozen, and masked within parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
import torch
from premask._format import Boundary
from premask.pipeline.freeze import freeze
from premask.pipeline.lineage import documents_of, rows_of
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.verify import verify
from premask.schemas.job import Job
from tokenizers import Tokenizer
from transformers import AlbertConfig, AlbertForPreTraining, BertConfig, BertForPreTraining

from tests.pipeline.sets import files_of, manifest_of, run_build

MakeJob = Callable[..., Job]
RULES = {"pipeline": "premask/rules", "tracks": ["sentences"]}
ROWS: dict[str, dict[str, Any]] = {
    "full": {},
    "documents": {"packing": "best_fit"},
    "lines": {"packing": "in_order"},
    "sentences": {},
    "document_sentences": {"dupe_factor": 2},
    "segment_pairs": {"short_row_probability": 0.2, "dupe_factor": 2},
    "sentence_order": {},
}
LABELS = {"segment_pairs": "next_sentence_label", "sentence_order": "sentence_order_label"}


def settings_of(arrangement: str) -> dict[str, Any]:
    return {"arrangement": arrangement, "max_length": 40, **ROWS[arrangement]}


def build(make_job: MakeJob, arrangement: str, out: Path, **changes: Any) -> Path:
    job = make_job(
        rows=settings_of(arrangement), annotate=RULES, **{"output": str(out), **changes}
    )
    run_build(job)
    return out


@pytest.mark.parametrize("arrangement", ROWS)
def test_a_set_of_every_arrangement_is_sound(
    make_job: MakeJob, tmp_path: Path, arrangement: str
) -> None:
    out = build(make_job, arrangement, tmp_path / "out")
    manifest, faults = verify(str(out))
    assert faults == []
    assert manifest.totals["documents_kept"] == 120
    assert manifest.totals["rows"] > 100
    assert manifest.annotator is not None
    assert manifest.annotator["name"] == "premask/rules"
    if arrangement in LABELS:
        assert manifest.columns["token_type_ids"] == "list<uint8>"
        assert manifest.columns[LABELS[arrangement]] == "uint8"
    if ROWS[arrangement].get("packing"):
        counters = manifest.totals["counters"]
        used = counters["packed_tokens"] / (
            counters["packed_tokens"] + counters["padding_tokens"]
        )
        assert used > 0.6


def test_sets_are_the_same_bytes_on_ray(make_job: MakeJob, tmp_path: Path) -> None:
    local = build(make_job, "segment_pairs", tmp_path / "local")
    ray = build(make_job, "segment_pairs", tmp_path / "ray", engine="ray", workers=2)
    assert files_of(local) == files_of(ray)


@pytest.mark.parametrize("arrangement", ROWS)
def test_every_row_leads_to_its_documents_and_back(
    make_job: MakeJob, tmp_path: Path, tokenizer_file: Path, corpus: Path, arrangement: str
) -> None:
    out = build(make_job, arrangement, tmp_path / "out")
    shards = premask.open_shards(out)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    texts: dict[str, list[int]] = {}
    named: dict[str, set[int]] = {}
    for row in range(len(shards)):
        places = documents_of(shards, row)
        assert len(places) == shards[row]["num_documents"]
        assert places[0].document_id == shards[row]["document_id"]
        for place in places:
            named.setdefault(place.document_id, set()).add(row)
            if place.document_id not in texts:
                data = (corpus / place.unit.split(":")[0]).read_bytes()[place.position :]
                text = data.split(b"\n\n")[0].decode()
                texts[place.document_id] = tokenizer.encode(text, add_special_tokens=False).ids
        own = [token for place in places for token in texts[place.document_id]]
        special = (shards[row]["boundaries"] & int(Boundary.SPECIAL)) != 0
        assert not Counter(shards[row]["input_ids"][~special].tolist()) - Counter(own)
    assert len(texts) == 120
    for name in sorted(named)[::9]:
        found = rows_of(shards, name)
        assert len(found) == len(named[name])
        assert set(found) == named[name]


@pytest.fixture(params=LABELS)
def two_segments(
    request: pytest.FixtureRequest, make_job: MakeJob, tmp_path: Path
) -> tuple[Path, str]:
    """A set of two segments per row, and the name of its label."""
    return build(make_job, request.param, tmp_path / "out"), LABELS[request.param]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("policy", ["random", "whole_word", "clm", None])
def test_batches_carry_types_and_label(
    two_segments: tuple[Path, str], policy: str | None, backend: Any
) -> None:
    out, label = two_segments
    shards = premask.open_shards(out)
    loader = premask.Loader(
        shards, policy=policy, batch_size=16, backend=backend, pad_to=8, audit=True
    )
    for batch in loader:
        rows = shards.rows(np.asarray(batch["row_ids"]))
        assert batch["token_type_ids"].shape == batch["input_ids"].shape
        assert batch[label].shape == (len(rows),)
        assert np.array_equal(np.asarray(batch[label]), rows.numbers[label])
        types = np.asarray(batch["token_type_ids"])
        width = rows.lists["token_type_ids"].shape[1]
        assert np.array_equal(types[:, :width], rows.lists["token_type_ids"])
        assert not types[:, width:].any()
        if backend == "torch":
            assert batch["token_type_ids"].dtype == batch[label].dtype == torch.int64


def test_a_policy_that_moves_tokens_leaves_the_types_out(
    two_segments: tuple[Path, str],
) -> None:
    out, label = two_segments
    batch = next(iter(premask.Loader(out, policy="mass", batch_size=8, backend="numpy")))
    assert "token_type_ids" not in batch
    assert label in batch


def test_frozen_sets_carry_types_and_label(
    two_segments: tuple[Path, str], tmp_path: Path
) -> None:
    out, label = two_segments
    quiet = Reporters(reporters=())
    freeze(
        str(out),
        str(tmp_path / "static"),
        premask.policy("whole_word"),
        epochs=2,
        engine=LocalEngine(),
        reporter=quiet,
    )
    assert verify(str(tmp_path / "static"))[1] == []
    dynamic = premask.open_shards(out)
    static = premask.open_shards(tmp_path / "static")
    seeds = dynamic.rows(slice(None)).seed.tolist()
    rows = static.rows(slice(None))
    for index in range(len(static)):
        same = dynamic[seeds.index(int(rows.seed[index]))]
        assert static[index]["token_type_ids"].tolist() == same["token_type_ids"].tolist()
        assert static[index][label] == same[label]
    batch = next(iter(premask.Loader(static, policy=None, batch_size=4, backend="numpy")))
    assert batch["token_type_ids"].shape == batch["input_ids"].shape
    assert batch[label].shape == (4,)


@pytest.mark.parametrize("arrangement", LABELS)
def test_models_take_the_batches(make_job: MakeJob, tmp_path: Path, arrangement: str) -> None:
    out = build(make_job, arrangement, tmp_path / "out")
    loader = premask.Loader(out, policy="whole_word", batch_size=8, backend="torch")
    size = manifest_of(out).vocabulary.size
    shape: dict[str, Any] = {"vocab_size": size, "hidden_size": 8, "num_hidden_layers": 1}
    heads: dict[str, Any] = {"num_attention_heads": 1, "intermediate_size": 8}
    model: Any = (
        BertForPreTraining(BertConfig(**shape, **heads))
        if arrangement == "segment_pairs"
        else AlbertForPreTraining(AlbertConfig(embedding_size=8, **shape, **heads))
    )
    loss = model(**next(iter(loader))).loss
    assert torch.isfinite(loss)


@pytest.mark.parametrize("policy", ["whole_word", "span", "ngram"])
def test_no_unit_reaches_over_a_separator(two_segments: tuple[Path, str], policy: str) -> None:
    # In the published code a word piece behind [SEP] is masked with the last word before it.
    shards = premask.open_shards(two_segments[0])
    rows = shards.rows(slice(None))
    special = (rows.lists["boundaries"] & int(Boundary.SPECIAL)) != 0
    inside = np.arange(special.shape[1]) < rows.lengths["input_ids"][:, None]
    last, first = 0, 0
    both, epochs = 0, range(40)
    for epoch in epochs:
        masked = premask.apply_policy(policy, rows, epoch)["labels"] != -100
        assert not (masked & (special | ~inside)).any()
        middle = (special & inside).cumsum(axis=1)
        at = (middle == 2).argmax(axis=1)
        index = np.arange(len(rows))
        before, behind = masked[index, at - 1], masked[index, at + 1]
        last, first = last + before.sum(), first + behind.sum()
        both += (before & behind).sum()
    total = len(rows) * len(epochs)
    expected = last / total * first / total
    # Independent but for the budget that they share.
    assert both / total < 2 * expected + 0.01


def test_ranks_of_sentences_stand_beside_other_tracks(
    make_job: MakeJob, tmp_path: Path
) -> None:
    annotate = {"pipeline": "premask/rules", "tracks": ["sentences", "sentence_ranks"]}
    job = make_job(
        rows=settings_of("segment_pairs"), annotate=annotate, output=str(tmp_path / "out")
    )
    run_build(job)
    assert verify(str(tmp_path / "out"))[1] == []
    row = premask.open_shards(tmp_path / "out")[0]
    assert len(row["sentence_ranks"]) == len(row["token_type_ids"]) == len(row["input_ids"])


def test_labels_tell_whose_sentences_follow(make_job: MakeJob, tmp_path: Path) -> None:
    out = build(make_job, "segment_pairs", tmp_path / "out", unit_bytes=1 << 20)
    rows = premask.open_shards(out).rows(slice(None))
    labels = rows.numbers["next_sentence_label"]
    assert np.array_equal(labels, rows.numbers["num_documents"] - 1)
    counters = manifest_of(out).totals["counters"]
    assert counters["random_next"] == labels.sum()
    free = len(labels) - counters.get("forced_random_next", 0)
    share = (labels.sum() - counters.get("forced_random_next", 0)) / free
    assert abs(share - 0.5) < 5 * (0.25 / free) ** 0.5
