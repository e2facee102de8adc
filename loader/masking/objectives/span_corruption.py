"""T5's span corruption: random spans become sentinels, the targets spell them out.

Law: Raffel et al. (JMLR 2020), ``random_spans_noise_mask``: numbers of tokens and spans by row
length, all masks that fit them equally likely. T5's masks begin with a kept token and end with
noise: the first token is never hidden, the last one always. Rolling a mask by a uniform offset
makes every position alike; with one span per row the published law would always hide the row's
end, so such rows are rolled unless `t5_compat` asks for the published law.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from premask.masking._backend import Array
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._composition import NoiseLaw, RegularNoise, SpanNoise
from premask.masking.objectives._layout import layout
from premask.masking.objectives._sentinels import SENTINEL_PARAMETERS, compile_sentinels
from premask.masking.objectives.lengths import noise_tables

_LONGEST_REGULAR_SPAN = 5


def compile_span_corruption(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids``, ``attention_mask`` and ``labels`` (int32, widths in the help).

    Raises:
        PolicyError: rows may need more sentinels than the tokenizer has.
    """
    law = noise_law(parameters, binding)
    corrupt = compile_sentinels(parameters, binding, law)

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        where = layout(rows)
        return corrupt(rows, where, law(where, key, where.lengths * 0), key)

    return apply


def noise_law(parameters: Mapping[str, Any], binding: Binding) -> NoiseLaw:
    """The noise that `parameters` of span corruption describe."""
    rate, compat = float(parameters["rate"]), bool(parameters["t5_compat"])
    if parameters["noise"] == "regular_spans":
        sizes = range(1, _LONGEST_REGULAR_SPAN + 1)
        return RegularNoise(periods=tuple(max(1, round(size / rate)) for size in sizes))
    noise, spans = noise_tables(
        binding.max_length, rate, float(parameters["mean_span"]), single_precision=compat
    )
    return SpanNoise(
        noise=noise[None],
        spans=spans[None],
        roll=rolled(spans, "never" if compat else parameters["random_roll"])[None],
        bits=binding.position_bits,
    )


def rolled(spans: np.ndarray, when: str) -> np.ndarray:
    """Which row lengths are rolled, given their number of spans; bool, shaped as `spans`."""
    if when == "never":
        return np.zeros(spans.shape, bool)
    return np.asarray(spans >= 1 if when == "always" else spans == 1)


RATE = Parameter(default=0.15, minimum=0.0, maximum=1.0, help="share of text that is hidden")

OPERATION = Operation(
    name="span_corruption",
    parameters={
        "rate": RATE,
        "mean_span": Parameter(default=3.0, minimum=1.0, help="mean length of a span, tokens"),
        "noise": Parameter(
            default="random_spans",
            kind=(str,),
            choices=("random_spans", "regular_spans"),
            help="where spans lie: random composition, or periodic with lengths 1 to 5",
        ),
        "random_roll": Parameter(
            default="single_span",
            kind=(str,),
            choices=("always", "single_span", "never"),
            help="which masks are rolled by a uniform offset, so that no position is favoured",
        ),
        "t5_compat": Parameter(
            default=False,
            kind=(bool,),
            help="T5's masks exactly: rounded in single precision, never rolled",
        ),
        **SENTINEL_PARAMETERS,
    },
    compile=compile_span_corruption,
    needs=lambda _: (),
)
