"""`TritonMasker`: a bound policy that masks stored rows on a CUDA device.

The compact columns go to the device, 3 bytes per token; the batch is made there, in one launch.
Without a device Triton's interpreter runs the same kernels on the CPU (``TRITON_INTERPRET=1``,
slowly), which is how their bits are tested.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
from premask._format import BOUNDARIES, INPUT_IDS
from premask.batching.devices import to_device
from premask.kernels import _laws
from premask.kernels._rows import Batch
from premask.masking._operation import Binding
from premask.masking.masker import Masker
from premask.masking.policy import Policy
from premask.masking.threefry import signed
from premask.rows import Rows, seed_words

_INTERPRET = "TRITON_INTERPRET"


def is_interpreted() -> bool:
    """Whether Triton was told to run its kernels on the CPU."""
    return os.environ.get(_INTERPRET) == "1"


def covers(policy: Policy, binding: Binding) -> bool:
    """Whether there is a Triton kernel for `policy`: no weights, one kind of unit."""
    parameters = policy.parameters
    if policy.operation == "clm":
        return not parameters["reset_positions"]
    if policy.operation != "mask_units" or parameters["weights"]:
        return False
    law = _laws.choice(parameters, binding)
    return (
        law is not None
        and law.candidate_bits == 0
        and parameters["coherence"] != "run"
        and (parameters["random"] == 0 or parameters["random_from"] == "uniform")
    )


class TritonMasker(Masker):
    """A policy, compiled to a Triton kernel. Made by `premask.kernels.bind_policy`.

    Attributes:
        fixed: what the kernel is compiled for, by the names of its constants.
    """

    def __init__(self, policy: Policy, binding: Binding) -> None:
        super().__init__(policy, binding)
        self._tables: dict[str, Mapping[str, Any]] = {}
        make = _clm_constants if policy.operation == "clm" else _mask_constants
        self.fixed = make(policy.parameters, binding)

    def batch(
        self, rows: Rows, epochs: int | np.ndarray, width: int, dtype: np.dtype, device: Any
    ) -> dict[str, Any]:
        """Stored rows as a finished batch of `width` positions, torch tensors on `device`.

        Args:
            epochs: one epoch, or one per row.
            dtype: int32 or int64, the type of every output.

        Raises:
            PolicyError: the rows are too long.
        """
        import torch

        lengths = rows.lengths[INPUT_IDS]
        self._refuse_long(lengths)
        ids = rows.lists[INPUT_IDS]
        num_rows, stride = ids.shape
        kind = torch.int64 if dtype == np.int64 else torch.int32
        batch = torch.empty((3, num_rows, width), dtype=kind, device=device)
        outputs = Batch(*batch)._asdict()
        if num_rows == 0 or width == 0:
            return outputs
        columns = [ids, rows.lists[BOUNDARIES].astype(np.uint8, copy=False), lengths]
        if self.policy.operation != "clm":
            of_rows = np.empty(num_rows, np.int32)
            of_rows[:] = epochs
            columns += [seed_words(rows.seed), of_rows]
        places = (batch, stride, width, num_rows * width)
        fixed = {
            **self.fixed,
            "enable_fp_fusion": False,  # there are no floats; unsaid, Triton warns
            "NARROW": ids.dtype == np.uint16,
            "BLOCK": max(16, 1 << (max(stride, width) - 1).bit_length()),
        }
        is_cuda = batch.device.type == "cuda"
        with torch.cuda.device(batch.device) if is_cuda else nullcontext():
            self._launch([to_device(x, "torch", device) for x in columns], places, fixed)
        return outputs

    def _launch(
        self, columns: list[Any], places: tuple[Any, ...], fixed: Mapping[str, Any]
    ) -> None:
        from premask.kernels import _triton

        batch = places[0]
        if self.policy.operation == "clm":
            _triton.copy_rows[(batch.shape[1],)](*columns, *places, **fixed)
        else:
            tables = self._tables_on(batch.device).values()
            _triton.mask_rows[(batch.shape[1],)](*columns, *tables, *places, **fixed)

    def _tables_on(self, device: Any) -> Mapping[str, Any]:
        """The policy's tables as torch tensors, kept per device."""
        if str(device) not in self._tables:
            limits = _laws.budgets(self.policy.parameters, self.binding)
            corrupt = _laws.corruption(self.policy.parameters, self.binding)
            rounded = len(limits.carry) > 0
            law = [len(limits.table) - 1, limits.at_least, limits.at_most, int(rounded)]
            tables = {
                "policy_word": np.array([signed(self.policy.word)], np.int32),
                "budgets": np.asarray(limits.table, np.int32),
                "carry": np.asarray(limits.carry if rounded else limits.table, np.int32),
                "law": np.array(law, np.int32),
                "replacements": np.append(corrupt.replacements, 0).astype(np.int32),
            }
            self._tables[str(device)] = {
                name: to_device(table.copy(), "torch", device) for name, table in tables.items()
            }
        return self._tables[str(device)]


def _clm_constants(parameters: Mapping[str, Any], binding: Binding) -> Mapping[str, Any]:
    """What a kernel for ``clm`` is compiled for."""
    return {
        "MASK_FIRST": bool(parameters["mask_first"]),
        "PAD": binding.vocabulary.pad_id or 0,
    }


def _mask_constants(parameters: Mapping[str, Any], binding: Binding) -> Mapping[str, Any]:
    """What a kernel for ``mask_units`` is compiled for."""
    limits, law = _laws.budgets(parameters, binding), _laws.choice(parameters, binding)
    corrupt = _laws.corruption(parameters, binding)
    assert law is not None, "`covers` says so"
    redraws = len(corrupt.replacements) > 0
    by_token = parameters["units"] == "token"
    return {
        "UNITS": not by_token,
        "RACES": law.chosen_until == _laws.RACE,
        "UNTIL": law.chosen_until,
        "BITS": law.bits,
        "OPENING": law.opening_bits,
        "SPAN": law.span_bits,
        "OUTSIDE": law.outside_bits,
        "BY_UNIT": law.by_unit,
        "COUNT_SPECIAL": limits.count_special,
        "OVERFLOW": law.overflow,
        "FALLBACK": law.fallback,
        "COHERENT": corrupt.coherence > 0 and not by_token,
        "MASK_ID": corrupt.mask_id,
        "MASK_UNTIL": corrupt.mask_until if corrupt.mask_id >= 0 else -1,
        "RANDOM_UNTIL": corrupt.random_until if redraws else -1,
        "LOWEST": corrupt.lowest,
        "NUM_REPLACEMENTS": max(1, len(corrupt.replacements)),
        "PAD": corrupt.pad_id,
    }
