"""A kernel is chosen by name; what cannot be had is refused, or left to the reference."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask import kernels
from premask.kernels.masker import KernelMasker

from tests.kernels.ragged import LONGEST, batch_of
from tests.loader.shardset import random_lengths, random_rows, write_set
from tests.masking.batches import BINDING, assert_same

pytest.importorskip("numba")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> premask.ShardSet:
    rows = random_rows(random_lengths(50))
    return premask.open_shards(write_set(tmp_path_factory.mktemp("kernels") / "set", rows))


def test_an_unknown_kernel_is_refused_with_the_choices() -> None:
    wrong: Any = "cuda"
    with pytest.raises(premask.RequestError, match="auto, reference, numba, triton"):
        premask.policy("random").bind(BINDING, kernel=wrong)


def test_a_policy_without_a_kernel_is_refused_when_one_is_asked_for() -> None:
    with pytest.raises(premask.RequestError, match="does not cover policy 'pmi'"):
        premask.policy("pmi").bind(BINDING, kernel="numba")


def test_a_policy_without_a_kernel_is_left_to_the_reference() -> None:
    masker = premask.policy("pmi").bind(BINDING, kernel="auto")
    assert not isinstance(masker, KernelMasker)


def test_a_kernel_is_refused_where_it_cannot_mask(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="masks on the CPU"):
        premask.Loader(shards, policy="random", backend="jax", batch_size=5, kernel="numba")


def test_a_loader_says_what_masks(shards: premask.ShardSet) -> None:
    automatic = premask.Loader(shards, policy="random", batch_size=5, backend="numpy")
    plain = premask.Loader(
        shards, policy="random", batch_size=5, backend="numpy", kernel="reference"
    )
    assert "kernel='numba'" in repr(automatic)
    assert "kernel='reference'" in repr(plain)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    "options", [{}, {"pad_to": "max"}, {"pad_to": 16}, {"layout": "packed"}]
)
def test_loaders_deliver_the_same_batches_on_every_kernel(
    shards: premask.ShardSet, backend: Any, options: dict[str, Any]
) -> None:
    common = {"policy": "whole_word", "batch_size": 8, "backend": backend, **options}
    reference = premask.Loader(shards, kernel="reference", **common)
    fused = premask.Loader(shards, kernel="numba", **common)
    for expected, found in zip(reference, fused, strict=True):
        assert {name: str(x.dtype) for name, x in expected.items() if hasattr(x, "dtype")} == {
            name: str(x.dtype) for name, x in found.items() if hasattr(x, "dtype")
        }
        assert_same(
            {name: np.asarray(x) for name, x in expected.items()},
            {name: np.asarray(x) for name, x in found.items()},
        )


def test_two_threads_mask_at_once_to_the_same_bits() -> None:
    rows = [batch_of(30, seed=seed) for seed in range(16)]
    masker = premask.policy("whole_word").bind(BINDING, kernel="numba")
    assert isinstance(masker, KernelMasker)

    def mask(epoch: int) -> list[dict[str, np.ndarray]]:
        return [masker.batch(part, epoch, LONGEST, np.dtype(np.int32)) for part in rows]

    alone = mask(1)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(mask, [1] * 6):
            for expected, batch in zip(alone, found, strict=True):
                assert_same(expected, batch)


def test_without_numba_there_is_the_reference_alone() -> None:
    code = (
        "import importlib.util as util; found = util.find_spec\n"
        "lacks = ('numba', 'triton')\n"
        "util.find_spec = lambda name, *a: None if name in lacks else found(name, *a)\n"
        "import premask.kernels.choice as choice; print(choice.available_kernels())\n"
        "try: choice.check_kernel('numba')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = run.stdout.splitlines()
    assert first == "('reference',)"
    assert second.startswith("RequestError kernel 'numba' needs the package numba: pip install")


def test_importing_kernels_imports_no_numba() -> None:
    code = "import premask.kernels, sys; print('numba' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"
    assert kernels.available_kernels()[:2] == ("reference", "numba")


_TIMED = """
import numpy as np, premask, sys
from tests.masking.batches import BINDING
masker = premask.policy("clm").bind(BINDING, kernel="numba")
masker.warm_up(np.dtype(np.int32))
from premask.kernels._causal import copy_rows
stats = copy_rows.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_kernel_is_compiled_once_and_then_read_from_disk(tmp_path: Path) -> None:
    import os

    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", _TIMED]
    outputs = [
        subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert outputs == [["0", "1"], ["1", "0"]]


def test_random_words_are_made_in_the_widest_vectors_of_the_machine() -> None:
    import numba
    from numba.core import codegen
    from premask.kernels._random import fill_words

    machine: Any = codegen
    if "+avx512f" not in machine.get_host_cpu_features():
        pytest.skip("this machine has no vectors of 512 bits")

    @numba.njit
    def draw(high: Any, low: Any, first: Any, second: Any) -> None:
        fill_words(high, low, 0, len(first), first, second)

    draw(np.uint32(1), np.uint32(2), np.empty(64, np.int32), np.empty(64, np.int32))
    assert "zmm" in draw.inspect_asm(draw.signatures[0])
