"""Accelerate: `prepare` leaves the loader as it is, on one process or many.

python examples/accelerate_loop.py SHARDS
accelerate launch --num_processes 2 examples/accelerate_loop.py SHARDS
"""

from __future__ import annotations

import sys

import premask
import torch
from accelerate import Accelerator
from premask.torch_data import data_loader
from tiny_model import TinyModel


def main(path: str) -> None:
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    shards = premask.open_shards(path)
    batches = data_loader(premask.Loader(shards, policy="random", batch_size=8))
    model = TinyModel(shards.vocabulary.size, longest=shards.manifest.max_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model, optimizer, batches = accelerator.prepare(model, optimizer, batches)
    for epoch in range(2):
        batches.set_epoch(epoch)
        for batch in batches:
            loss = model(**batch)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        accelerator.print(f"epoch {epoch}: {len(batches)} batches, loss {loss.item():.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
