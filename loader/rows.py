"""`Rows`: some rows of a shard set on the host, as compact as they are stored.

B rows, W positions (the longest of them). Token ids stay in two bytes until they are on the
device that masks them: `pad` moves the compact arrays and widens them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from premask._errors import RequestError
from premask._format import BOUNDARIES, INPUT_IDS, SEED
from premask.batching.devices import Backend, check_backend, to_device, widen
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows


# Not frozen: for every batch that is read, that would cost more than finding its rows does.
@dataclass(slots=True, kw_only=True)
class Rows:
    """A batch of rows as NumPy arrays in their stored types.

    Attributes:
        lists: ``[B, W]`` by column (`input_ids`, `boundaries`, tracks, static `labels`), each
            row followed by zeros.
        lengths: int64 ``[B]`` by column; the columns of a dynamic set share one array.
        numbers: ``[B]`` by column (`seed` uint64, `num_documents`, static `epoch`).
        row_ids: int64 ``[B]``, row numbers of the set.
        binding: what a policy needs to know of the set.
        document_ids: one per row, where they were asked for.
    """

    lists: Mapping[str, np.ndarray]
    lengths: Mapping[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    row_ids: np.ndarray
    binding: Binding
    document_ids: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def num_tokens(self) -> int:
        return int(self.lengths[INPUT_IDS].sum())

    @property
    def seed(self) -> np.ndarray:
        """uint64 ``[B]``; static rows, which have none, get an error."""
        if SEED not in self.numbers:
            raise RequestError(
                "these rows carry no seed: they are static, masked already; open the dynamic "
                "set that they were frozen from"
            )
        return self.numbers[SEED]

    @property
    def offsets(self) -> np.ndarray:
        """int64 ``[B + 1]``: where each row begins in `values`."""
        return np.concatenate([[0], np.cumsum(self.lengths[INPUT_IDS])]).astype(np.int64)

    def values(self, column: str = INPUT_IDS) -> np.ndarray:
        """The rows of one column end to end, without padding."""
        array, lengths = self.lists[column], self.lengths[column]
        flat: np.ndarray = array[np.arange(array.shape[1]) < lengths[:, None]]
        return flat

    def row(self, index: int, column: str = INPUT_IDS) -> np.ndarray:
        """One row of one column, without padding."""
        values: np.ndarray = self.lists[column][index, : self.lengths[column][index]]
        return values

    def take(self, index: npt.ArrayLike) -> Rows:
        """The rows at `index`: integers, a mask, or a slice made with ``np.s_``."""
        part: Any = index if isinstance(index, slice) else np.asarray(index)
        kept = np.arange(len(self))[part].tolist()
        return Rows(
            lists={name: array[part] for name, array in self.lists.items()},
            lengths={name: array[part] for name, array in self.lengths.items()},
            numbers={name: array[part] for name, array in self.numbers.items()},
            row_ids=self.row_ids[part],
            binding=self.binding,
            document_ids=None
            if self.document_ids is None
            else tuple(self.document_ids[i] for i in kept),
        )

    def pad(
        self,
        backend: Backend = "numpy",
        *,
        device: Any = None,
        length: int | None = None,
        multiple: int | None = None,
    ) -> PaddedRows:
        """The rows on a rectangle, int32, ready for a policy.

        Args:
            backend: whose arrays to make.
            device: where to put them; None is the backend's default.
            length: the width ``L``; None takes the longest row's.
            multiple: rounds the width up to a multiple of this.

        Raises:
            RequestError: a row is longer than `length`.
        """
        check_backend(backend, device)
        width = self.width(length=length, multiple=multiple)
        columns = {
            name: widen(to_device(_fit(array, width), backend, device), array.dtype)
            for name, array in self.lists.items()
        }
        lengths = self.lengths[INPUT_IDS].astype(np.int32)
        return PaddedRows(
            input_ids=columns.pop(INPUT_IDS),
            boundaries=columns.pop(BOUNDARIES),
            lengths=to_device(lengths, backend, device),
            keys=to_device(seed_words(self.seed), backend, device),
            tracks=columns,
        )

    def width(self, *, length: int | None = None, multiple: int | None = None) -> int:
        """The width that `pad` gives these rows."""
        longest = int(self.lengths[INPUT_IDS].max(initial=0))
        if length is not None and longest > length:
            raise RequestError(
                f"a row has {longest} tokens, more than the length {length} to pad to; give "
                f"at least {longest}"
            )
        width = longest if length is None else length
        return width if multiple is None else -(-width // multiple) * multiple


def seed_words(seed: np.ndarray) -> np.ndarray:
    """int32 ``[B, 2]``: high and low word of each seed (uint64 ``[B]``)."""
    words = np.stack([seed >> np.uint64(32), seed & np.uint64(0xFFFFFFFF)], axis=-1)
    return words.astype(np.uint32).view(np.int32)


def _fit(array: np.ndarray, width: int) -> np.ndarray:
    """`array` with exactly `width` columns: zeros added, or padding cut off, on the right."""
    if array.shape[1] >= width:
        return array[:, :width]
    padded = np.zeros((len(array), width), array.dtype)
    padded[:, : array.shape[1]] = array
    return padded


def join_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of `parts`, one after another, with the first part's binding."""
    first = parts[0]
    width = {name: max(part.lists[name].shape[1] for part in parts) for name in first.lists}
    return Rows(
        lists={
            name: np.concatenate([_fit(part.lists[name], width[name]) for part in parts])
            for name in first.lists
        },
        lengths={
            name: np.concatenate([part.lengths[name] for part in parts])
            for name in first.lengths
        },
        numbers={
            name: np.concatenate([part.numbers[name] for part in parts])
            for name in first.numbers
        },
        row_ids=np.concatenate([part.row_ids for part in parts]),
        binding=first.binding,
    )


def make_rows(
    binding: Binding,
    lists: Mapping[str, Sequence[npt.ArrayLike]],
    *,
    seed: npt.ArrayLike,
    row_ids: npt.ArrayLike | None = None,
) -> Rows:
    """`Rows` from plain sequences, for data that is in no shard set.

    Args:
        binding: what the token ids mean.
        lists: by column (`input_ids`, `boundaries`, tracks), one sequence per row; all columns
            of a row have its length.
        seed: one 64-bit seed per row.
        row_ids: default: ``0, 1, ...``.

    Raises:
        RequestError: the columns of a row differ in length.
    """
    lengths = _common_lengths(lists)
    width = int(lengths.max(initial=0))
    filled = {
        name: np.zeros((len(lengths), width), np.uint32 if name == INPUT_IDS else np.uint8)
        for name in lists
    }
    for name, array in filled.items():
        for target, row, length in zip(array, lists[name], lengths, strict=True):
            target[:length] = row
    return Rows(
        lists=filled,
        lengths=dict.fromkeys(lists, lengths),
        numbers={SEED: np.asarray(seed, np.uint64)},
        row_ids=np.arange(len(lengths)) if row_ids is None else np.asarray(row_ids, np.int64),
        binding=binding,
    )


def _common_lengths(lists: Mapping[str, Sequence[npt.ArrayLike]]) -> np.ndarray:
    """The rows' lengths, int64 ``[B]``, which all columns share."""
    counts = {name: [len(np.asarray(row)) for row in rows] for name, rows in lists.items()}
    for name, found in counts.items():
        if found != counts[INPUT_IDS]:
            raise RequestError(
                f"column {name!r} has rows of {found[:8]} tokens, input_ids of "
                f"{counts[INPUT_IDS][:8]}; all columns of a row have one length"
            )
    return np.array(counts[INPUT_IDS], np.int64)
