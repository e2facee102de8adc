"""Hugging Face Trainer: override one method. Resuming skips batches without moving a mask.

python examples/hf_trainer.py SHARDS
"""

from __future__ import annotations

import sys
import tempfile

import premask
from premask.torch_data import TorchLoader, data_loader
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments


class PremaskTrainer(Trainer):
    """A Trainer whose batches come from a shard set."""

    def __init__(self, shards: premask.ShardSet, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.shards = shards

    def get_train_dataloader(self) -> TorchLoader:
        size = self.args.per_device_train_batch_size
        return data_loader(premask.Loader(self.shards, policy="random", batch_size=size))


def main(path: str) -> None:
    shards = premask.open_shards(path)
    config = BertConfig(
        vocab_size=shards.vocabulary.size,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=shards.manifest.max_length,
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=2,
            per_device_train_batch_size=8,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            save_strategy="no",
        )
        result = PremaskTrainer(shards, model=BertForMaskedLM(config), args=arguments).train()
    print(f"{result.global_step} steps, loss {result.training_loss:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
