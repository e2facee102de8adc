"""The table of operations: everything that a policy can be made of."""

from __future__ import annotations

from collections.abc import Mapping

from premask.masking._operation import Operation
from premask.masking.mask_ngrams import MASK_NGRAMS
from premask.masking.mask_spans import MASK_SPANS
from premask.masking.mask_units import MASK_UNITS
from premask.masking.objectives import OPERATIONS as OBJECTIVES

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (MASK_UNITS, MASK_SPANS, MASK_NGRAMS, *OBJECTIVES.values())
}
