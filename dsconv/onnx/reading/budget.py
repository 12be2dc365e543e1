"""Limit the memory that a file may make us allocate, because a short file can ask for terabytes."""

from __future__ import annotations


class Budget:
    """Bytes that may be allocated beyond the arrays of the file itself.

    Parameters
    ----------
    file_bytes : int
        The length of the file, because a longer file may take more.
    """

    def __init__(self, file_bytes: int) -> None:
        self._left = max(64 * 2**20, 16 * file_bytes)

    def take(self, size: int, what: str) -> None:
        """Subtract `size` bytes for `what`, or raise a ValueError if fewer are left."""
        if size > self._left:
            raise ValueError(
                f"{what} would take {size} bytes, which this file does not account for; "
                f"{self._left} bytes are left"
            )
        self._left -= size
