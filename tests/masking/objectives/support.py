"""Rows, vocabularies and comparisons for the tests of objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking._operation import Apply, Binding, Operation
from premask.masking._rows import PaddedRows, Vocabulary
from premask.masking.objectives._layout import layout
from premask.masking.objectives.span_corruption import OPERATION as SPAN_CORRUPTION
from premask.masking.objectives.span_corruption import noise_law
from premask.masking.threefry import mask_key

BOS, EOS, PAD, MASK = 1, 2, 3, 4
NUM_SENTINELS = 100
SIZE = 1000
FIRST_SENTINEL = SIZE - 1  # <extra_id_0>; the others descend, as T5's do

VOCABULARY = Vocabulary(
    size=SIZE,
    pad_id=PAD,
    mask_id=MASK,
    bos_id=BOS,
    eos_id=EOS,
    special_ids=(0, BOS, EOS, PAD, MASK, *range(SIZE - NUM_SENTINELS, SIZE)),
    sentinel_ids=tuple(range(FIRST_SENTINEL, FIRST_SENTINEL - NUM_SENTINELS, -1)),
    prefix_ids=(BOS,),
    suffix_ids=(EOS,),
    replacement_ranges=((5, 50), (60, SIZE - NUM_SENTINELS)),
)

SPECIAL = int(Boundary.SPECIAL)
WORD = int(Boundary.WORD_START)
SENTENCE = int(Boundary.SENTENCE_START)
DOCUMENT = int(Boundary.DOCUMENT_START)


def binding(max_length: int = 64, vocabulary: Vocabulary = VOCABULARY) -> Binding:
    return Binding(vocabulary=vocabulary, max_length=max_length)


def parameters(operation: Operation, **changes: Any) -> dict[str, Any]:
    assert set(changes) <= set(operation.parameters)
    return {name: p.default for name, p in operation.parameters.items()} | changes


def compiled(operation: Operation, bound: Binding | None = None, **changes: Any) -> Apply:
    return operation.compile(parameters(operation, **changes), bound or binding())


def make_rows(
    ids: Sequence[Sequence[int]],
    boundaries: Sequence[Sequence[int]],
    *,
    width: int | None = None,
    seeds: Sequence[int] | None = None,
    tracks: Mapping[str, Sequence[Sequence[int]]] | None = None,
) -> PaddedRows:
    """Padded rows; what stands beyond a row's end is filled with misleading values."""
    width = width or max(1, *(len(row) for row in ids))

    def pad(values: Sequence[Sequence[int]], fill: int) -> np.ndarray:
        out = np.full((len(values), width), fill, np.int32)
        for i, row in enumerate(values):
            out[i, : len(row)] = row
        return out

    seeds = range(len(ids)) if seeds is None else seeds
    return PaddedRows(
        input_ids=pad(ids, 777),
        lengths=np.array([len(row) for row in ids], np.int32),
        boundaries=pad(boundaries, DOCUMENT | SENTENCE | WORD),
        keys=np.array([[seed >> 16, seed * 7919 % 2**31] for seed in seeds], np.int32),
        tracks={name: pad(track, 1) for name, track in (tracks or {}).items()},
    )


def text_rows(
    num_tokens: int, count: int, *, prefix: int = 0, suffix: int = 0, first_seed: int = 0
) -> PaddedRows:
    """`count` equal rows: `prefix` BOS, tokens 100, 101, ... each a word, `suffix` EOS."""
    row = [BOS] * prefix + list(range(100, 100 + num_tokens)) + [EOS] * suffix
    bits = [SPECIAL] * prefix + [WORD] * num_tokens + [SPECIAL] * suffix
    seeds = range(first_seed, first_seed + count)
    return make_rows([row] * count, [bits] * count, seeds=seeds)


def keys_of(rows: PaddedRows, epoch: int = 0) -> Any:
    return mask_key(rows.keys, 12345, epoch)


def run(apply: Apply, rows: PaddedRows, epoch: int = 0) -> dict[str, Any]:
    return apply(rows, keys_of(rows, epoch))


def span_masks(rows: PaddedRows, max_length: int = 64, **changes: Any) -> np.ndarray:
    """What span corruption with these parameters hides; bool ``[B, L]``."""
    law = noise_law(parameters(SPAN_CORRUPTION, **changes), binding(max_length))
    where = layout(rows)
    return np.asarray(law(where, keys_of(rows), where.lengths * 0))


