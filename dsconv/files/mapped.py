"""Map files into memory: the pages of the system serve as arrays, so nothing is copied."""

from __future__ import annotations

import mmap
import os

import numpy as np


class MappedFile:
    """A file's bytes, shared with the file and with every process that maps it.

    If the file is deleted or replaced, as `dsconv.save` replaces files, the bytes stay as they were
    (Windows allows neither). If it is overwritten in its place, they change here as well. If it is
    cut short, its pages are gone and touching them ends the process, so call `check` before. The
    file stays open.

    Parameters
    ----------
    path
        A file that is not empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with open(path, "rb") as file:
            try:
                self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                error.filename = self.path
                raise

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, part: slice) -> bytes:
        return self._pages[part]

    def floats(self, start: int) -> np.ndarray:
        """Return the float32 numbers from byte `start` to the end, read-only."""
        return np.frombuffer(memoryview(self._pages)[start:], "<f4")

    def check(self) -> None:
        """Raise ValueError if the file has another length by now."""
        if self._pages.size() != len(self._pages):
            raise ValueError(
                f"{self.path}: the file was changed after it was loaded; load it again"
            )
