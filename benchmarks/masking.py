"""Masking on one core: every policy and kernel beside Hugging Face, NumPy and a plain copy.

    python -m benchmarks.masking [--quick] [--policies NAME ...] [--shapes ROWSxTOKENS ...]

Prints, for batches of 32,768 tokens in three shapes, how many times as fast as Hugging Face's
mask step each way is (``x mask``: arrays to arrays), and as its whole collator as the Trainer
calls it (``x collate``: rows to a batch). All ways are measured in turn, for several rounds in
one run, and ratios are those of the best times, so that a busy machine disturbs all alike.
Kernels make the whole batch from stored rows; the reference masks rows that are padded already.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import premask
import torch
from premask._format import BOUNDARIES, INPUT_IDS
from premask.kernels.masker import KernelMasker
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from tokenizers import Tokenizer, models
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

SHAPES = ((256, 128), (64, 512), (16, 2048))
QUICK = ("random", "roberta", "whole_word", "clm")
POLICIES = (
    *QUICK[:3],
    "bernoulli",
    "entity",
    "phrase",
    "frequency",
    "syntax",
    "span",
    "span_corruption",
    "denoising",
    "clm",
)
SIZE, CLS, SEP, MASK, WORDS, SENTENCES = 30522, 101, 102, 103, 0.74, 0.04
VOCABULARY = Vocabulary(
    size=SIZE,
    pad_id=0,
    mask_id=MASK,
    cls_id=CLS,
    sep_id=SEP,
    bos_id=CLS,
    eos_id=SEP,
    special_ids=(0, 100, CLS, SEP, MASK, *range(500, 900)),
    sentinel_ids=tuple(range(500, 900)),
    prefix_ids=(CLS,),
    suffix_ids=(SEP,),
    replacement_ranges=((1000, SIZE),),
)
Way = Callable[[], Any]
# What does the same as a policy, where that is not Hugging Face's mask step.
PEERS = {
    "whole_word, numba": "Hugging Face, whole words",
    "span_corruption, numba": "T5 collator in NumPy",
}


def make_rows(num_rows: int, length: int) -> premask.Rows:
    """Rows of one length: words of 1.35 tokens, sentences, some entities and phrases."""
    rng = np.random.default_rng(0)
    shape = (num_rows, length)
    ids = rng.integers(1000, SIZE, shape)
    bits = np.where(rng.random(shape) < WORDS, 2, 0)
    bits = bits | np.where(rng.random(shape) < SENTENCES, 4 | 2, 0)
    for opens, inside in ((16, 32), (64, 128)):
        bits = bits | np.where(rng.random(shape) < 0.1, opens | inside | 2, 0)
    ids[:, 0], ids[:, -1] = CLS, SEP
    bits[:, 0] = bits[:, -1] = 1
    binding = Binding(
        vocabulary=VOCABULARY,
        max_length=length,
        tables={"counts": np.arange(SIZE, 0, -1)},
        tracks={"pos_tags": ("", "NOUN", "VERB", "DET", "ADJ", "PUNCT")},
    )
    tags = rng.integers(0, 6, shape)
    rows = premask.make_rows(
        binding,
        {INPUT_IDS: list(ids), BOUNDARIES: list(bits), "pos_tags": list(tags)},
        seed=rng.integers(0, 2**63, num_rows),
    )
    compact = {**rows.lists, INPUT_IDS: rows.lists[INPUT_IDS].astype(np.uint16)}
    return premask.Rows(
        lists=compact,
        lengths=rows.lengths,
        numbers=rows.numbers,
        row_ids=rows.row_ids,
        binding=binding,
    )


def numpy_by_hand(ids: np.ndarray, special: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bernoulli masks in a few NumPy operations and one random number per token."""
    draw = rng.random(ids.shape, np.float32)
    chosen = (draw < 0.15) & ~special
    labels = np.where(chosen, ids, -100)
    masked = np.where(chosen & (draw < 0.12), MASK, ids)
    places = np.flatnonzero(chosen & (draw >= 0.12) & (draw < 0.135))
    masked.reshape(-1)[places] = rng.integers(1000, SIZE, len(places))
    return np.stack([masked, labels])


