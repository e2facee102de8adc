from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from premask._errors import RequestError
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from premask.masking.weights import allowed
from premask.masking.weights import weight_tables as weight_tables_of
from premask.stages.count import Counts
from premask.stages.weights import (
    EXCLUDED,
    LIMIT,
    inverse_document_frequency,
    quantise,
    table_bytes,
    weight_tables,
)


def counts(occurrences: list[int], documents: list[int], num_documents: int) -> Counts:
    return Counts(
        counts_V=np.array(occurrences, np.int64),
        document_counts_V=np.array(documents, np.int64),
        num_documents=num_documents,
    )


def test_idf_of_known_counts() -> None:
    idf_V = inverse_document_frequency(counts([9, 3, 0], [4, 1, 0], 4))
    assert idf_V.tolist() == pytest.approx([1.0, math.log2(5), 0.0])


def test_rarer_tokens_weigh_more_and_absent_ones_are_excluded() -> None:
    merged = counts([50, 5, 1, 0], [10, 5, 1, 0], 10)
    stream = pa.ipc.open_stream(weight_tables(merged)["idf"]).read_all()
    weights = stream.column("log2_weight").to_pylist()
    assert weights[0] < weights[1] < weights[2]
    assert weights[3] == EXCLUDED


def test_weights_are_log2_with_16_fraction_bits_around_the_average() -> None:
    quantised = quantise(np.array([1.0, 4.0]), np.array([1, 1]))
    assert quantised.tolist() == [-(1 << 16), 1 << 16]


def test_the_average_is_taken_over_the_corpus() -> None:
    quantised = quantise(np.array([1.0, 4.0]), np.array([10**18, 0]))
    assert quantised.tolist() == [0, 2 << 16]


def test_weights_beyond_twelve_octaves_are_clipped() -> None:
    quantised = quantise(np.array([2.0**-40, 1.0, 2.0**40]), np.zeros(3, np.int64))
    assert quantised.tolist() == [-LIMIT, 0, LIMIT]


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(RequestError, match="for token id 1"):
        quantise(np.array([1.0, weight]), np.ones(2, np.int64))


def test_a_table_is_the_same_bytes_again() -> None:
    weights = quantise(np.array([1.0, 3.0, 0.0]), np.array([5, 2, 1]))
    assert table_bytes(weights) == table_bytes(weights.copy())


def test_policies_read_the_octaves_of_a_table() -> None:
    table = quantise(np.array([4.0, 1.0, 0.0]), np.ones(3, np.int64))
    binding = Binding(vocabulary=Vocabulary(size=3), max_length=8, tables={"idf": table})
    [(_, weights)] = weight_tables_of([{"by": "table", "table": "idf"}], binding)
    octave = 1 << 8
    assert weights.tolist()[:2] == [octave, -octave]
    assert not bool(allowed(weights)[2])
