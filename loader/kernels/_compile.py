"""How kernels are compiled: no global lock, no reordered floats, kept on disk.

Functions are compiled when they are first called, for the types of that call. Whole kernels are
kept on disk by Numba (`NUMBA_CACHE_DIR`, else beside this package, else in the user's cache);
where nothing can be written they are compiled anew in every process. To tell whether
what it kept is stale, Numba looks at the file of a kernel alone, so every kernel also closes
over `SOURCES`, which changes with any file of this package.

Importing this module imports Numba (about 0.4 s).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
# In a kernel: an integer of whatever width the compiler gives it.
Integer = Any
# The key of what cannot be selected.
NEVER = np.int32(2**31 - 1)

# No reference counts: kernels own no memory, they work in what they are given. Counting cost
# 200 ns per row and half of the compilation.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": False,
    "error_model": "numpy",
    "_nrt": False,
}
# What kernels call is inlined: passing a dozen arrays costs more than most calls do. It has no
# entry from Python or C, which would take a quarter of the compilation.
_INNER: dict[str, Any] = {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def _digest() -> str:
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


SOURCES = _digest()


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A function that kernels call: compiled into each of them, and kept nowhere else."""
    made: Callable[Parameters, Result] = numba.njit(**_INNER, **_OPTIONS)(function)
    return made


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A function that Python calls: compiled once per set of types, and kept on disk."""
    made: Callable[Parameters, Result]
    try:
        made = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # nowhere to write
        made = numba.njit(**_OPTIONS)(function)
    return made


def _widest_vectors(_typing: Any) -> Any:
    """In a function with hot loops: asks for the widest vectors that the machine has.

    LLVM keeps to 256 bits on most machines with AVX-512, which once slowed their clocks; there
    is no other way to tell it through Numba. Random words take two thirds of the time so.
    """

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        # Past llvmlite's own `add`, which knows no attributes with values.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


widest_vectors: Callable[[], None] = cast(Any, intrinsic)(_widest_vectors)


def entry_of(kernel: Callable[..., None], arguments: tuple[Any, ...]) -> Callable[..., None]:
    """The machine code of `kernel` for arguments of the types of `arguments`, and no others.

    It is compiled, or read from disk, where there is none yet. Called through Python's name of
    the kernel, it would be looked up by the types of some forty arrays: 4 of 13 microseconds
    that a batch takes besides its tokens.
    """
    signature = tuple(cast(Any, numba).typeof(argument) for argument in arguments)
    found: Callable[..., None] = cast(Any, kernel).compile(signature)
    return found
