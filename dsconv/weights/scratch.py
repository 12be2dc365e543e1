"""Memory for large arrays that live one after the other."""

from __future__ import annotations

import weakref

import numpy as np

_SMALL = 1 << 17  # bytes; below, the allocator itself uses memory again
_BLOCK = 1 << 22  # bytes; from here on numpy asks for huge pages


class Scratch:
    """Gives uninitialised memory: the same again as soon as nobody holds the array before.

    The first write to a fresh page waits for the system to clear it, which takes longer than to
    read a weight or to scale it. An array that is still in use, or any view of it, stays valid:
    then the memory is fresh. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._block = memoryview(b"")
        self._last: weakref.ref[np.ndarray] | None = None

    def __call__(self, size: int) -> np.ndarray:
        """A vector of `size` bytes (uint8)."""
        if size < _SMALL or (self._last is not None and self._last() is not None):
            return np.empty(size, np.uint8)
        if size > len(self._block):
            self._block = np.empty(max(size, _BLOCK), np.uint8).data
        # Made from a buffer, this array is what every view of it keeps alive.
        array = np.frombuffer(self._block, np.uint8, size)
        self._last = weakref.ref(array)
        return array
