"""A torch `DataLoader` with worker processes, for code that insists on one.

python examples/torch_dataloader.py SHARDS
"""

from __future__ import annotations

import sys

import premask
import torch
from premask.torch_data import data_loader
from tiny_model import TinyModel


def main(path: str) -> None:
    torch.manual_seed(0)
    shards = premask.open_shards(path)
    loader = premask.Loader(shards, policy="whole_word", batch_size=8)
    batches = data_loader(loader, num_workers=2, persistent_workers=True)
    model = TinyModel(shards.vocabulary.size, longest=shards.manifest.max_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(2):
        batches.set_epoch(epoch)
        for batch in batches:
            loss = model(**batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {len(batches)} batches, loss {loss.item():.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
