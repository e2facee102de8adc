"""`MaskCollator`: replayable masks for any dataset, in the place of a Hugging Face collator.

A drop-in for `DataCollatorForLanguageModeling`, and, with another policy, for the whole-word,
T5 and BART collators. What it needs of a row is an identity, because a mask is a function of
(row, epoch, policy) and of nothing else. In this order:

1. a column `seed` (64 bits), as in Premask's own shards,
2. a column `row_id`: any integer that stays with the row,
3. the content: a 64-bit BLAKE2b hash of the token ids, so equal rows get equal masks.

The epoch is shared with worker processes, persistent ones too; `set_epoch` or `callback` moves
it on. No generator is involved, so ranks, workers, batches and resumption cannot disturb it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from premask._assemble import Assembler, Batch
from premask._errors import PolicyError, RequestError
from premask._format import BOUNDARIES, INPUT_IDS, SEED, Boundary
from premask._tokenizers import WordRule, longest_row, vocabulary_of, word_rule
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from premask.masking.policy import Policy
from premask.masking.policy import policy as make_policy
from premask.masking.threefry import signed, threefry2x32
from premask.rows import Rows, make_rows

ROW_ID = "row_id"
# What a policy that keeps words whole has in its canonical form.
_OF_WORDS = ('"units":"word"', '"mask_spans"', '"mask_ngrams"')
Feature = Mapping[str, Any] | Sequence[int]


class MaskCollator:
    """Turns a list of rows into a masked batch.

    Args:
        tokenizer: a Hugging Face tokenizer, or a `Vocabulary`.
        policy: from `premask.policy`, or what it takes.
        seed: 64 bits; gives rows without a `seed` column theirs.
        epoch: where to begin.
        return_tensors: ``pt`` (int64) or ``np`` (int32).
        pad_to_multiple_of: rounds the width of batches up.
        max_length: the longest row; default: the tokenizer's own limit, or 512.
        tables: what the policy's weights look up, such as ``counts``.

    A row is a mapping with `input_ids`, or a sequence of ids. Its columns `boundaries`,
    `special_tokens_mask`, `attention_mask` (of rows padded before) and tracks are used, others
    are dropped.

    Raises:
        PolicyError: the policy needs what these rows do not have.
    """

    def __init__(
        self,
        tokenizer: Any,
        policy: Policy | Mapping[str, Any] | str = "random",
        *,
        seed: int = 0,
        epoch: int = 0,
        return_tensors: Literal["pt", "np"] = "pt",
        pad_to_multiple_of: int | None = None,
        max_length: int | None = None,
        tables: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        if return_tensors not in ("pt", "np"):
            raise RequestError(f"return_tensors must be 'pt' or 'np', got {return_tensors!r}")
        self.policy = make_policy(policy)
        self.seed = seed
        self._words: WordRule | None = None
        if isinstance(tokenizer, Vocabulary):
            vocabulary, limit = tokenizer, 512
        else:
            vocabulary, limit = vocabulary_of(tokenizer), longest_row(tokenizer)
            self._words = word_rule(tokenizer)
        self._is_special_V = np.zeros(vocabulary.size, bool)
        self._is_special_V[list(vocabulary.special_ids)] = True
        self._binding = Binding(
            vocabulary=vocabulary, max_length=max_length or limit, tables=tables or {}
        )
        self._assemble = Assembler(
            self.policy,
            self._binding,
            backend="torch" if return_tensors == "pt" else "numpy",
            device=None,
            pad_to=pad_to_multiple_of,
        )
        self._epoch = _shared(epoch) if return_tensors == "pt" else np.array([epoch])

    @property
    def epoch(self) -> int:
        """The epoch whose masks are made, in every process."""
        return int(self._epoch[0])

    def set_epoch(self, epoch: int) -> None:
        """Goes to `epoch`, in this process and in its workers."""
        self._epoch[0] = epoch

    def __call__(self, features: Sequence[Feature]) -> Batch:
        """The masked batch of `features`."""
        return self._assemble(self.rows(features), self.epoch)

    def rows(self, features: Sequence[Feature]) -> Rows:
        """The rows of `features` with their seeds and boundaries, not masked yet."""
        items = [x if isinstance(x, Mapping) else {INPUT_IDS: x} for x in features]
        lists: dict[str, list[np.ndarray]] = {INPUT_IDS: [], BOUNDARIES: []}
        lists |= {name: [] for name in self.policy.needs if name in items[0]}
        for item in items:
            kept = _kept(item)
            ids = np.asarray(item[INPUT_IDS])[kept].astype(np.int64)
            lists[INPUT_IDS].append(ids)
            lists[BOUNDARIES].append(self._boundaries(item, ids, kept))
            for name in lists:
                if name not in (INPUT_IDS, BOUNDARIES):
                    lists[name].append(np.asarray(item[name])[kept])
        seed = [
            self._seed(item, ids) for item, ids in zip(items, lists[INPUT_IDS], strict=True)
        ]
        return make_rows(self._binding, lists, seed=seed)

    def callback(self) -> Any:
        """A Hugging Face `TrainerCallback` that moves the epoch on.

        Trainer does not tell a collator of epochs: ``Trainer(..., data_collator=collator,
        callbacks=[collator.callback()])``.
        """
        from transformers import TrainerCallback

        collator = self

        class SetEpoch(TrainerCallback):
            """Follows the trainer's epochs, also where it resumes within one."""

            def on_epoch_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002
                collator.set_epoch(int(state.epoch or 0))

        return SetEpoch()

    def _boundaries(
        self, item: Mapping[str, Any], ids: np.ndarray, kept: slice | np.ndarray
    ) -> np.ndarray:
        if BOUNDARIES in item:
            return np.asarray(item[BOUNDARIES])[kept]
        marked = item.get("special_tokens_mask")
        special = self._is_special_V[ids] if marked is None else np.asarray(marked)[kept] > 0
        bits = np.where(special, Boundary.SPECIAL, 0).astype(np.uint8)
        lacking = [name for name in self.policy.needs if name not in item]
        if self._words is None and any(word in self.policy.canonical for word in _OF_WORDS):
            lacking.append("word_start")
        if lacking:
            raise PolicyError(
                f"policy {self.policy.name!r} needs {', '.join(lacking)}, which these rows "
                "lack; give them a 'boundaries' column, or a tokenizer instead of a vocabulary"
            )
        if self._words is not None:
            starts = self._words.starts(ids)
            starts[1:] |= special[:-1]
            bits[starts & ~special] |= np.uint8(Boundary.WORD_START)
        return bits

    def _seed(self, item: Mapping[str, Any], ids: np.ndarray) -> int:
        if SEED in item:
            return int(item[SEED])
        if ROW_ID in item:
            return _mixed(self.seed, int(item[ROW_ID]))
        key = self.seed.to_bytes(8, "little")
        digest = hashlib.blake2b(ids.astype("<u4").tobytes(), digest_size=8, key=key)
        return int.from_bytes(digest.digest(), "little")


def _kept(item: Mapping[str, Any]) -> slice | np.ndarray:
    """The tokens of a row that are no padding."""
    if "attention_mask" not in item:
        return slice(None)
    return np.asarray(item["attention_mask"]) > 0


def _mixed(seed: int, row_id: int) -> int:
    """A row's 64-bit seed from its number."""
    words = [np.array([signed(x)], np.int32) for x in (seed >> 32, seed, row_id >> 32, row_id)]
    high, low = threefry2x32((words[0], words[1]), (words[2], words[3]))
    return (int(high[0]) & 0xFFFFFFFF) << 32 | int(low[0]) & 0xFFFFFFFF


def _shared(epoch: int) -> Any:
    """A number in memory that forked and spawned workers of a `DataLoader` share."""
    import torch

    return torch.tensor([epoch]).share_memory_()  # type: ignore[no-untyped-call]
