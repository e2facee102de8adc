"""Which kernel masks: chosen when a policy is bound.

Imports Numba and Triton only where they mask.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

from premask._errors import RequestError
from premask.kernels import triton_masker
from premask.kernels.masker import KernelMasker
from premask.kernels.programs import COVERED, compile_program
from premask.kernels.triton_masker import TritonMasker, is_interpreted
from premask.masking._operation import Binding
from premask.masking.masker import Masker
from premask.masking.policy import Policy

Kernel = Literal["auto", "reference", "numba", "triton"]
KERNELS: tuple[Kernel, ...] = ("auto", "reference", "numba", "triton")


def available_kernels() -> tuple[str, ...]:
    """The kernels that are installed. Looks for packages and imports none."""
    return ("reference", *(name for name in ("numba", "triton") if find_spec(name)))


def check_kernel(kernel: str) -> None:
    """Raises `RequestError` for an unknown kernel, or one that is not installed."""
    if kernel not in KERNELS:
        raise RequestError(
            f"unknown kernel {kernel!r}; choose one of {', '.join(KERNELS)}", location="kernel"
        )
    if kernel != "auto" and kernel not in available_kernels():
        remedy = "pip install 'premask[kernels]'"
        if kernel == "triton":
            remedy = "pip install triton, which torch for CUDA brings with it"
        raise RequestError(
            f"kernel {kernel!r} needs the package {kernel}: {remedy}, or choose kernel 'auto' "
            "or 'reference'",
            location="kernel",
        )


def covers(policy: Policy, binding: Binding) -> bool:
    """Whether there is a kernel for `policy`, given that Numba is installed."""
    return policy.operation in COVERED and compile_program(policy, binding) is not None


def bind_policy(
    policy: Policy,
    binding: Binding,
    kernel: Kernel = "auto",
    *,
    backend: str = "numpy",
    device: Any = None,
) -> Masker:
    """`policy`, bound, on the kernel that was chosen.

    Args:
        kernel: ``auto`` takes Numba's kernel where there is one and the reference elsewhere.
            Triton's are taken on request alone until they have run on a real device.
        backend, device: whose arrays are made, and where: ``numba`` masks in this machine's
            main memory, for NumPy and torch; ``triton`` on CUDA devices, for torch.

    Raises:
        RequestError: the kernel is unknown or not installed, or cannot mask there, or does not
            cover the policy.
        PolicyError: as `Policy.bind`.
    """
    check_kernel(kernel)
    _check_place(kernel, backend, device)
    reference = Masker(policy, binding)  # what it refuses is refused first, in its own words
    found = None
    if kernel in ("auto", "numba") and is_on_host(backend, device):
        found = _on_numba(policy, binding)
    elif kernel == "triton":
        found = _on_triton(policy, binding)
    if found is None and kernel in ("numba", "triton"):
        raise RequestError(
            f"kernel {kernel!r} does not cover policy {policy.name!r} (operation "
            f"{policy.operation}) with these parameters; choose kernel 'auto' or 'reference'",
            location="kernel",
        )
    return found or reference


def _check_place(kernel: str, backend: str, device: Any) -> None:
    if kernel == "numba" and not is_on_host(backend, device):
        raise RequestError(
            "kernel 'numba' masks on the CPU, for the backends numpy and torch; choose kernel "
            "'auto' or 'reference', or another device",
            location="kernel",
        )
    interpreted = backend == "torch" and is_interpreted()
    if kernel == "triton" and not (is_on_cuda(backend, device) or interpreted):
        raise RequestError(
            f"kernel 'triton' masks on CUDA devices, for the backend torch, got {backend} on "
            f"{device or 'the CPU'}; choose kernel 'auto' or 'reference', or device='cuda'",
            location="kernel",
        )


def _on_numba(policy: Policy, binding: Binding) -> Masker | None:
    if "numba" not in available_kernels():
        return None
    program = compile_program(policy, binding) if policy.operation in COVERED else None
    return None if program is None else KernelMasker(policy, binding, program)


def _on_triton(policy: Policy, binding: Binding) -> Masker | None:
    if "triton" not in available_kernels() or not triton_masker.covers(policy, binding):
        return None
    return TritonMasker(policy, binding)


def kernel_of(masker: Masker | None) -> str:
    """The kernel that `masker` runs on: ``numba``, ``triton`` or ``reference``."""
    if isinstance(masker, TritonMasker):
        return "triton"
    return "numba" if isinstance(masker, KernelMasker) else "reference"


def is_on_host(backend: str, device: Any) -> bool:
    """Whether arrays of `backend` on `device` are NumPy arrays or share memory with them."""
    if backend == "torch":
        return device is None or str(device).startswith("cpu")
    return backend == "numpy"


def is_on_cuda(backend: str, device: Any) -> bool:
    """Whether arrays of `backend` on `device` are torch tensors on a CUDA device."""
    return backend == "torch" and str(device).startswith("cuda")
