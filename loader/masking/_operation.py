"""What an objective is: parameters as data, and a function compiled from them.

An `Operation` turns `PaddedRows` into model inputs: substitution for masked language models,
span corruption, denoising, and so on. It is compiled once per run, on the host, into a pure
function of (rows, mask key) on any backend; every float is spent there, in tables of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from premask.masking._backend import Array
from premask.masking._rows import PaddedRows, Vocabulary

# (rows, key int32 [B, 2]) -> named arrays [B, ...]. Ids and labels are int32; a mask of
# attention is int32 0/1. Widths depend on L and the parameters alone, never on the data.
Apply = Callable[[PaddedRows, Array], dict[str, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a policy is bound to before it can run.

    Attributes:
        vocabulary: what token ids mean.
        max_length: the longest row, in tokens; fixes `position_bits`, so that masks do not
            depend on the padding of a batch.
        tables: arrays by name: ``counts`` (int64 ``[V]``), weight tables, collocations.
        tracks: dictionaries of the tracks: code ``i`` of track ``t`` means ``tracks[t][i]``.
        boundaries: names of the boundary bits that the rows carry, such as ``entity_start``;
            None where nobody knows, and then nothing is checked.
    """

    vocabulary: Vocabulary
    max_length: int
    tables: Mapping[str, np.ndarray] = field(default_factory=dict)
    tracks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    boundaries: tuple[str, ...] | None = None

    @property
    def position_bits(self) -> int:
        """Bits that hold a position in a packed sort key; the rest of 31 bits is the key."""
        return max(9, int(self.max_length).bit_length())


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an operation: its default, what it may be, and what it does.

    `variants` is for a list of tagged values, ``[{by: NAME, ...}, ...]`` or just ``[NAME]``:
    the parameters of each by its name.
    """

    default: Any
    help: str
    kind: tuple[type, ...] = (float, int)
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None
    variants: Mapping[str, Mapping[str, Parameter]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One way to make training examples from rows.

    Attributes:
        parameters: by name; together with the name they are the whole behaviour.
        compile: (parameters, binding) to the function; raises `PolicyError` where the
            vocabulary or a table lacks what the parameters ask for.
        needs: (parameters) to the tracks and boundary bits (lower-case names of
            `premask.Boundary`, such as ``entity_start``) that rows must have.
        outputs: names of the arrays that the function returns.
    """

    name: str
    parameters: Mapping[str, Parameter]
    compile: Callable[[Mapping[str, Any], Binding], Apply]
    needs: Callable[[Mapping[str, Any]], tuple[str, ...]]
    outputs: tuple[str, ...] = ("input_ids", "attention_mask", "labels")
