"""Allocate memory for weights, aligned to cache lines and huge pages."""

from __future__ import annotations

import numpy as np


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
