"""Which kernel masks: chosen when a policy is bound. Imports Numba only if it is chosen."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

from premask._errors import RequestError
from premask.kernels.masker import KernelMasker
from premask.kernels.programs import COVERED, compile_program
from premask.masking._operation import Binding
from premask.masking.masker import Masker
from premask.masking.policy import Policy

Kernel = Literal["auto", "reference", "numba"]
KERNELS: tuple[Kernel, ...] = ("auto", "reference", "numba")


def available_kernels() -> tuple[str, ...]:
    """The kernels that this installation can run. Looks for packages and imports none."""
    return ("reference", "numba") if find_spec("numba") is not None else ("reference",)


def check_kernel(kernel: str) -> None:
    """Raises `RequestError` for an unknown kernel, or one that is not installed."""
    if kernel not in KERNELS:
        raise RequestError(
            f"unknown kernel {kernel!r}; choose one of {', '.join(KERNELS)}", location="kernel"
        )
    if kernel == "numba" and "numba" not in available_kernels():
        raise RequestError(
            "kernel 'numba' needs the package numba: pip install 'premask[kernels]', or choose "
            "kernel 'auto' or 'reference'",
            location="kernel",
        )


def covers(policy: Policy, binding: Binding) -> bool:
    """Whether there is a kernel for `policy`, given that Numba is installed."""
    return policy.operation in COVERED and compile_program(policy, binding) is not None


def bind_policy(
    policy: Policy, binding: Binding, kernel: Kernel = "auto", *, on_host: bool = True
) -> Masker:
    """`policy`, bound, on the kernel that was chosen.

    Args:
        kernel: ``auto`` takes a kernel where there is one and the reference elsewhere.
        on_host: whether rows are in this machine's main memory, in NumPy or torch arrays;
            elsewhere only the reference runs.

    Raises:
        RequestError: the kernel is unknown or not installed, or does not cover the policy.
        PolicyError: as `Policy.bind`.
    """
    check_kernel(kernel)
    if kernel == "numba" and not on_host:
        raise RequestError(
            "kernel 'numba' masks on the CPU, for the backends numpy and torch; choose kernel "
            "'auto' or 'reference', or another device",
            location="kernel",
        )
    if kernel == "reference" or not on_host or "numba" not in available_kernels():
        return Masker(policy, binding)
    reference = Masker(policy, binding)  # what it refuses is refused first, in its own words
    program = compile_program(policy, binding) if policy.operation in COVERED else None
    if program is not None:
        return KernelMasker(policy, binding, program)
    if kernel == "numba":
        raise RequestError(
            f"kernel 'numba' does not cover policy {policy.name!r} (operation "
            f"{policy.operation}) with these parameters; choose kernel 'auto' or 'reference'",
            location="kernel",
        )
    return reference


def kernel_of(masker: Masker | None) -> str:
    """The kernel that `masker` runs on: ``numba`` or ``reference``."""
    return "numba" if isinstance(masker, KernelMasker) else "reference"


def is_on_host(backend: str, device: Any) -> bool:
    """Whether arrays of `backend` on `device` are NumPy arrays or share memory with them."""
    if backend == "torch":
        return device is None or str(device).startswith("cpu")
    return backend == "numpy"
