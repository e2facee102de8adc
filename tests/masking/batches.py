"""Random ragged batches, the three backends, and what tests ask of a batch again and again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking._operation import Binding
from premask.masking._rows import PaddedRows, Vocabulary

BACKENDS = ("numpy", "torch", "jax")
PAD, UNK, CLS, SEP, MASK = 0, 1, 2, 3, 4
SPECIAL, WORD, SENTENCE, DOCUMENT = 1, 2, 4, 8

VOCABULARY = Vocabulary(
    size=200,
    pad_id=PAD,
    mask_id=MASK,
    cls_id=CLS,
    sep_id=SEP,
    unk_id=UNK,
    special_ids=(PAD, CLS, SEP, MASK),
    prefix_ids=(CLS,),
    suffix_ids=(SEP,),
    replacement_ranges=((10, 100), (120, 200)),
)
COUNTS = np.array([0] * 10 + [1 + 3000 // (rank + 1) for rank in range(190)], np.int64)
TRACKS = {
    "pos_tags": ("", "NOUN", "VERB", "DET", "ADJ", "PUNCT"),
    "entity_labels": ("", "PERSON", "GPE", "DATE"),
}
COLLOCATIONS = np.array(
    [[a, b, -1] for a in range(10, 200, 3) for b in range(10, 200, 5)]
    + [
        [a, b, c]
        for a in range(10, 200, 9)
        for b in range(11, 200, 7)
        for c in range(10, 200, 8)
    ],
    np.int32,
)
BINDING = Binding(
    vocabulary=VOCABULARY,
    max_length=96,
    tables={"counts": COUNTS, "collocations": COLLOCATIONS},
    tracks=TRACKS,
)


def convert(array: np.ndarray, backend: str) -> Any:
    """`array` on another backend."""
    if backend == "torch":
        import torch

        return torch.from_numpy(array.copy())
    if backend == "jax":
        import jax.numpy as jnp

        return jnp.asarray(array)
    return array


def on(rows: PaddedRows, backend: str) -> PaddedRows:
    """`rows` (NumPy) on another backend."""
    return PaddedRows(
        input_ids=convert(rows.input_ids, backend),
        lengths=convert(rows.lengths, backend),
        boundaries=convert(rows.boundaries, backend),
        keys=convert(rows.keys, backend),
        tracks={name: convert(track, backend) for name, track in rows.tracks.items()},
    )


def pick(rows: PaddedRows, index: Any) -> PaddedRows:
    """The rows at `index`, in its order."""
    return PaddedRows(
        input_ids=rows.input_ids[index],
        lengths=rows.lengths[index],
        boundaries=rows.boundaries[index],
        keys=rows.keys[index],
        tracks={name: track[index] for name, track in rows.tracks.items()},
    )


def widen(rows: PaddedRows, length: int, rng: np.random.Generator) -> PaddedRows:
    """The same rows on `length` positions, with junk beyond their ends."""

    def pad(array: np.ndarray) -> np.ndarray:
        extra = (array.shape[0], length - array.shape[1])
        return np.concatenate([array, rng.integers(0, 200, extra, dtype=np.int32)], axis=1)

    return dataclasses.replace(
        rows,
        input_ids=pad(rows.input_ids),
        boundaries=pad(rows.boundaries),
        tracks={name: pad(track) for name, track in rows.tracks.items()},
    )


def random_keys(rng: np.random.Generator, num_rows: int) -> np.ndarray:
    return rng.integers(-(2**31), 2**31, (num_rows, 2), dtype=np.int64).astype(np.int32)


def random_rows(
    rng: np.random.Generator, num_rows: int, length: int, *, shortest: int = 0
) -> PaddedRows:
    """Ragged rows: words, sentences, documents, entities, phrases, tracks, separators."""
    shape = (num_rows, length)
    lengths = rng.integers(shortest, length + 1, num_rows).astype(np.int32)
    boundaries = np.zeros(shape, np.int32)
    for bit, share in ((WORD, 0.7), (SENTENCE, 0.08), (DOCUMENT, 0.02)):
        boundaries |= np.where(rng.random(shape) < share, bit, 0)
    boundaries |= np.where((boundaries & (SENTENCE | DOCUMENT)) > 0, WORD, 0)
    for opens, inside, share in ((16, 32, 0.1), (64, 128, 0.2)):
        start = rng.random(shape) < share
        member = start.copy()
        for _ in range(3):
            member[:, 1:] |= member[:, :-1] & (rng.random(shape) < 0.5)[:, 1:]
        boundaries |= np.where(start, opens, 0) | np.where(member, inside, 0)
    special = rng.random(shape) < 0.03
    special[:, 0] = True
    special[np.arange(num_rows), np.maximum(lengths - 1, 0)] = True
    boundaries = np.where(special, SPECIAL, boundaries).astype(np.int32)
    ids = np.where(special, SEP, rng.integers(10, 200, shape)).astype(np.int32)
    return PaddedRows(
        input_ids=ids,
        lengths=lengths,
        boundaries=boundaries,
        keys=random_keys(rng, num_rows),
        tracks={
            "pos_tags": rng.integers(0, 6, shape, dtype=np.int32),
            "entity_labels": rng.integers(0, 4, shape, dtype=np.int32),
            "depth": rng.integers(0, 12, shape, dtype=np.int32),
            "salience": rng.integers(0, 256, shape, dtype=np.int32),
        },
    )


def text_rows(
    num_rows: int,
    boundaries: list[int],
    *,
    ids: list[int] | None = None,
    seed: int = 0,
    tracks: Mapping[str, list[int]] | None = None,
) -> PaddedRows:
    """`num_rows` copies of one row, each with its own key."""
    length = len(boundaries)
    tokens = ids if ids is not None else [10 + position % 90 for position in range(length)]

    def repeat(values: list[int]) -> np.ndarray:
        return np.tile(np.array(values, np.int32), (num_rows, 1))

    return PaddedRows(
        input_ids=repeat(tokens),
        lengths=np.full(num_rows, length, np.int32),
        boundaries=repeat(boundaries),
        keys=random_keys(np.random.default_rng(seed), num_rows),
        tracks={name: repeat(values) for name, values in (tracks or {}).items()},
    )


def selected(outputs: Mapping[str, Any]) -> np.ndarray:
    """bool ``[B, L]``: what a masked language model is asked for."""
    flags: np.ndarray = np.asarray(outputs["labels"]) != -100
    return flags


def text_of(rows: PaddedRows) -> np.ndarray:
    """bool ``[B, L]``: text positions, the obvious way."""
    place = np.arange(rows.input_ids.shape[1])[None, :]
    inside = place < rows.lengths[:, None]
    return np.asarray(inside & ((rows.boundaries & int(Boundary.SPECIAL)) == 0))


def assert_same(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> None:
    """Same names, same bits, same (32-bit) types."""
    assert expected.keys() == actual.keys()
    for name, array in expected.items():
        other = np.asarray(actual[name])
        assert array.dtype == other.dtype, name
        np.testing.assert_array_equal(array, other, err_msg=name)


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    """The upper tail of Pearson's statistic, by the Wilson-Hilferty approximation."""
    statistic = float(((observed - expected) ** 2 / expected).sum())
    freedom = len(expected) - 1
    if freedom < 1:
        return 1.0
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5
    return 0.5 * math.erfc(z / 2**0.5)
