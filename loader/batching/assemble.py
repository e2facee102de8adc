"""Rows become a batch: padded, moved to the device, masked, in the types that trainers want.

The same `Assembler` serves `Loader`, the torch `DataLoader` adapters and `MaskCollator`, so
they cannot differ. It holds no state that a batch could change, and it can be pickled.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from premask._errors import RequestError
from premask._format import (
    BOUNDARIES,
    EPOCH,
    IGNORE_LABEL,
    INPUT_IDS,
    LABELS,
    NUM_DOCUMENTS,
    ROW_LABELS,
    SEED,
    TOKEN_TYPE_IDS,
    TRACKS,
)
from premask.batching.beside import beside
from premask.batching.devices import Backend, check_backend, to_device, to_output, widen
from premask.batching.packing import packed
from premask.kernels.choice import Kernel, bind_policy, kernel_of
from premask.kernels.masker import KernelMasker
from premask.kernels.triton_masker import TritonMasker
from premask.manifest import Manifest
from premask.masking._backend import Array
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows
from premask.masking.masker import Masker
from premask.masking.policy import Policy
from premask.rows import Rows

Batch = dict[str, Array]
PadTo = Literal["max"] | int | None
Layout = Literal["padded", "packed"]
ATTENTION_MASK = "attention_mask"
# Numbers that say where a row comes from; others, such as `modes`, are outputs of a policy.
_ABOUT_ROWS = (SEED, NUM_DOCUMENTS, EPOCH)


class Assembler:
    """Makes batches of rows that share a binding.

    Args:
        policy: what to do to the rows; None delivers them as they are stored.
        backend, device: whose arrays to make, and where.
        pad_to: None pads to the longest row of the batch, a number to a multiple of itself,
            ``"max"`` to the set's longest row.
        layout: ``padded``, or ``packed``: see `premask.batching.packing`.
        audit: adds `row_ids` and `epochs`, int64 ``[B]``.
        kernel: what masks, see `premask.kernels`; it is compiled here, not in the first batch.
    """

    def __init__(
        self,
        policy: Policy | None,
        binding: Binding,
        *,
        backend: Backend,
        device: Any,
        pad_to: PadTo = None,
        layout: Layout = "padded",
        audit: bool = False,
        kernel: Kernel = "auto",
    ) -> None:
        check_backend(backend, device)
        multiple = isinstance(pad_to, int) and not isinstance(pad_to, bool) and pad_to > 0
        if pad_to not in (None, "max") and not multiple:
            raise RequestError(f"pad_to must be None, 'max' or a multiple, got {pad_to!r}")
        if layout not in ("padded", "packed"):
            raise RequestError(f"unknown layout {layout!r}; use 'padded' or 'packed'")
        if layout == "packed" and pad_to is not None:
            raise RequestError(f"a packed batch has no padding; leave out pad_to={pad_to!r}")
        self._options: dict[str, Any] = {
            "backend": backend,
            "device": device,
            "pad_to": pad_to,
            "layout": layout,
            "audit": audit,
            "kernel": kernel,
        }
        self._layout = layout
        self._policy, self._binding = policy, binding
        self._backend, self._device = backend, device
        self._length = binding.max_length if pad_to == "max" else None
        self._multiple = pad_to if isinstance(pad_to, int) else None
        self._audit = audit
        self._masker = self._bind(policy, kernel)
        self._compiled: Any = None

    def _bind(self, policy: Policy | None, kernel: Kernel) -> Masker | None:
        self._output_type = np.dtype(np.int64 if self._backend == "torch" else np.int32)
        if policy is None:
            return None
        where = {"backend": self._backend, "device": self._device}
        masker = bind_policy(policy, self._binding, kernel, **where)
        if isinstance(masker, KernelMasker):
            masker.warm_up(self._output_type)
        return masker

    @property
    def kernel(self) -> str:
        """What masks: ``numba``, ``triton`` or ``reference``."""
        return kernel_of(self._masker)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Assembler, **self._options), (self._policy, self._binding)

    @property
    def masker(self) -> Masker | None:
        """The policy as it is bound to the rows; None where rows are delivered as they are."""
        return self._masker

    def __call__(
        self, rows: Rows, epochs: int | np.ndarray, step: int | None = None
    ) -> dict[str, Array]:
        """The batch of `rows`; `epochs` is one epoch, or int64 ``[B]``; see `Masker`."""
        if self._masker is None:
            batch = self._stored(rows)
        else:
            batch = self._masked(self._masker, rows, epochs, step)
            batch |= self._beside(rows, batch[INPUT_IDS].shape[1])
        batch = {name: to_output(x) for name, x in batch.items()}
        if self._layout == "packed":
            lengths = rows.lengths[INPUT_IDS]
            batch = packed(batch, lengths, backend=self._backend, device=self._device)
        if self._audit:
            found = np.broadcast_to(np.asarray(epochs, np.int64), len(rows)).copy()
            batch["row_ids"] = to_device(rows.row_ids, self._backend, self._device)
            batch["epochs"] = to_device(found, self._backend, self._device)
        return batch

    def _masked(
        self, masker: Masker, rows: Rows, epochs: int | np.ndarray, step: int | None
    ) -> dict[str, Array]:
        width = rows.width(length=self._length, multiple=self._multiple)
        if isinstance(masker, TritonMasker):
            return masker.batch(rows, epochs, width, self._output_type, self._device)
        if isinstance(masker, KernelMasker) and masker.takes_all_epochs:
            made = masker.batch(rows, epochs, width, self._output_type)
            return {name: to_device(x, self._backend, self._device) for name, x in made.items()}
        padded = rows.pad(
            self._backend, device=self._device, length=self._length, multiple=self._multiple
        )
        if self._backend != "jax":
            if not isinstance(epochs, int):
                epochs = to_device(epochs.astype(np.int32), self._backend, self._device)
            return masker(padded, epochs, step=step)
        epoch_B = np.broadcast_to(np.asarray(epochs, np.int32), len(rows))
        columns = {name: getattr(padded, name) for name in ("input_ids", "lengths", "keys")}
        columns |= {BOUNDARIES: padded.boundaries, "tracks": dict(padded.tracks)}
        traced = None if step is None else np.int32(step)
        found: dict[str, Array] = self._jitted(masker)(columns, epoch_B.copy(), traced)
        return found

    def _jitted(self, masker: Masker) -> Any:
        if self._compiled is None or self._compiled[0] != masker.version:
            import jax

            def apply(columns: Any, epoch_B: Array, step: Any) -> dict[str, Array]:
                return masker(PaddedRows(**columns), epoch_B, step=step)

            self._compiled = masker.version, jax.jit(apply)
        return self._compiled[1]

    def _beside(self, rows: Rows, width: int) -> dict[str, Array]:
        """What the rows carry that no policy changes, see `premask.batching.beside`."""
        found: dict[str, np.ndarray] = {}
        for name in beside(self._policy, {*rows.lists, *rows.numbers}):
            if name in ROW_LABELS:
                found[name] = rows.numbers[name].astype(np.int32)
            else:
                types = np.zeros((len(rows), width), np.int32)
                types[:, : rows.lists[name].shape[1]] = rows.lists[name]
                found[name] = types
        return {
            name: to_device(values, self._backend, self._device)
            for name, values in found.items()
        }

    def _stored(self, rows: Rows) -> dict[str, Array]:
        """The stored columns as they are: a static set's, or a dynamic set's token ids."""
        hidden = {BOUNDARIES, *TRACKS} - {TOKEN_TYPE_IDS}
        names = [name for name in rows.lists if name not in hidden]
        batch: dict[str, Array] = {
            name: to_device(values.astype(np.int32), self._backend, self._device)
            for name, values in rows.numbers.items()
            if name not in _ABOUT_ROWS
        }
        for name in names:
            padded = self._filled(rows.lists[name], rows.lengths[name], self._filler(name))
            moved = to_device(padded, self._backend, self._device)
            batch[name] = widen(moved, padded.dtype)
        if ATTENTION_MASK not in batch:
            lengths = rows.lengths[INPUT_IDS]
            ones = np.ones(rows.lists[INPUT_IDS].shape, np.int32)
            mask = self._filled(ones, lengths, 0)
            batch[ATTENTION_MASK] = to_device(mask, self._backend, self._device)
        return batch

    def _filled(self, values: np.ndarray, lengths: np.ndarray, filler: int) -> np.ndarray:
        """`values` on the width of the batch, with `filler` after each row."""
        width = self._width(values.shape[1])
        if width != values.shape[1]:
            wide = np.zeros((len(values), width), values.dtype)
            wide[:, : values.shape[1]] = values
            values = wide
        if len(values) and int(lengths.min()) < width:
            values[np.arange(width) >= lengths[:, None]] = filler
        return values

    def _width(self, longest: int) -> int:
        width = max(longest, self._length or 0)
        return width if self._multiple is None else -(-width // self._multiple) * self._multiple

    def _filler(self, column: str) -> int:
        if column == LABELS:
            return IGNORE_LABEL
        is_ids = column.endswith(INPUT_IDS)  # decoder_input_ids, too
        return (self._binding.vocabulary.pad_id or 0) if is_ids else 0


def columns_of(policy: Policy | None, manifest: Manifest) -> tuple[str, ...] | None:
    """The columns that a batch is made of; None is all of them.

    Raises:
        RequestError: a policy is to be applied to rows that are masked already.
    """
    if manifest.mode == "static":
        if policy is not None:
            raise RequestError(
                f"the set is static, its rows are masked already, so policy {policy.name!r} "
                "cannot be applied; leave the policy out, or open the dynamic set"
            )
        return None
    if policy is None:
        return (INPUT_IDS, *beside(None, manifest.columns))
    needed = (*policy.needs, *beside(policy, manifest.columns))
    return (INPUT_IDS, BOUNDARIES, SEED, *dict.fromkeys(needed))