def ragged_rows(seed: int, num_rows: int = 9, longest: int = 40) -> PaddedRows:
    """Random rows of every kind: empty, one token, only specials, borders anywhere, full."""
    random = np.random.default_rng(seed)
    ids: list[list[int]] = [[], [100], [BOS, EOS], [BOS, 7, EOS]]
    bits: list[list[int]] = [[], [WORD | SENTENCE], [SPECIAL] * 2, [SPECIAL, WORD, SPECIAL]]
    lengths = [longest, *random.integers(0, longest + 1, num_rows - 5)]
    for length in lengths:
        row = random.integers(5, SIZE - NUM_SENTINELS, length)
        flags = np.zeros(length, np.int64)
        flags |= WORD * (random.random(length) < 0.6)
        flags |= (SENTENCE | WORD) * (random.random(length) < 0.15)
        flags |= (DOCUMENT | SENTENCE | WORD) * (random.random(length) < 0.05)
        special = random.random(length) < 0.07
        special[:1] = special[-1:] = random.random() < 0.8
        flags = np.where(special, SPECIAL, flags)
        row = np.where(special, random.choice([BOS, EOS, MASK, PAD], length), row)
        ids.append(row.tolist())
        bits.append(flags.tolist())
    tracks = {
        "sentence_ranks": [random.integers(0, 6, len(row)).tolist() for row in ids],
        "segment": [np.sort(random.integers(0, 2, len(row))).tolist() for row in ids],
    }
    seeds = random.integers(0, 2**20, len(ids)).tolist()
    return make_rows(ids, bits, seeds=seeds, tracks=tracks)


def widened(rows: PaddedRows, extra: int) -> PaddedRows:
    """The same rows with `extra` more columns of padding, filled with other rubbish."""

    def wide(x: np.ndarray, fill: int) -> np.ndarray:
        return np.pad(x, ((0, 0), (0, extra)), constant_values=fill)

    return PaddedRows(
        input_ids=wide(rows.input_ids, 555),
        lengths=rows.lengths,
        boundaries=wide(rows.boundaries, 255),
        keys=rows.keys,
        tracks={name: wide(track, 3) for name, track in rows.tracks.items()},
    )


def taken(rows: PaddedRows, index: Sequence[int]) -> PaddedRows:
    """Some of the rows, in this order."""
    chosen = list(index)
    return PaddedRows(
        input_ids=rows.input_ids[chosen],
        lengths=rows.lengths[chosen],
        boundaries=rows.boundaries[chosen],
        keys=rows.keys[chosen],
        tracks={name: track[chosen] for name, track in rows.tracks.items()},
    )


def converted(rows: PaddedRows, backend: str) -> PaddedRows:
    """The rows as arrays of ``jax``, ``torch`` or a torch device such as ``cuda``."""
    if backend != "jax":
        import torch

        device = "cpu" if backend == "torch" else backend
        convert: Any = lambda x: torch.from_numpy(np.array(x, np.int32)).to(device)  # noqa: E731
    else:
        import jax.numpy

        convert = lambda x: jax.numpy.asarray(x, np.int32)  # noqa: E731
    return PaddedRows(
        input_ids=convert(rows.input_ids),
        lengths=convert(rows.lengths),
        boundaries=convert(rows.boundaries),
        keys=convert(rows.keys),
        tracks={name: convert(track) for name, track in rows.tracks.items()},
    )


def jitted(apply: Apply) -> Apply:
    """`apply` under `jax.jit`; compiled once per shape of the rows."""
    import jax

    def traced(ids: Any, lengths: Any, bits: Any, keys: Any, tracks: Any, key: Any) -> Any:
        rows = PaddedRows(
            input_ids=ids, lengths=lengths, boundaries=bits, keys=keys, tracks=tracks
        )
        return apply(rows, key)

    function = jax.jit(traced)

    def run_compiled(rows: PaddedRows, key: Any) -> dict[str, Any]:
        columns = (rows.input_ids, rows.lengths, rows.boundaries, rows.keys)
        result: dict[str, Any] = function(*columns, dict(rows.tracks), key)
        return result

    return run_compiled


def assert_equal(found: Mapping[str, Any], expected: Mapping[str, Any], context: str) -> None:
    assert set(found) == set(expected), context
    for name, value in expected.items():
        other = found[name]
        other = np.asarray(other.cpu() if hasattr(other, "cpu") else other)
        assert other.dtype == np.int32 == value.dtype, f"{context}: {name} {other.dtype}"
        assert other.shape == value.shape, f"{context}: {name} {other.shape} {value.shape}"
        assert np.array_equal(other, value), f"{context}: {name}"


def rejected_above(degrees: int) -> float:
    """The chi-square value that a true law exceeds once in 10 000 tests (Wilson-Hilferty)."""
    z = 3.719
    shift = 2 / (9 * degrees)
    return float(degrees * (1 - shift + z * shift**0.5) ** 3)


def assert_law(counts: Sequence[int] | np.ndarray, probabilities: Sequence[float]) -> None:
    """Fails when `counts` are a 1-in-10 000 accident under the law `probabilities`."""
    seen = np.asarray(counts, float)
    expected = np.asarray(probabilities, float) / float(np.sum(probabilities)) * seen.sum()
    assert len(seen) == len(expected)
    assert expected.min() >= 5, "too few samples for a chi-square test"
    value = float(((seen - expected) ** 2 / expected).sum())
    limit = rejected_above(len(seen) - 1)
    assert value < limit, f"chi-square {value:.1f} exceeds {limit:.1f}"
