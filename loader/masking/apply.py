"""`apply_policy`: the masking function itself, on rows that are in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from premask.batching.devices import Backend
from premask.masking._backend import Array
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows
from premask.masking.policy import Policy
from premask.masking.policy import policy as resolve
from premask.rows import Rows


def apply_policy(
    policy: Policy | Mapping[str, Any] | str | os.PathLike[str],
    rows: Rows | tuple[PaddedRows, Binding],
    epoch: int | Array = 0,
    *,
    backend: Backend = "numpy",
    device: Any = None,
    length: int | None = None,
    step: int | None = None,
) -> dict[str, Array]:
    """What `policy` makes of `rows` in `epoch`.

    Args:
        policy: from `premask.policy`, or anything that it takes.
        rows: from `ShardSet.rows`, or `premask.make_rows` for data of your own; or padded rows
            with their binding, which stay on their backend and device.
        epoch: one epoch, or int32 ``[B]``, one per row.
        backend, device: where to compute; the bits are the same everywhere.
        length: pad to this width; None takes the longest row's.
        step: the number of the batch in the run, where `Policy.depends_on_step`.

    Returns:
        Arrays ``[B, ...]`` by name, see `Policy.outputs`; ids and labels are int32.

    Raises:
        PolicyError: the policy is wrong, or the rows lack something that it needs.
    """
    chosen = resolve(policy)
    if isinstance(rows, tuple):
        padded, binding = rows
        return chosen.bind(binding)(padded, epoch, step=step)
    masker = chosen.bind(rows.binding)
    return masker(rows.pad(backend, device=device, length=length), epoch, step=step)
