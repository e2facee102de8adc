"""ProphetNet: every decoder step predicts the next n tokens, in n streams.

Law: Qi et al. (Findings of EMNLP 2020). Fragments are hidden as in MASS, 9 of every 64 tokens.
Stream i predicts target t from the targets before t - i, so the first i targets of a fragment
have no label in it. Stream 0 alone is a sequence-to-sequence objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from premask._format import IGNORE_LABEL
from premask.masking._backend import Array, namespace
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._decoder import to_labels
from premask.masking.objectives._fragments import FRAGMENT_PARAMETERS, compile_fragments
from premask.masking.objectives.mass import OPERATION as MASS


def compile_future_ngram(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to what MASS returns, ``target_index`` and ``ngram_labels``, all int32.

    ``target_index`` ``[B, T]`` is each target's place in its fragment; ``ngram_labels``
    ``[B, n, T]`` are the labels of every stream, those of stream 0 first.

    Raises:
        PolicyError: the tokenizer has no mask token, or no ordinary ids to draw from.
    """
    hide, num_streams = compile_fragments(parameters, binding), int(parameters["ngram"])

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        xp = namespace(key)
        found = hide(rows, key)
        labels = to_labels(found.targets, found.count)
        streams = [xp.where(found.index >= i, labels, IGNORE_LABEL) for i in range(num_streams)]
        return {
            **found.arrays,
            "target_index": found.index,
            "ngram_labels": xp.stack(streams, 1),
        }

    return apply


OPERATION = Operation(
    name="future_ngram",
    parameters={
        **FRAGMENT_PARAMETERS,
        "rate": Parameter(
            default=0.15, minimum=0.0, maximum=1.0, help="share of a block that is hidden"
        ),
        "block": Parameter(
            default=64, kind=(int,), minimum=0, help="tokens per block; 0: a whole document"
        ),
        "ngram": Parameter(
            default=2, kind=(int,), minimum=1, maximum=16, help="tokens predicted per step"
        ),
    },
    compile=compile_future_ngram,
    needs=lambda _: (),
    outputs=(*MASS.outputs, "target_index", "ngram_labels"),
)
