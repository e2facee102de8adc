"""Static shards need no Premask: `datasets` reads them, and the labels are in there.

python examples/static_without_premask.py STATIC_SHARDS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from tiny_model import TinyModel
from torch.nn.utils.rnn import pad_sequence


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    labels = [torch.tensor(row["labels"]) for row in rows]
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(x) for x in ids], batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
    }


def main(path: str) -> None:
    torch.manual_seed(0)
    files = sorted(Path(path).glob("shards/*.arrow"))
    dataset = concatenate_datasets([Dataset.from_file(str(file)) for file in files])
    batches = torch.utils.data.DataLoader(
        dataset,
        batch_size=8,
        shuffle=True,
        collate_fn=collate,
    )
    size = 1 + max(max(row["input_ids"]) for row in dataset)
    model = TinyModel(max(size, 1000))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in batches:
        loss = model(**batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(
        f"{len(dataset)} masked rows, loss {loss.item():.3f}, no Premask: "
        f"{'premask' not in sys.modules}"
    )


if __name__ == "__main__":
    main(sys.argv[1])
