"""Fused kernels: stored rows to a finished batch in one pass, bit for bit the reference.

The array-API implementation in `premask.masking` is the specification. A kernel does the same
for one row after the other, without arrays in between, 5 to 20 times as fast. Which one is used
is chosen when a policy is bound: ``auto`` (Numba where it can), ``reference``,
``numba`` (on the CPU) or ``triton`` (on CUDA devices). Numba is an optional extra, Triton comes
with torch for CUDA; either is imported only once it masks.
"""

from premask.kernels.choice import KERNELS as KERNELS
from premask.kernels.choice import Kernel as Kernel
from premask.kernels.choice import available_kernels as available_kernels
from premask.kernels.choice import bind_policy as bind_policy
from premask.kernels.choice import covers as covers

__all__ = ["KERNELS", "Kernel", "available_kernels", "bind_policy", "covers"]