def t5_by_hand(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Span corruption as the known NumPy collators for T5 do it: a mask per row, then arrays.

    The algorithm and the calls of Hugging Face's example collator (and nanoT5's), which is in
    no package; `benchmarks` has it in words of its own.
    """
    hidden = np.stack([_t5_mask(ids.shape[1]) for _ in range(len(ids))])
    sides = []
    for noise in (hidden, ~hidden):
        opens = noise & ~np.concatenate([np.zeros((len(ids), 1), bool), noise[:, :-1]], 1)
        sentinel = np.where(opens, SIZE - np.cumsum(opens, 1), 0)
        full = np.where(sentinel != 0, sentinel, np.where(noise, -1, ids))
        side = full[full >= 0].reshape(len(ids), -1)
        sides.append(np.concatenate([side, np.full((len(ids), 1), 1, np.int64)], 1))
    return sides[0], sides[1]


def _t5_mask(length: int) -> np.ndarray:
    """Which tokens are noise: 15 % of them, in spans of 3 on average."""
    noise = round(length * 0.15)
    spans = max(1, round(noise / 3))
    parts = []
    for items in (noise, length - noise):
        begins = np.arange(items - 1) < spans - 1
        np.random.shuffle(begins)  # what those collators call
        segment = np.cumsum(np.pad(begins, [[1, 0]]))
        parts.append(np.unique(segment, return_counts=True)[1])
    lengths = np.stack([parts[1], parts[0]], 1).reshape(-1)
    starts = np.zeros(length, np.int64)
    starts[np.cumsum(lengths)[:-1]] = 1
    return np.asarray(np.cumsum(starts) % 2 == 1)


def offsets(bits: np.ndarray) -> np.ndarray:
    """Character offsets ``[B, L, 2]``: the tokens of a word touch, words are a space apart."""
    begins = ((bits & 2) != 0) | (bits == 1)
    starts = np.arange(bits.shape[1]) * 3 + np.cumsum(begins, 1)
    found = np.stack([starts, starts + 3], -1)
    found[bits == 1] = 0
    return np.asarray(found)


def hugging_face(*, whole_words: bool = False) -> DataCollatorForLanguageModeling:
    words = {f"w{i}": i for i in range(SIZE)}
    names = {"[PAD]": 0, "[UNK]": 100, "[CLS]": CLS, "[SEP]": SEP, "[MASK]": MASK}
    for name, number in names.items():
        del words[f"w{number}"]
        words[name] = number
    make: Any = PreTrainedTokenizerFast  # has no types
    tokenizer = make(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    return DataCollatorForLanguageModeling(tokenizer, whole_word_mask=whole_words)


def ways(rows: premask.Rows, policies: Sequence[str]) -> Mapping[str, Way]:
    """What is measured, by name; the first two are what the others are compared with."""
    collator, rng = hugging_face(), np.random.default_rng(0)
    ids = rows.lists[INPUT_IDS].astype(np.int64)
    special = rows.lists[BOUNDARIES] == 1
    tensor, flags = torch.from_numpy(ids), torch.from_numpy(special)
    features = [{"input_ids": row, "attention_mask": [1] * len(row)} for row in ids.tolist()]
    outputs = np.empty((3, *ids.shape), np.int64)
    words, places = hugging_face(whole_words=True), offsets(rows.lists[BOUNDARIES])
    found: dict[str, Way] = {
        "Hugging Face, mask step": lambda: collator.torch_mask_tokens(tensor.clone(), flags),
        "Hugging Face, collator": lambda: collator(features),
        "Hugging Face, whole words": lambda: words.torch_mask_tokens(
            tensor.clone(), flags, places
        ),
        "T5 collator in NumPy": lambda: t5_by_hand(ids),
        "NumPy by hand, mask step": lambda: numpy_by_hand(ids, special, rng),
        "copy to three outputs": lambda: np.copyto(outputs, rows.lists[INPUT_IDS]),
    }
    padded, width, wide = rows.pad(), ids.shape[1], np.dtype(np.int64)
    for name in policies:
        reference = premask.policy(name).bind(rows.binding, kernel="reference")
        found[f"{name}, reference"] = partial(reference, padded, 0)
        fused = premask.policy(name).bind(rows.binding, kernel="auto")
        if isinstance(fused, KernelMasker):
            found[f"{name}, numba"] = partial(fused.batch, rows, 0, width, wide)
    return found


def best_times(found: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """Seconds of the best of `rounds`; in each, all ways run up to 8 times, for about 40 ms."""
    best = dict.fromkeys(found, float("inf"))
    for _ in range(rounds + 1):
        for name, way in found.items():
            for _ in range(max(1, min(8, int(0.04 / best[name])))):
                start = time.perf_counter()
                way()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def shape(text: str) -> tuple[int, int]:
    """``256x128`` as the numbers of rows and of tokens in each."""
    num_rows, length = text.split("x")
    return int(num_rows), int(length)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few policies, few rounds")
    parser.add_argument("--policies", nargs="+", metavar="NAME", help="presets to measure")
    parser.add_argument("--shapes", nargs="+", type=shape, default=SHAPES, metavar="BxL")
    asked = parser.parse_args()
    policies = asked.policies or (QUICK if asked.quick else POLICIES)
    torch.set_num_threads(1)
    lines: dict[str, list[str]] = {}
    beside: dict[str, list[str]] = {}
    for num_rows, length in asked.shapes:
        found = ways(make_rows(num_rows, length), policies)
        times = best_times(found, 2 if asked.quick else 6)
        mask, collate = list(times.values())[:2]
        for name, seconds in times.items():
            rate = num_rows * length / seconds / 1e6
            text = f"{mask / seconds:7.1f} {collate / seconds:8.1f} {rate:8.1f}"
            lines.setdefault(name, []).append(text)
            if name in PEERS:
                beside.setdefault(name, []).append(f"{times[PEERS[name]] / seconds:.1f}")
    shapes = "   ".join(f"{f'{b} x {n}':>25}" for b, n in asked.shapes)
    print(f"{'':28}   {shapes}")
    print(f"{'':28}   " + "   ".join(" x mask x collate  Mtok/s" for _ in asked.shapes))
    for name, columns in lines.items():
        print(f"{name:28}   " + "   ".join(columns))
    for name, ratios in beside.items():
        print(f"{name}: {' / '.join(ratios)} x {PEERS[name]}")


if __name__ == "__main__":
    main()
