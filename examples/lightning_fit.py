"""Lightning: the loader's state goes into its checkpoints, so it resumes within an epoch.

python examples/lightning_fit.py SHARDS
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import lightning
import premask
import torch
from premask.torch_data import data_loader
from tiny_model import TinyModel


class Module(lightning.LightningModule):
    """The tiny model as a Lightning module."""

    def __init__(self, vocabulary_size: int, longest: int) -> None:
        super().__init__()
        self.model = TinyModel(vocabulary_size, longest=longest)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> Any:
        return self.model(**batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main(path: str) -> None:
    shards = premask.open_shards(path)
    batches = data_loader(premask.Loader(shards, policy="random", batch_size=8))
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=2,
            default_root_dir=folder,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
        )
        trainer.fit(Module(shards.vocabulary.size, shards.manifest.max_length), batches)
    print(f"{trainer.global_step} steps, state {batches.state_dict()['epoch']}")


if __name__ == "__main__":
    main(sys.argv[1])
