"""Any Hugging Face dataset with replayable masks: `MaskCollator` in Trainer's own place.

    python examples/hf_collator.py SHARDS

Here the dataset happens to be a shard set, whose `seed` column is each row's identity; a
`row_id` column does as well, and without either the content of a row is its identity.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import premask
from datasets import Dataset, concatenate_datasets
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments


def main(path: str) -> None:
    shards = premask.open_shards(path)
    files = sorted(Path(path).glob("shards/*.arrow"))
    dataset = concatenate_datasets([Dataset.from_file(str(file)) for file in files])
    longest = shards.manifest.max_length
    collator = premask.MaskCollator(shards.vocabulary, max_length=longest)
    config = BertConfig(
        vocab_size=shards.vocabulary.size,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=longest,
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=2,
            per_device_train_batch_size=8,
            remove_unused_columns=False,  # keeps `seed` and `boundaries` for the collator
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            save_strategy="no",
        )
        trainer = Trainer(
            model=BertForMaskedLM(config),
            args=arguments,
            train_dataset=dataset,
            data_collator=collator,
            callbacks=[collator.callback()],  # tells the collator of epochs
        )
        result = trainer.train()
    print(
        f"{result.global_step} steps, loss {result.training_loss:.3f}, epoch {collator.epoch}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
