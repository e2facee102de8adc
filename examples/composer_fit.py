"""Composer: the loader's state goes into its checkpoints, so it resumes within an epoch.

    python examples/composer_fit.py SHARDS

Composer (``pip install mosaicml``) finds the state by `state_dict` of the loader's dataset;
without it, it would read an epoch again up to the batch where it stopped.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import premask
import torch
from composer import Trainer
from composer.models import ComposerModel
from premask.torch_data import TorchLoader, data_loader
from tiny_model import TinyModel


class Model(ComposerModel):
    """The tiny model as a Composer model; it keeps what it was trained on, for this example."""

    def __init__(self, vocabulary_size: int, longest: int) -> None:
        super().__init__()
        self.model = TinyModel(vocabulary_size, longest=longest)
        self.seen: list[torch.Tensor] = []

    def forward(self, batch: dict[str, torch.Tensor]) -> Any:
        self.seen.append(batch["input_ids"])
        return self.model(**batch)

    def loss(self, outputs: torch.Tensor, _: Any) -> torch.Tensor:
        return outputs


def trainer(shards: premask.ShardSet, duration: str, **options: Any) -> Trainer:
    loader = premask.Loader(shards, policy="random", batch_size=8)
    batches: TorchLoader = data_loader(loader)
    model = Model(shards.vocabulary.size, shards.manifest.max_length)
    return Trainer(
        model=model,
        train_dataloader=batches,
        optimizers=torch.optim.AdamW(model.parameters(), lr=1e-3),
        max_duration=duration,
        device="cpu",
        progress_bar=False,
        **options,
    )


def main(path: str) -> None:
    shards = premask.open_shards(path)
    with tempfile.TemporaryDirectory() as folder:
        whole = trainer(shards, "2ep", save_folder=folder, save_interval="5ba")
        whole.fit()
        resumed = trainer(shards, "2ep", load_path=f"{folder}/ep0-ba5-rank0.pt")
        resumed.fit()
    left = whole.state.model.seen[5:]
    same = all(map(torch.equal, left, resumed.state.model.seen))
    print(f"{whole.state.timestamp.batch} steps")
    print(f"resumed for {len(resumed.state.model.seen)} steps, on the same batches: {same}")


if __name__ == "__main__":
    main(sys.argv[1])
