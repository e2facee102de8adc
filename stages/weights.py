"""Weight tables from merged counts: a weight per token id, quantised once.

A table holds ``log2(weight)`` as int32 with 16 fraction bits, centred on the corpus's average
and within 12 octaves of it, and `EXCLUDED` where the weight is 0. Floats are spent here, when a
shard set is finished, with logarithms that are the same on every machine (`race.log2`); from
then on the table is data with a hash in the manifest, and every replay of a mask reads the same
integers. Policies name a table with ``weights: [{by: table, table: NAME}]``.

``idf``: inverse document frequency, ``log2(1 + N / n)`` for an id that occurs in n of N
documents. It prefers what tells documents apart. Ids that never occur are excluded.

Milliseconds for a vocabulary.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from premask._errors import RequestError
from premask.masking.race import FRACTION_BITS, log2
from premask.stages.count import Counts

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Float64 = npt.NDArray[np.float64]

LIMIT = 12 << FRACTION_BITS
EXCLUDED = -(1 << 31)
IDF = "idf"

WEIGHTS = pa.schema([pa.field("log2_weight", pa.int32(), nullable=False)])


def inverse_document_frequency(counts: Counts) -> Float64:
    """``log2(1 + N / n)`` by token id, float64 ``[V]``; 0 for ids that never occur."""
    documents_V = counts.document_counts_V
    seen = documents_V > 0
    ratio_V = counts.num_documents / np.where(seen, documents_V, 1)
    return np.where(seen, log2(1 + ratio_V), 0.0)


def quantise(weights_V: Float64, counts_V: Int64) -> Int32:
    """``log2`` of weights as integers with 16 fraction bits around the corpus's average.

    Args:
        weights_V: float64, 0 or more; 0 excludes the id.
        counts_V: int64, how often the corpus has each id; where it has none of them, every id
            counts once.

    Raises:
        RequestError: a weight is negative, infinite or no number.
    """
    if not np.all(np.isfinite(weights_V) & (weights_V >= 0)):
        worst = int(np.flatnonzero(~(np.isfinite(weights_V) & (weights_V >= 0)))[0])
        raise RequestError(
            f"a weight must be a number of at least 0, got {weights_V[worst]} for token id "
            f"{worst}; use 0 for tokens that are never taken",
            location="weights",
        )
    positive = weights_V > 0
    octaves_V = log2(np.where(positive, weights_V, 1.0))
    fixed_V = np.floor(octaves_V * (1 << FRACTION_BITS) + 0.5).astype(np.int64)
    shares_V = np.where(positive, counts_V, 0)
    if not shares_V.any():
        shares_V = positive.astype(np.int64)
    # Python integers: the exact average, whatever the size of the corpus.
    total = sum(f * s for f, s in zip(fixed_V.tolist(), shares_V.tolist(), strict=True))
    centred_V = fixed_V - total // max(1, int(shares_V.sum()))
    clipped_V = np.clip(centred_V, -LIMIT, LIMIT)
    return np.where(positive, clipped_V, EXCLUDED).astype(np.int32)


def weight_tables(counts: Counts) -> dict[str, bytes]:
    """The files of the tables that every shard set gets, by name: Arrow IPC streams."""
    idf_V = inverse_document_frequency(counts)
    return {IDF: table_bytes(quantise(idf_V, counts.counts_V))}


def table_bytes(log2_weights_V: Int32) -> bytes:
    """The bytes of a weight table; record ``i`` is token id ``i``."""
    schema = WEIGHTS.with_metadata({"fraction_bits": str(FRACTION_BITS)})
    return stream_bytes(pa.Table.from_arrays([pa.array(log2_weights_V)], schema=schema))


def stream_bytes(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream, the form of every table of a shard set."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return bytes(sink.getvalue().to_pybytes())
