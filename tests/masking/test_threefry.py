"""Random123's published vectors, and the properties that the key tree rests on."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from premask.masking import threefry

from tests.masking.batches import BACKENDS, convert

# Random123, tests/kat_vectors: threefry2x32, 20 rounds: counter, key, words.
VECTORS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def as_array(word: int, backend: str) -> object:
    return convert(np.array([threefry.signed(word)], np.int32), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_the_published_vectors_come_out(
    backend: str,
    counter: tuple[int, int],
    key: tuple[int, int],
    expected: tuple[int, int],
) -> None:
    words = threefry.threefry2x32(
        (as_array(key[0], backend), as_array(key[1], backend)),
        (as_array(counter[0], backend), as_array(counter[1], backend)),
    )
    assert [int(word[0]) & 0xFFFFFFFF for word in words] == list(expected)


def test_numpy_in_place_equals_the_portable_form() -> None:
    rng = np.random.default_rng(1)
    key = tuple(
        rng.integers(-(2**31), 2**31, (7, 1), dtype=np.int64).astype(np.int32) for _ in "xy"
    )
    counter = (np.arange(50, dtype=np.int32)[None, :], np.full((1, 50), 3, np.int32))
    fast = threefry.threefry2x32((key[0], key[1]), counter)
    portable = threefry.threefry2x32_portable((key[0], key[1]), counter)
    for mine, other in zip(fast, portable, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_key_equals_fold_in_of_jax() -> None:
    words = jax.numpy.array([5, 77], jax.numpy.uint32)
    row = jax.random.wrap_key_data(words, impl="threefry2x32")
    folded = jax.random.key_data(jax.random.fold_in(row, 9))
    mine = threefry.mask_key(np.array([[5, 77]], np.int32), 0, 9)
    assert (mine.view(np.uint32)[0] == np.asarray(folded)).all()


def test_three_million_rows_have_three_million_keys() -> None:
    keys = []
    for start in range(0, 3_000_000, 50_000):
        rows = np.arange(start, start + 50_000, dtype=np.int32)
        keys.append(threefry.mask_key(np.stack([np.full_like(rows, 42), rows], 1), 7, 1))
    assert len(np.unique(np.concatenate(keys).view(np.int64))) == 3_000_000


def test_streams_epochs_policies_and_rows_all_change_the_words() -> None:
    base = np.array([[1, 2]], np.int32)

    def words(row: np.ndarray, word: int, epoch: int, stream: int) -> bytes:
        drawn = threefry.words(threefry.mask_key(row, word, epoch), 8, stream)[0]
        return bytes(drawn.tobytes())

    variants = {
        words(base, 3, 4, 0),
        words(base + 1, 3, 4, 0),
        words(base, 4, 4, 0),
        words(base, 3, 5, 0),
        words(base, 3, 4, 1),
    }
    assert len(variants) == 5


def test_an_epoch_per_row_equals_an_epoch_for_all() -> None:
    rows = np.arange(8, dtype=np.int32).reshape(4, 2)
    together = threefry.mask_key(rows, 11, np.array([0, 3, 3, 9], np.int32))
    alone = [threefry.mask_key(rows[i : i + 1], 11, e)[0] for i, e in enumerate([0, 3, 3, 9])]
    np.testing.assert_array_equal(together, np.stack(alone))
