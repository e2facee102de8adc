"""The torchtitan style: batches for ever as (inputs, labels), state saved with the model's.

    python examples/stateful_steps.py SHARDS

torchtitan asks a loader for `__iter__`, `state_dict` and `load_state_dict`, saves the state
with distributed checkpoints, and counts steps, not epochs. The state is the same on every rank,
so it loads on another number of them. Megatron's external loader is ``iter(Endless(...))``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import premask
import torch

Inputs = dict[str, torch.Tensor]


class Endless:
    """Epoch after epoch of one loader, in the form that torchtitan's trainer takes."""

    def __init__(self, loader: premask.Loader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[Inputs, torch.Tensor]]:
        while True:
            for batch in self.loader:
                yield {"input": batch["input_ids"]}, batch["labels"]

    def state_dict(self) -> dict[str, Any]:
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loader.load_state_dict(state)


def main(path: str) -> None:
    shards = premask.open_shards(path)
    steps = iter(run := Endless(premask.Loader(shards, policy="random", batch_size=8)))
    for _ in range(15):  # more than an epoch
        next(steps)
    saved = run.state_dict()
    wanted, _ = next(steps)

    resumed = Endless(premask.Loader(shards, policy="random", batch_size=8))
    resumed.load_state_dict(saved)
    found, _ = next(iter(resumed))
    print(f"step 16 of both runs is the same: {torch.equal(wanted['input'], found['input'])}")


if __name__ == "__main__":
    main(sys.argv[1])
