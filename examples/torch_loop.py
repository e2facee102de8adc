"""A plain torch loop: epochs, a checkpoint in the middle, and resumption from it.

    python examples/torch_loop.py SHARDS

Under `torchrun` every rank takes its own part of each global batch; nothing else changes.
"""

from __future__ import annotations

import sys

import premask
import torch
from tiny_model import TinyModel

EPOCHS, CHECKPOINT = 2, 5


def main(path: str) -> None:
    torch.manual_seed(0)
    shards = premask.open_shards(path)
    loader = premask.Loader(shards, policy="random", batch_size=8)
    model = TinyModel(shards.vocabulary.size, longest=shards.manifest.max_length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    step, checkpoint, losses = 0, {}, []
    while loader.epoch < EPOCHS:
        for batch in loader:  # one epoch; the next `for` is the next epoch
            loss = model(**batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
            if step == CHECKPOINT:
                checkpoint = loader.state_dict()
    print(f"{step} steps, loss {losses[0]:.3f} -> {losses[-1]:.3f}")

    again = premask.Loader(shards, policy="random", batch_size=8)
    again.load_state_dict(checkpoint)
    left = sum(len(batch["input_ids"]) for batch in again)
    print(f"resumed after {checkpoint['rows_consumed']} rows, {left} left in that epoch")


if __name__ == "__main__":
    main(sys.argv[1])
