"""Share between the readers of all formats: an open file, a list of its arrays, one read each.

A format supplies two methods. `_scan` reads the directory of the file and checks all of it; it
allocates nothing that the file's own length does not pay for. `_fill` reads the bytes of one array.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np

from dsconv.arguments.files import open_file

MAX_DIMENSIONS = 32
BFLOAT16 = np.dtype([("bfloat16", "<u2")])  # NumPy has none: it stands for the bits in a file
_FREE_BYTES = 64 * 2**20  # a file of any length may unpack to this much,
_EXPANSION = 16  # a long one to this many times its length
_ALIGNMENT = 64  # bytes; arrays of one block begin on cache lines


class Entry(NamedTuple):
    """Describe one array of a file.

    The file's bytes at `place`, a value of the format's own, become numbers of type `stored`. The
    array is in C order, or begins at number `offset` and has `strides`, counted in numbers.
    """

    shape: tuple[int, ...]
    stored: np.dtype
    raw_bytes: int
    place: Any
    offset: int = 0
    strides: tuple[int, ...] | None = None

    @property
    def dtype(self) -> np.dtype:
        """Return the dtype of the array that `read` returns."""
        return dtype_of(self.stored)


class WeightFile(ABC):
    """Read named arrays from an open file. It is a context manager, for one thread at a time.

    Parameters
    ----------
    path
        The file. It stays open until `close` or the end of the `with` block.

    Attributes
    ----------
    metadata : dict of str to str
        Texts beside the arrays, which only .safetensors files have.
    stamp : tuple of int
        Length, time of the last change in nanoseconds and inode of the file when it was opened.

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
        self.metadata: dict[str, str] = {}
        self._file = open_file(self.path)
        try:
            status = os.fstat(self._file.fileno())
            self.stamp = status.st_size, status.st_mtime_ns, status.st_ino
            self.file_bytes = status.st_size
            with errors_name(self.path):
                self._entries = self._scan()
                entries = self._entries.values()
                sizes = [max(e.raw_bytes, array_bytes(e.shape, e.dtype)) for e in entries]
                check_expansion(sizes, self.file_bytes)
        except BaseException:
            self._file.close()
            raise

    @abstractmethod
    def _scan(self) -> dict[str, Entry]:
        """Return the arrays of the file by name, checked against its length."""

    @abstractmethod
    def _fill(self, place: Any, raw: np.ndarray) -> None:
        """Fill `raw` (uint8, `raw_bytes` long) with the bytes at the place of an array."""

    def names(self) -> list[str]:
        """Return the names of all arrays, in the order of the file."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one array."""
        return self._entry(name).shape

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of one array as `read` returns it."""
        return self._entry(name).dtype

    def read(self, name: str) -> np.ndarray:
        """Return one array: C-contiguous, writable, in native byte order.

        Raises
        ------
        ValueError
            If there is no array of that name, its content is damaged, or the file is closed.
        """
        return self._read(name, np.empty(self._entry(name).raw_bytes, np.uint8))

    def read_all(self) -> dict[str, np.ndarray]:
        """Return all arrays, in the order of the file, in one block of memory that they share.

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
        """Read the bytes of one array into `raw`, and return them as the array."""
        entry = self._entries[name]
        with errors_name(self.path, f"array {shorten(name)}: "):
            self._fill(entry.place, raw)
        flat = _numbers(raw, entry.stored)
        if entry.strides is None:
            return flat.reshape(entry.shape)
        if 0 in entry.shape:
            return np.empty(entry.shape, entry.dtype)
        strides = tuple(step * flat.itemsize for step in entry.strides)
        start = entry.offset * flat.itemsize
        # This constructor checks once more that the view stays inside the buffer.
        view = np.ndarray(entry.shape, flat.dtype, flat.data, start, strides)
        return np.require(view, requirements=["C"])


@contextmanager
def errors_name(where: str, what: str = "") -> Iterator[None]:
    """Begin the messages of errors in the block with `where`, such as the path of a file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if str(error).startswith(where):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where}: {what}{error}") from None


def fill_from(file: BinaryIO, start: int, raw: np.ndarray) -> None:
    """Fill `raw` with the bytes of a file from `start` on."""
    file.seek(start)
    if file.readinto(raw.data) != len(raw):  # type: ignore[attr-defined]
        raise ValueError("the file is truncated")


def dtype_of(stored: np.dtype) -> np.dtype:
    """Return the dtype as which numbers of a file are read: bfloat16 widens to float32."""
    return np.dtype(np.float32) if stored == BFLOAT16 else stored.newbyteorder("=")


def array_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Return the size of an array in bytes; ValueError for a shape that no array can have."""
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{len(shape)} dimensions, at most {MAX_DIMENSIONS} are allowed")
    if shape and min(shape) < 0:
        raise ValueError(f"the shape {shape} has a negative extent")
    size = math.prod(shape) * dtype.itemsize
    if (size or math.prod(max(extent, 1) for extent in shape) * dtype.itemsize) >= 2**63:
        raise ValueError("the shape goes beyond the address space")
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


def are_naturals(values: Any, kind: type[list] | type[tuple]) -> bool:
    """Tell whether this is a list or tuple, by `kind`, of integers from 0 up."""
    return type(values) is kind and all(type(value) is int and value >= 0 for value in values)


def shorten(value: object) -> str:
    """Return what an error message shows of something out of a file: a short text, or its type."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:77] + "...")
    return f"of type {type(value).__name__}"


def _numbers(raw: np.ndarray, stored: np.dtype) -> np.ndarray:
    """Return raw bytes (uint8) as a flat array, in native byte order, of what they stand for."""
    if stored == np.bool_:
        return raw != 0
    if stored == BFLOAT16:  # its bits are the upper half of a float32
        return (raw.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    array = raw.view(stored)
    if not stored.isnative:
        array = array.byteswap(inplace=True).view(stored.newbyteorder("="))
    return array
