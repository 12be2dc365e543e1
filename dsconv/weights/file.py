"""What every reader of weights has in common: an open file, a list of its arrays, one read each.

A format supplies two methods. `_scan` reads the directory of the file and checks all of it; it
allocates nothing that the file's own length does not pay for. `_fetch` fills one array.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from dsconv.weights.scratch import Scratch

MAX_DIMENSIONS = 32
_FREE_BYTES = 64 * 2**20  # a file of any length may unpack to this much,
_EXPANSION = 16  # a long one to this many times its length
_ALIGNMENT = 64  # bytes; arrays of one block begin on cache lines


class Entry(NamedTuple):
    """One array of a file."""

    shape: tuple[int, ...]
    dtype: np.dtype  # of the array that `read` returns
    raw_bytes: int  # to fetch from the file
    place: Any  # where these are: the format's own


class WeightFile(ABC):
    """An open file of named arrays; a context manager. Not for several threads at once.

    Parameters
    ----------
    path
        The file. It stays open until `close` or the end of the `with` block.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, of another format, or holds anything but plain arrays. Everything
        but the content of the arrays is checked here; `read` checks that.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._file = open(self.path, "rb")  # noqa: SIM115
        try:
            self.file_bytes = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            self._entries = self._scan()
            check_expansion(
                (max(e.raw_bytes, array_bytes(e.shape, e.dtype)) for e in self._entries.values()),
                self.file_bytes,
            )
        except ValueError as error:
            self._file.close()
            raise ValueError(f"{self.path}: {error}") from error
        except BaseException:
            self._file.close()
            raise

    @abstractmethod
    def _scan(self) -> dict[str, Entry]:
        """The arrays of the file, checked against its length."""

    @abstractmethod
    def _fetch(self, entry: Entry, raw: np.ndarray) -> np.ndarray:
        """The array of `entry`, its bytes read into `raw` (uint8, `raw_bytes` long)."""

    @cached_property
    def _scratch(self) -> Scratch:
        from dsconv.weights.scratch import Scratch

        return Scratch()

    def names(self) -> list[str]:
        """The names of all arrays, in the order of the file."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one array."""
        return self._entry(name).shape

    def dtype(self, name: str) -> np.dtype:
        """The dtype of one array as `read` returns it."""
        return self._entry(name).dtype

    def read(self, name: str) -> np.ndarray:
        """One array: C-contiguous, writable, native byte order.

        Raises
        ------
        ValueError
            If there is no array of that name, its content is damaged, or the file is closed.
        """
        return self._read(name, self._scratch(self._entry(name).raw_bytes))

    def read_all(self) -> dict[str, np.ndarray]:
        """All arrays, in the order of the file, in one block of memory that they share.

        One block from 4 MB up lies on huge pages, where small arrays would each wait for the
        system to hand out fresh pages: this halves the time to read a network.
        """
        rooms = [-(-entry.raw_bytes // _ALIGNMENT) * _ALIGNMENT for entry in self._entries.values()]
        block = np.empty(sum(rooms), np.uint8)
        arrays = {}
        start = 0
        for (name, entry), room in zip(self._entries.items(), rooms, strict=True):
            arrays[name] = self._read(name, block[start : start + entry.raw_bytes])
            start += room
        return arrays

    def stamp(self) -> tuple[int, int]:
        """Length of the open file in bytes, and time of its last change in nanoseconds."""
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def close(self) -> None:
        """Close the file; arrays that were read stay valid."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _entry(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise ValueError(f"{self.path}: no array is named {name!r}") from None

    def _read(self, name: str, raw: np.ndarray) -> np.ndarray:
        try:
            return self._fetch(self._entries[name], raw)
        except ValueError as error:
            raise ValueError(f"{self.path}: array {shorten(name)}: {error}") from error


def array_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Size of an array in bytes; ValueError for a shape that no array can have."""
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{len(shape)} dimensions, at most {MAX_DIMENSIONS} are allowed")
    if shape and min(shape) < 0:
        raise ValueError("a shape with a negative extent")
    size = math.prod(shape) * dtype.itemsize
    if (size or math.prod(max(extent, 1) for extent in shape) * dtype.itemsize) >= 2**63:
        raise ValueError("a shape beyond the address space")
    return size


def check_expansion(sizes: Iterable[int], file_bytes: int) -> None:
    """Refuse a file whose contents take unreasonably more memory than the file is long."""
    allowed = max(_FREE_BYTES, _EXPANSION * file_bytes)
    total = sum(sizes)
    if total > allowed:
        raise ValueError(
            f"the contents would take {total} bytes of memory; a file of {file_bytes} bytes "
            f"may take up to {allowed}"
        )


def numbers(raw: np.ndarray, stored: np.dtype) -> np.ndarray:
    """Raw bytes (uint8) as a flat native array of the dtype that they were stored in."""
    if stored == np.bool_:
        return raw != 0
    array = raw.view(stored)
    if not stored.isnative:
        array = array.byteswap(inplace=True).view(stored.newbyteorder("="))
    return array


def widened(bfloat16: np.ndarray) -> np.ndarray:
    """bfloat16, held as uint16, as float32: its bits are the upper half. Exact."""
    return (bfloat16.astype(np.uint32) << np.uint32(16)).view(np.float32)


def shorten(value: object) -> str:
    """How an error message shows something out of a file: a short text, or only its type."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:77] + "...")
    return f"of type {type(value).__name__}"
