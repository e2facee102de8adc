"""`KernelMasker`: a bound policy that masks stored rows with a kernel.

It is the reference with a faster way through: what a kernel cannot take (arrays of JAX or on a
GPU, weights that have learned from losses) goes the reference's way, to the same bits. A batch
is masked on the thread that asks for it, without the interpreter's lock, so batches are made in
parallel by calling from several threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from premask._format import BOUNDARIES, INPUT_IDS, TRACKS
from premask.kernels._rows import Flat
from premask.kernels.programs import Program
from premask.masking._backend import Array, is_torch, namespace
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows
from premask.masking.masker import Masker
from premask.masking.policy import Policy
from premask.rows import Rows

_NARROW = 1 << 16


class KernelMasker(Masker):
    """A policy, compiled to a kernel. Made by `premask.kernels.bind_policy`."""

    def __init__(self, policy: Policy, binding: Binding, program: Program) -> None:
        super().__init__(policy, binding)
        self._program = program
        self._tracks = tuple(name for name in policy.needs if name in TRACKS)

    def __call__(
        self, rows: PaddedRows, epoch: int | Array = 0, *, step: int | None = None
    ) -> dict[str, Array]:
        """As `Masker`; NumPy and torch CPU arrays through the kernel."""
        xp = namespace(rows.input_ids)
        on_host = xp is np or (is_torch(xp) and rows.input_ids.device.type == "cpu")
        if not on_host or not self.takes_all_epochs:
            return super().__call__(rows, epoch, step=step)
        self._check(rows)
        found = self._program.run(self._flat(rows, epoch), rows.input_ids.shape[1], _INT32)
        return {name: x if xp is np else xp.from_numpy(x) for name, x in found.items()}

    @property
    def takes_all_epochs(self) -> bool:
        """Whether the kernel is right for every epoch: no losses have changed the weights."""
        return self.feedback is None or not self.feedback.snapshots

    def batch(
        self, rows: Rows, epochs: int | np.ndarray, width: int, dtype: np.dtype
    ) -> dict[str, np.ndarray]:
        """Stored rows as a finished batch of `width` positions, in one pass.

        Args:
            epochs: one epoch, or one per row.
            dtype: int32 or int64, the type of every output.

        Raises:
            PolicyError: the rows lack a track that the policy needs, or are too long.
        """
        lengths = rows.lengths[INPUT_IDS]
        self._check_rows(rows, lengths)
        columns = [rows.lists[INPUT_IDS], rows.lists[BOUNDARIES]]
        if self._program.track is not None:
            columns.append(rows.lists[self._program.track])
        return self._program.run(_flat(columns, lengths, rows.seed, epochs), width, dtype)

    def warm_up(self, dtype: np.dtype) -> None:
        """Compiles the kernel, or loads it from disk, for outputs of `dtype`."""
        ids = np.zeros((1, 1), np.uint16 if self.binding.vocabulary.size <= _NARROW else "u4")
        columns = [ids, np.ones((1, 1), np.uint8), np.zeros((1, 1), np.uint8)]
        rows = _flat(columns, np.ones(1, np.int64), np.zeros(1, np.uint64), 0)
        self._program.run(rows, 1, dtype)

    def _check_rows(self, rows: Rows, lengths: np.ndarray) -> None:
        self._refuse_lacking([name for name in self._tracks if name not in rows.lists])
        if rows.lists[INPUT_IDS].shape[1] > self.binding.max_length:
            self._refuse_long(lengths)

    def _flat(self, rows: PaddedRows, epoch: int | Array) -> Flat:
        columns = [np.asarray(rows.input_ids).view(np.uint32), np.asarray(rows.boundaries)]
        if self._program.track is not None:
            columns.append(np.asarray(rows.tracks[self._program.track]))
        words = np.asarray(rows.keys).view(np.uint32).astype(np.uint64)
        seeds = (words[:, 0] << np.uint64(32)) | words[:, 1]
        epochs = epoch if isinstance(epoch, int) else np.asarray(epoch)
        return _flat(columns, np.asarray(rows.lengths), seeds, epochs)


_INT32 = np.dtype(np.int32)
_NO_CODES = np.empty((0, 0), np.uint8)


def _flat(
    columns: list[np.ndarray], lengths: np.ndarray, seeds: np.ndarray, epochs: Any
) -> Flat:
    """Columns ``[B, W]`` (ids, boundaries, maybe a track) in the types that kernels take."""
    ids, *codes = columns
    if ids.dtype != np.uint16 and int(ids.max(initial=0)) < _NARROW:
        ids = ids.astype(np.uint16)
    flags = [np.ascontiguousarray(array, np.uint8) for array in codes]
    of_rows = np.empty(len(ids), np.int32)
    of_rows[:] = epochs
    return Flat(
        input_ids=np.ascontiguousarray(ids),
        boundaries=flags[0],
        codes=flags[1] if len(flags) > 1 else _NO_CODES,
        lengths=np.ascontiguousarray(lengths, np.int64),
        seeds=np.ascontiguousarray(seeds, np.uint64),
        epochs=of_rows,
    )
