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
from premask._errors import PolicyError, RequestError
from premask._format import BOUNDARIES, INPUT_IDS, ROW_LABELS, SEED, Boundary
from premask._numbers import EPOCHS, SEEDS, whole
from premask._tokenizers import WordRule, longest_row, vocabulary_of, word_rule
from premask.batching.assemble import Assembler, Batch
from premask.batching.beside import beside
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
    `special_tokens_mask`, `attention_mask` (of rows padded before) and tracks are used;
    `token_type_ids` and labels of the row go along, where tokens stay in their places; others
    are dropped.

    Raises:
        RequestError: an argument is wrong; a row has no ids, or some that are no tokens.
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
        self.seed = whole("seed", seed, below=SEEDS)
        epoch = whole("epoch", epoch, below=EPOCHS)
        self._words: WordRule | None = None
        if isinstance(tokenizer, Vocabulary):
            vocabulary, limit = tokenizer, 512
        elif not hasattr(tokenizer, "convert_ids_to_tokens"):
            raise RequestError(
                f"tokenizer must be a Hugging Face tokenizer or a Vocabulary, got {tokenizer!r}"
            )
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
        self._epoch[0] = whole("epoch", epoch, below=EPOCHS)

    def __call__(self, features: Sequence[Feature]) -> Batch:
        """The masked batch of `features`."""
        return self._assemble(self.rows(features), self.epoch)

    def rows(self, features: Sequence[Feature]) -> Rows:
        """The rows of `features` with their seeds and boundaries, not masked yet."""
        items: list[Mapping[str, Any]] = [
            x if isinstance(x, Mapping) else {INPUT_IDS: x} for x in features
        ]
        if not items:
            raise RequestError("a batch needs at least one row, got none")
        along = beside(self.policy, items[0])
        lists: dict[str, list[np.ndarray]] = {INPUT_IDS: [], BOUNDARIES: []}
        lists |= {name: [] for name in self.policy.needs if name in items[0]}
        lists |= {name: [] for name in along if name not in ROW_LABELS}
        for number, item in enumerate(items):
            kept = _kept(item)
            ids = self._ids(item, number)[kept]
            lists[INPUT_IDS].append(ids)
            lists[BOUNDARIES].append(self._boundaries(item, ids, kept))
            for name in lists:
                if name not in (INPUT_IDS, BOUNDARIES):
                    lists[name].append(np.asarray(item[name])[kept])
        seed = [
            self._seed(item, ids) for item, ids in zip(items, lists[INPUT_IDS], strict=True)
        ]
        rows = make_rows(self._binding, lists, seed=seed)
        labels = [name for name in along if name in ROW_LABELS]
        rows.numbers |= {name: np.array([int(x[name]) for x in items]) for name in labels}
        return rows

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

    def _ids(self, item: Mapping[str, Any], number: int) -> np.ndarray:
        """The token ids of a row, once they are some: int64 ``[T]``."""
        if INPUT_IDS not in item:
            raise RequestError(
                f"row {number} of the batch has no input_ids, only {', '.join(item)}; tokenize "
                "the dataset first, and give Trainer remove_unused_columns=False"
            )
        ids = np.asarray(item[INPUT_IDS])
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise RequestError(
                f"input_ids of row {number} are {ids.dtype} {ids.shape}; a row is one sequence "
                "of whole numbers"
            )
        size = len(self._is_special_V)
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < size:
            raise RequestError(
                f"row {number} of the batch has token ids from {ids.min()} to {ids.max()}; the "
                f"vocabulary has {size}; was it tokenized with another tokenizer?"
            )
        return ids.astype(np.int64)

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
