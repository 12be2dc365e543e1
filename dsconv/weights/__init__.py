"""Readers of weight files: named arrays from .npz and .pth, told apart by their first bytes.

`read` gives everything at once; `open_weights` gives a reader that fetches one array at a time, so
that raw and packed weights need not both stay in memory. Files are taken to be hostile: nothing in
them is executed, and every size is checked before memory is asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from dsconv.weights._file import WeightFile

__all__ = ["open_weights", "read"]

_LEGACY_PTH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # pickle of PyTorch's magic number


def open_weights(path: str | os.PathLike[str]) -> WeightFile:
    """Open a weight file to read its arrays one by one.

    The content decides, not the name: a zip archive whose first member is an .npy array is an
    .npz, another zip archive and PyTorch's magic number are a .pth.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    WeightFile
        A context manager with `names()`, `shape(name)`, `dtype(name)`, `read(name)`, `read_all()`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the format is unknown, or the file is damaged or holds anything but plain arrays.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        head = file.read(1024)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        first_member = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        is_npz = first_member.endswith(b".npy") or head.startswith(b"PK\x05\x06")
    elif head.startswith(_LEGACY_PTH):
        is_npz = False
    else:
        raise ValueError(f"{path}: {_unknown(head)}; allowed are .npz and PyTorch's .pth")
    if is_npz:
        from dsconv.weights.npz import NpzFile

        return NpzFile(path)
    from dsconv.weights.pth import PthFile

    return PthFile(path)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of a weight file, by name, in the order of the file.

    The arrays are C-contiguous, writable and in native byte order; they may share one block of
    memory. Parameters and errors are those of `open_weights`.
    """
    with open_weights(path) as weights:
        return weights.read_all()


def _unknown(head: bytes) -> str:
    """What a file that is no weight file seems to be."""
    if not head:
        return "the file is empty"
    if head.startswith(b"\x93NUMPY"):
        return "a single .npy array, without a name"
    if head.startswith(b"\x80"):
        return "a pickle, but not a PyTorch checkpoint; it is not opened"
    return f"unknown format (first bytes {head[:8]!r})"
