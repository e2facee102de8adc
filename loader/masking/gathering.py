"""Batches in pieces, and rows by the policy they fall to; both leave every row as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from premask._errors import PolicyError
from premask.masking._backend import Array, namespace
from premask.masking._operation import Apply
from premask.masking._rows import PaddedRows

_CHUNK_TOKENS = 1 << 15

# (rows, epoch, step=) -> outputs
Mask = Callable[..., dict[str, Array]]


def take_rows(rows: PaddedRows, index: Any) -> PaddedRows:
    """The rows that `index` (a slice or integers) names."""
    return PaddedRows(
        input_ids=rows.input_ids[index],
        lengths=rows.lengths[index],
        boundaries=rows.boundaries[index],
        keys=rows.keys[index],
        tracks={name: track[index] for name, track in rows.tracks.items()},
    )


def in_chunks(apply: Apply, rows: PaddedRows, key: Array) -> dict[str, Array]:
    """``apply(rows, key)``; NumPy arrays in pieces that fit the cache."""
    num_rows, length = rows.input_ids.shape
    step = max(1, _CHUNK_TOKENS // max(1, length))
    if namespace(rows.input_ids) is not np or num_rows <= step:
        return apply(rows, key)
    parts = [
        apply(take_rows(rows, slice(start, start + step)), key[start : start + step])
        for start in range(0, num_rows, step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def choose_rows(
    members: Sequence[Mask],
    member: int | Array,
    rows: PaddedRows,
    epoch: int | Array,
    step: int | None,
) -> dict[str, Array]:
    """Every row under the member that `member` (one for all, or int32 ``[B]``) names.

    Raises:
        PolicyError: the members' arrays differ in width.
    """
    if isinstance(member, int):
        return members[member](rows, epoch, step=step)
    xp = namespace(rows.input_ids)
    if xp is np and len(member):
        return _group_rows(members, member, rows, epoch, step)
    results = [mask(rows, epoch, step=step) for mask in members]
    outputs = results[0]
    for number, result in enumerate(results[1:], 1):
        for name, array in result.items():
            _check_width(name, outputs[name], array)
            here = (member == number).reshape((-1,) + (1,) * (array.ndim - 1))
            outputs[name] = xp.where(here, array, outputs[name])
    return outputs


def _group_rows(
    members: Sequence[Mask],
    member: np.ndarray,
    rows: PaddedRows,
    epoch: int | Array,
    step: int | None,
) -> dict[str, Array]:
    outputs: dict[str, Array] = {}
    for number in np.unique(member):
        index = np.flatnonzero(member == number)
        here = epoch if isinstance(epoch, int) else epoch[index]
        for name, array in members[number](take_rows(rows, index), here, step=step).items():
            if name not in outputs:
                outputs[name] = np.zeros((len(member), *array.shape[1:]), array.dtype)
            _check_width(name, outputs[name], array)
            outputs[name][index] = array
    return outputs


def _check_width(name: str, first: Array, other: Array) -> None:
    if first.shape[1:] != other.shape[1:]:
        raise PolicyError(
            f"the policies give {name} of different shapes, {tuple(first.shape[1:])} and "
            f"{tuple(other.shape[1:])}; mix policies of one objective",
            location="policy.policies",
        )
