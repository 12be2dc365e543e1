"""Take the floats at the end of a file as an array: mapped into memory, or read."""

from __future__ import annotations

import mmap
import os
from io import BufferedReader

import numpy as np

from dsconv.kernels.memory import aligned_empty

_MOST_READ = 16 << 30  # bytes; more can only be mapped


class MappedFloats:
    """The floats of a file, shared with the file and with every process that maps it.

    If the file is deleted or replaced, as `dsconv.save` replaces files, the floats stay as they
    were (Windows allows neither). If it is overwritten in its place, they change here as well. If
    it is cut short, its pages are gone and touching them ends the process, so call `check` before.
    The file stays open.

    Parameters
    ----------
    file
        Open for reading.
    start
        The byte where the floats begin.
    count
        How many there are.

    Attributes
    ----------
    floats : ndarray of float32
        Read-only.

    Raises
    ------
    ValueError
        If the file is shorter.
    OSError
        If it cannot be mapped.
    """

    def __init__(self, file: BufferedReader, start: int, count: int) -> None:
        self._path = os.fspath(file.name)
        try:
            self._pages = mmap.mmap(file.fileno(), start + 4 * count, access=mmap.ACCESS_READ)
        except OSError as error:
            error.filename = self._path
            raise
        self.floats = np.frombuffer(memoryview(self._pages)[start:], "<f4")

    def check(self) -> None:
        """Raise ValueError if the file has another length by now."""
        if self._pages.size() != len(self._pages):
            raise ValueError(
                f"{self._path}: the file was changed after it was loaded; load it again"
            )


def read_floats(file: BufferedReader, start: int, count: int) -> np.ndarray:
    """Return floats that begin at byte `start` of a file as a read-only array of their own.

    Raises
    ------
    ValueError
        If the file is shorter, or the floats take more than 16 GB.
    """
    if 4 * count > _MOST_READ:
        raise ValueError(
            f"the weights have {4 * count} bytes; at most {_MOST_READ} are read, more can be mapped"
        )
    floats = aligned_empty(count)
    file.seek(start)
    if file.readinto(floats.view(np.uint8).data) != 4 * count:
        raise ValueError("the file is truncated")
    floats.flags.writeable = False
    return floats.view("<f4")
