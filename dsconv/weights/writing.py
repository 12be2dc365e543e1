"""Share between the writers of weight files: checked arrays, and files that appear whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

_ALLOWED = "bool, integers, float16, float32 and float64"


def checked(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays, C-contiguous and little-endian; copied only where they are not.

    Raises
    ------
    TypeError
        For anything but a mapping from strings to arrays of numbers up to 64 bits.
    ValueError
        For a name that is empty or not printable.
    """
    if not isinstance(arrays, Mapping):
        raise TypeError(f"arrays must map names to arrays, got {type(arrays).__name__}")
    result = {}
    for name, array in arrays.items():
        if not isinstance(name, str):
            raise TypeError(f"names of arrays must be strings, got {name!r}")
        if not name or not name.isprintable():
            raise ValueError(f"names of arrays must be printable and not empty, got {name!r}")
        if not isinstance(array, np.ndarray):
            raise TypeError(f"array {name!r} must be an ndarray, got {type(array).__name__}")
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(f"array {name!r} has dtype {array.dtype}; allowed are {_ALLOWED}")
        result[name] = np.require(np.asarray(array), array.dtype.newbyteorder("<"), "C")
    return result


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends without an exception.

    It is written beside `path` and renamed, so that there is the old file or the whole new one and
    never a part.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:100]}.{os.urandom(4).hex()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
