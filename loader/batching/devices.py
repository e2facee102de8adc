"""Moves compact arrays to where they are used and widens them there.

The only module of the reader that knows torch and JAX; it imports them when they are asked
for. Two bytes per token cross the bus; the four that masking works on are made on the device.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from premask._errors import RequestError
from premask.masking._backend import Array, is_torch, namespace

Backend = Literal["numpy", "torch", "jax"]
BACKENDS = ("numpy", "torch", "jax")


def check_backend(backend: str, device: Any) -> None:
    """Raises `RequestError` for an unknown backend, or a device where there is none."""
    if backend not in BACKENDS:
        raise RequestError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if backend == "numpy" and device not in (None, "cpu"):
        raise RequestError(
            f"the numpy backend has no device {device!r}; use backend='torch' or 'jax'"
        )


def to_device(array: np.ndarray, backend: Backend, device: Any) -> Array:
    """`array` (any integer type) as a compact array of `backend` on `device`.

    torch can do little with unsigned types beyond a byte, so they arrive under their signed
    names with the same bits; `widen` undoes that.
    """
    if backend == "numpy":
        return array
    array = np.require(array, requirements=["C", "W"])
    if backend == "jax":
        import jax

        return jax.device_put(array, device)
    import torch

    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.view(array.dtype.str.replace("u", "i"))
    tensor = torch.from_numpy(array)
    if device is None or torch.device(device).type == "cpu":
        return tensor
    if torch.device(device).type == "cuda":
        # Only pinned memory is copied while the device computes.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def widen(x: Array, dtype: np.dtype) -> Array:
    """`x`, which came from an array of type `dtype`, as int32."""
    xp = namespace(x)
    if not is_torch(xp):
        return x.astype(np.int32)
    if dtype == np.uint16:
        return x.to(xp.int32) & 0xFFFF
    return x.to(xp.int32)


def to_output(x: Array) -> Array:
    """`x` as trainers want it: int64 for torch integers, int32 for NumPy and JAX integers."""
    xp = namespace(x)
    if is_torch(xp):
        return x.long() if x.dtype == xp.int32 else x
    return x
