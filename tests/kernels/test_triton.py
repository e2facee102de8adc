"""Law 2 for Triton's kernels: the bits of the reference, on a CUDA device where there is one.

Elsewhere Triton's interpreter runs the kernels on the CPU, and its compiler compiles them for a
GPU that need not be there. Triton takes a gigabyte, so only CI asks for it.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from premask import Policy, Rows
from premask._format import INPUT_IDS
from premask.kernels.triton_masker import TritonMasker

from tests.kernels.ragged import LONGEST, batch_of, ragged
from tests.loader.shardset import random_lengths, random_rows, write_set
from tests.masking.batches import BINDING, assert_same

torch = pytest.importorskip("torch")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if find_spec("triton") is None:
    pytest.skip(
        "Triton comes with torch for CUDA; else: pip install triton", allow_module_level=True
    )
if DEVICE == "cpu" and "triton" in sys.modules:
    pytest.skip("Triton was imported without its interpreter", allow_module_level=True)
with pytest.MonkeyPatch.context() as _patch:
    if DEVICE == "cpu":  # Triton reads its switch when it is imported.
        _patch.setenv("TRITON_INTERPRET", "1")
    from premask.kernels import _triton as _triton

NAMES = ("random", "mlm", "bert", "bernoulli", "roberta", "clm", "whole_word")
UNITS = ("bert_whole_word", "entity", "phrase", "ernie")
CHANGES: tuple[dict[str, Any], ...] = (
    {"preset": "clm", "mask_first": True},
    {"preset": "random", "rate": 0.9, "count": "unit", "random_special": True},
    {"preset": "random", "rate": 1.0, "random": 0.0},
    {"preset": "whole_word", "selection": "bernoulli", "units": "sentence"},
    {"preset": "whole_word", "overflow": "stop", "fallback": "cut", "rate": 0.03},
    {"preset": "whole_word", "overflow": "cut", "within": "sentence", "rate": 0.5},
    {"preset": "entity", "overflow": "under", "fallback": "none"},
    {"preset": "phrase", "units": "sentence", "rounding": "stochastic", "count": "unit"},
)
POLICIES = [premask.policy(name) for name in (*NAMES, *UNITS)]
POLICIES += [premask.policy(changes) for changes in CHANGES]


@pytest.fixture(autouse=True, scope="module")
def interpreter() -> Iterator[None]:
    """Premask reads the switch when a policy is bound."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setenv("TRITON_INTERPRET", "1")
        yield


def on_triton(policy: Policy) -> TritonMasker:
    kernels = premask.kernels
    masker = kernels.bind_policy(policy, BINDING, "triton", backend="torch", device=DEVICE)
    assert isinstance(masker, TritonMasker)
    return masker


def compact(rows: Rows) -> Rows:
    ids = rows.lists[INPUT_IDS].astype(np.uint16)
    return dataclasses.replace(rows, lists={**rows.lists, INPUT_IDS: ids})


def batch(masker: TritonMasker, rows: Rows, epochs: Any, width: int) -> dict[str, np.ndarray]:
    found = masker.batch(rows, epochs, width, np.dtype(np.int32), DEVICE)
    return {name: x.cpu().numpy() for name, x in found.items()}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.name}-{p.fingerprint[:4]}")
@settings(max_examples=3, deadline=None)
@given(rows=ragged(), epoch=st.integers(0, 2**31 - 1), spare=st.integers(0, 3))
def test_rows_give_the_bits_of_the_reference(
    policy: Policy, rows: Rows, epoch: int, spare: int
) -> None:
    width = min(LONGEST, max(1, rows.width()) + spare)
    expected = policy.bind(BINDING)(rows.pad(length=width), epoch)
    assert_same(expected, batch(on_triton(policy), compact(rows), epoch, width))


def test_long_ids_and_an_epoch_per_row_give_the_bits_of_the_reference() -> None:
    rows, policy = batch_of(9, long_ids=True), premask.policy("random")
    epochs = np.arange(9, dtype=np.int32)
    expected = policy.bind(BINDING)(rows.pad(length=LONGEST), epochs)
    assert_same(expected, batch(on_triton(policy), rows, epochs, LONGEST))


def test_a_batch_of_no_rows_has_the_shapes_of_the_reference() -> None:
    rows, policy = batch_of(3).take(np.arange(0)), premask.policy("random")
    found = batch(on_triton(policy), rows, 0, 8)
    assert {name: x.shape for name, x in found.items()} == dict.fromkeys(policy.outputs, (0, 8))


def test_loaders_deliver_the_same_batches(tmp_path: Path) -> None:
    shards = premask.open_shards(write_set(tmp_path / "set", random_rows(random_lengths(9))))
    common: dict[str, Any] = {"policy": "whole_word", "batch_size": 4, "backend": "torch"}
    reference = premask.Loader(shards, kernel="reference", **common)
    fused = premask.Loader(shards, kernel="triton", device=DEVICE, **common)
    assert "kernel='triton'" in repr(fused)
    for expected, found in zip(reference, fused, strict=True):
        assert {name: x.dtype for name, x in expected.items()} == {
            name: x.dtype for name, x in found.items()
        }
        for name, x in expected.items():
            assert torch.equal(x, found[name].cpu())


def test_a_policy_without_a_kernel_is_refused() -> None:
    for name in ("frequency", "span", "denoising"):
        with pytest.raises(premask.RequestError, match="'triton' does not cover policy"):
            on_triton(premask.policy(name))


def test_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(premask.RequestError, match="masks on CUDA devices"):
        premask.policy("random").bind(BINDING, kernel="triton")


_COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
import premask
from premask.kernels import _triton
from premask.kernels.triton_masker import TritonMasker
from tests.masking.batches import BINDING

POINTERS = {"ids": "i16", "bounds": "u8", "lengths": "i64", "batch": "i64"}
for name in ("clm", "random", "bernoulli", "whole_word", "entity"):
    kernel = _triton.copy_rows if name == "clm" else _triton.mask_rows
    fixed = TritonMasker(premask.policy(name), BINDING).fixed | {"NARROW": True, "BLOCK": 512}
    numbers = ("stride", "width", "size")
    types = {x: "*" + POINTERS.get(x, "i32") for x in kernel.arg_names}
    types |= dict.fromkeys(numbers, "i32") | dict.fromkeys(fixed, "constexpr")
    source = ASTSource(fn=kernel, signature=types, constexprs=fixed)
    options = {"enable_fp_fusion": False}
    made = compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    print(name, len(made.asm["cubin"]) > 1000)
"""


def test_kernels_compile_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    import os

    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([root, *sys.path])
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": paths}
    environment.pop("TRITON_INTERPRET", None)
    run = subprocess.run(
        [sys.executable, "-c", _COMPILE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines() == [
        f"{name} True" for name in ("clm", "random", "bernoulli", "whole_word", "entity")
    ], run.stderr
