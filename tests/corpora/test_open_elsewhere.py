"""A built set opens in other programs as it is, and trains there without Premask."""

from __future__ import annotations

import io
from pathlib import Path

import premask
import pytest
import torch
from premask.pipeline.build import build
from premask.pipeline.progress import LineReporter
from premask.schemas.job import Job
from premask.stages.train_tokenizer import Training, train_tokenizer

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample corpus in shards, with the pipeline's own commands."""
    folder = tmp_path_factory.mktemp("elsewhere")
    sources = [{"path": str(ROOT / "samples" / name)} for name in ("wiki", "books", "news")]
    values = {
        "sources": sources,
        "tokenizer": str(folder / "tokenizer.json"),
        "output": str(folder / "set"),
        "rows": {"max_length": 64},
    }
    job = Job.model_validate(values)
    train_tokenizer(
        job.sources, folder / "tokenizer.json", Training(kind="wordpiece", vocab_size=1000)
    )
    build(job, LineReporter(stream=io.StringIO()))
    return folder / "set"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def premask_ids(path: Path) -> list[list[int]]:
    """The ids of every row, as Premask itself reads them."""
    rows = premask.open_shards(path).rows(slice(None))
    padded = rows.pad()
    return [
        padded.input_ids[row, :length].tolist() for row, length in enumerate(padded.lengths)
    ]


def test_load_from_disk_gives_the_same_rows(built: Path) -> None:
    import datasets

    assert datasets.load_from_disk(str(built))["input_ids"][:] == premask_ids(built)


def test_load_dataset_gives_the_same_rows(built: Path, tmp_path: Path) -> None:
    import datasets

    files = sorted(str(path) for path in (built / "shards").glob("*.arrow"))
    data = datasets.load_dataset(
        "arrow", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert data["input_ids"][:] == premask_ids(built)


def test_polars_gives_the_same_rows(built: Path) -> None:
    import polars

    files = sorted((built / "shards").glob("*.arrow"))
    table = polars.concat([polars.read_ipc_stream(path) for path in files])
    assert table["input_ids"].to_list() == premask_ids(built)


def test_duckdb_counts_the_tokens_of_the_manifest(built: Path) -> None:
    import duckdb
    import pyarrow as pa

    files = sorted((built / "shards").glob("*.arrow"))
    rows = pa.concat_tables([pa.ipc.open_stream(path).read_all() for path in files])
    connection = duckdb.connect()
    connection.register("rows", rows)
    found = connection.execute("select sum(len(input_ids)) from rows").fetchone()
    connection.close()
    assert found is not None
    assert found[0] == premask.open_shards(built).num_tokens


def test_the_usual_collator_trains_from_it_without_premask(built: Path) -> None:
    import datasets
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(built / "tokenizer.json"),
        mask_token="[MASK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = transformers.BertForMaskedLM(config)
    data = datasets.load_from_disk(str(built)).select_columns(["input_ids"])
    collator = transformers.DataCollatorForLanguageModeling(tokenizer, seed=0)
    loader = torch.utils.data.DataLoader(data, batch_size=16, collate_fn=collator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(4):
        for batch in loader:
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 0.5
