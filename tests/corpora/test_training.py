"""A small masked language model learns from the shards; one given shuffled labels does not."""

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

STEPS, WIDTH, LENGTH = 500, 64, 64


@pytest.fixture(scope="module")
def sample_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample corpus in rows of 64 WordPiece tokens."""
    folder = tmp_path_factory.mktemp("training")
    sources = [{"path": str(ROOT / "samples" / name)} for name in ("wiki", "books", "news")]
    tokenizer, out = folder / "tokenizer.json", folder / "set"
    values = {
        "sources": sources,
        "tokenizer": str(tokenizer),
        "output": str(out),
        "rows": {"max_length": LENGTH},
    }
    job = Job.model_validate(values)
    train_tokenizer(
        job.sources, tokenizer, Training(kind="wordpiece", vocab_size=400, lowercase=True)
    )
    build(job, LineReporter(stream=io.StringIO()))
    return out


class TinyBert(torch.nn.Module):
    """Two transformer layers over token and position embeddings."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.tokens = torch.nn.Embedding(vocabulary_size, WIDTH)
        self.places = torch.nn.Embedding(LENGTH, WIDTH)
        torch.nn.init.normal_(self.tokens.weight, std=0.05)
        torch.nn.init.normal_(self.places.weight, std=0.05)
        layer = torch.nn.TransformerEncoderLayer(
            WIDTH, 4, 128, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits ``[B, L, V]``."""
        ids = batch["input_ids"]
        hidden = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        hidden = self.layers(hidden, src_key_padding_mask=batch["attention_mask"] == 0)
        logits: torch.Tensor = hidden @ self.tokens.weight.T
        return logits


def final_loss(path: Path, *, shuffle_labels: bool) -> float:
    """The mean loss of the last 40 steps, nats per masked token."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    shards = premask.open_shards(path)
    model = TinyBert(shards.vocabulary.size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loader = premask.Loader(shards, policy="random", batch_size=16, backend="torch")
    losses: list[float] = []
    while len(losses) < STEPS:
        loader.set_epoch(len(losses) // len(loader))
        for batch in loader:
            labels = batch["labels"]
            if shuffle_labels:
                masked = labels != -100
                found = labels[masked]
                labels[masked] = found[torch.randperm(len(found))]
            loss = torch.nn.functional.cross_entropy(
                model(batch).flatten(0, 1), labels.flatten()
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
    return sum(losses[-40:]) / 40


@pytest.mark.slow
def test_true_labels_are_learned_and_shuffled_ones_are_not(sample_set: Path) -> None:
    learned = final_loss(sample_set, shuffle_labels=False)
    control = final_loss(sample_set, shuffle_labels=True)
    print(f"loss {learned:.3f} with true labels, {control:.3f} with shuffled ones")
    assert learned < control - 0.2
