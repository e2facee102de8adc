"""A policy bound to a vocabulary: the pure function from rows and an epoch to model inputs.

NumPy goes through a batch in pieces of about 32 thousand tokens, which stay in the cache and
take a quarter of the time; a row's mask does not depend on its neighbours, so the result is the
same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
from premask._errors import PolicyError
from premask.masking._backend import Array, namespace
from premask.masking._operation import Apply, Binding
from premask.masking._rows import PaddedRows
from premask.masking.operations import OPERATIONS
from premask.masking.threefry import mask_key

if TYPE_CHECKING:
    from premask.masking.policy import Policy

_CHUNK_TOKENS = 1 << 15

# What the pipeline has to annotate for rows to carry a track or a boundary bit.
ANNOTATIONS = {
    "sentence_start": "sentences",
    "entity_start": "entities",
    "in_entity": "entities",
    "entity_labels": "entities",
    "phrase_start": "phrases",
    "in_phrase": "phrases",
    "pos_tags": "pos",
    "depth": "depth",
    "salience": "salience",
}
_BITS = ("sentence_start", "entity_start", "in_entity", "phrase_start", "in_phrase")


class Masker:
    """A policy, compiled. Made by `Policy.bind`."""

    def __init__(self, policy: Policy, binding: Binding) -> None:
        self.policy = policy
        self.binding = binding
        if binding.boundaries is not None:
            lacking = [n for n in policy.needs if n in _BITS and n not in binding.boundaries]
            _refuse_lacking(policy, lacking)
        self._apply: Apply = OPERATIONS[policy.operation].compile(policy.parameters, binding)

    def __call__(self, rows: PaddedRows, epoch: int | Array = 0) -> dict[str, Array]:
        """The model inputs of `rows` in `epoch`.

        Args:
            rows: a batch on NumPy, torch or JAX; the result is on the same backend and device.
            epoch: the epoch of every row, or int32 ``[B]``, one per row.

        Returns:
            Named arrays ``[B, ...]``, see `Policy.outputs`; ids and labels are int32.

        Raises:
            PolicyError: the rows lack a track that the policy needs, or are too long.
        """
        _refuse_lacking(
            self.policy,
            [n for n in self.policy.needs if n not in _BITS and n not in rows.tracks],
        )
        key = mask_key(rows.keys, self.policy.word, epoch)
        if namespace(rows.input_ids) is not np:
            return self._apply(rows, key)
        self._check_lengths(rows)
        return _in_chunks(self._apply, rows, key)

    def _check_lengths(self, rows: PaddedRows) -> None:
        longest = int(rows.lengths.max(initial=0))
        if longest > min(self.binding.max_length, rows.input_ids.shape[1]):
            raise PolicyError(
                f"a row has {longest} tokens, but at most {self.binding.max_length} were "
                f"promised when the policy was bound, on {rows.input_ids.shape[1]} positions; "
                "bind it with a larger max_length",
                location=f"row {int(rows.lengths.argmax())}",
            )


def _refuse_lacking(policy: Policy, lacking: list[str]) -> None:
    if not lacking:
        return
    names = ("tracks " if len(lacking) > 1 else "track ") + " and ".join(lacking)
    stages = ", ".join(sorted({ANNOTATIONS.get(name, name) for name in lacking}))
    raise PolicyError(
        f"policy {policy.name!r} needs the {names}, which these rows lack; "
        f"build with annotate: {{tracks: [{stages}]}}",
        location="policy",
    )


def take_rows(rows: PaddedRows, start: int, stop: int) -> PaddedRows:
    """Rows ``start .. stop-1`` of a batch."""
    arrays = {
        item.name: getattr(rows, item.name)[start:stop]
        for item in fields(rows)
        if item.name != "tracks"
    }
    tracks: Mapping[str, Array] = {
        name: track[start:stop] for name, track in rows.tracks.items()
    }
    return PaddedRows(**arrays, tracks=tracks)


def _in_chunks(apply: Apply, rows: PaddedRows, key: Array) -> dict[str, Array]:
    num_rows, length = rows.input_ids.shape
    step = max(1, _CHUNK_TOKENS // max(1, length))
    if num_rows <= step:
        return apply(rows, key)
    parts = [
        apply(take_rows(rows, start, start + step), key[start : start + step])
        for start in range(0, num_rows, step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
