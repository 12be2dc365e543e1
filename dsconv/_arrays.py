"""Arrays as the kernels take them: float32, contiguous, and memory for them at cache lines."""

from __future__ import annotations

from typing import Any

import numpy as np

_FLOAT32 = np.dtype(np.float32)


def is_float32(array: object) -> bool:
    """Whether this is a numpy array of native float32."""
    return isinstance(array, np.ndarray) and array.dtype == _FLOAT32


def float32(array: Any, name: str) -> np.ndarray:
    """`array` as a numpy array of native float32, unchanged; another dtype is refused."""
    try:
        array = np.asarray(array)
    except ValueError:  # a ragged list
        raise TypeError(f"{name} must be float32, got {type(array).__name__}") from None
    if not is_float32(array):  # byte-swapped ones are another dtype, too
        raise TypeError(
            f"{name} must be float32, got {array.dtype}; convert with {name}.astype(numpy.float32)"
        )
    return array


def contiguous(array: np.ndarray) -> np.ndarray:
    """The array itself where the kernels can read it, else a copy."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, requirements=["C", "A"])


def aligned_empty(floats: int) -> np.ndarray:
    """An uninitialised float32 vector at a cache line, or if it is long at a huge page.

    numpy asks for huge pages from 4 MB on, and weights side by side on them cost fewer TLB misses.
    """
    alignment = 2 << 20 if floats >= 1 << 20 else 64  # bytes
    raw = np.empty(floats + alignment // 4, np.float32)
    start = -raw.ctypes.data % alignment // 4
    return raw[start : start + floats]


class Block:
    """One stretch of memory that hands out vectors: `empty` for all weights of a network."""

    def __init__(self, floats: int) -> None:
        self._memory = aligned_empty(floats)
        self._taken = 0

    def __call__(self, floats: int) -> np.ndarray:
        start = self._taken
        self._taken += -(-floats // 16) * 16
        return self._memory[start : start + floats]
