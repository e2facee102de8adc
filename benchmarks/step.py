"""Masking's share of a training step of BERT-base on a GPU, and of the memory's bandwidth.

    python -m benchmarks.step [--policy whole_word] [--rows 64] [--length 512]

Needs a CUDA device. Without one it runs a tiny model on the CPU, which shows that the script
works and nothing else: it says so, and its figures mean nothing.

Prints for every kernel that can mask there: milliseconds per batch (compact rows on the host to
finished batch on the device), its share of a step (forward, backward and optimizer of
`BertForMaskedLM` in bfloat16), and the bytes that the mask must move, over those that a copy on
the device moves in the same time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import premask
import torch
from premask.batching.assemble import Assembler
from premask.kernels import available_kernels
from transformers import BertConfig, BertForMaskedLM

from benchmarks.masking import SIZE, make_rows

TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
# Compact ids and boundaries in, three int64 outputs out.
BYTES_PER_TOKEN = 3 + 3 * 8


def seconds(run: Callable[[], Any], device: str, rounds: int) -> float:
    """The best time of `rounds`, with the device's work finished."""
    best = float("inf")
    for _ in range(rounds + 2):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def make_step(device: str, length: int) -> Callable[[dict[str, Any]], None]:
    """One training step of a fresh model: BERT-base on a GPU, a tiny one elsewhere."""
    changes: dict[str, Any] = {} if device == "cuda" else {**TINY, "intermediate_size": 128}
    config = BertConfig(vocab_size=SIZE, max_position_embeddings=length, **changes)
    model: Any = BertForMaskedLM(config)
    model = model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(batch: dict[str, Any]) -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def copy_rate(device: str, size: int) -> float:
    """Bytes per second, read and written, of a copy of `size` bytes on the device."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds(lambda: target.copy_(source), device, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="whole_word")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=512)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    num_rows, length = options.rows, options.length
    if device == "cpu":
        torch.set_num_threads(1)
        num_rows, length = 4, 64
        print("NO CUDA DEVICE: a smoke run with a tiny model; these figures mean nothing\n")
    else:
        print(f"{torch.cuda.get_device_name()}, {num_rows} rows of {length} tokens\n")
    rows = make_rows(num_rows, length)
    policy = premask.policy(options.policy)
    step, rate = (
        make_step(device, length),
        copy_rate(device, 1 << 28 if device == "cuda" else 1 << 20),
    )
    names: list[Any] = [k for k in available_kernels() if (k == "triton") == (device == "cuda")]
    for kernel in dict.fromkeys(["reference", *names]):
        make = Assembler(policy, rows.binding, backend="torch", device=device, kernel=kernel)
        batch = make(rows, 0)
        whole = seconds(partial(step, batch), device, 10 if device == "cuda" else 0)
        mask = seconds(partial(make, rows, 0), device, 50)
        bandwidth = num_rows * length * BYTES_PER_TOKEN / mask / rate
        print(
            f"{kernel:10} mask {1e3 * mask:8.3f} ms   step {1e3 * whole:8.2f} ms   "
            f"share {100 * mask / whole:6.2f} %   of a copy's rate {100 * bandwidth:5.1f} %"
        )


if __name__ == "__main__":
    main()
