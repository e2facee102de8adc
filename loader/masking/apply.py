"""`apply_policy`: the masking function itself, on rows that are in memory."""

from __future__ import annotations

from typing import Any

from premask._devices import Backend
from premask.masking._backend import Array
from premask.masking.policy import Policy
from premask.rows import Rows


def apply_policy(
    policy: Policy,
    rows: Rows,
    epoch: int | Array = 0,
    *,
    backend: Backend = "numpy",
    device: Any = None,
    length: int | None = None,
) -> dict[str, Array]:
    """What `policy` makes of `rows` in `epoch`.

    Args:
        policy: from `premask.policy`.
        rows: from `ShardSet.rows`, or `premask.make_rows` for data of your own.
        epoch: one epoch, or int32 ``[B]``, one per row.
        backend, device: where to compute; the bits are the same everywhere.
        length: pad to this width; None takes the longest row's.

    Returns:
        Arrays ``[B, ...]`` by name, see `Policy.outputs`; ids and labels are int32.

    Raises:
        PolicyError: the rows lack something that the policy needs.
    """
    masker = policy.bind(rows.binding)
    return masker(rows.pad(backend, device=device, length=length), epoch)
