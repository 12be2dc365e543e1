"""Readers and writers of weight files; a file's format is told by its first bytes.

`read` gives everything at once; `open_weights` gives a reader that fetches one array at a time, so
that raw and packed weights need not both stay in memory. Files are taken to be hostile: nothing in
them is executed, and every size is checked before memory is asked for.

| format | file | needs |
|---|---|---|
| NumPy's .npz | `npz` | |
| .safetensors | `safetensors` | |
| PyTorch's .pth, .pt | `pth` | |
| Keras's .h5, .weights.h5, .keras | `h5` | h5py (`pip install 'dsconv[keras]'`) |
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from dsconv.weights.file import WeightFile

__all__ = ["open_weights", "read"]

_LEGACY_PTH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # pickle of PyTorch's magic number
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_KERAS_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def open_weights(path: str | os.PathLike[str]) -> WeightFile:
    """Open a weight file to read its arrays one by one.

    The content decides, not the name. A zip archive is told by its first member: an .npy array
    makes it an .npz, a member of Keras a .keras, anything else a .pth.

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
    ImportError
        If a Keras file is opened without h5py.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        head = file.read(1024)
    if head.startswith((_ZIP, _EMPTY_ZIP)):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode(errors="replace")
        if head.startswith(_EMPTY_ZIP) or first.endswith(".npy"):
            from dsconv.weights.npz import NpzFile

            return NpzFile(path)
        if first in _KERAS_MEMBERS:
            from dsconv.weights.h5 import KerasFile

            return KerasFile(path)
    elif head.startswith(_HDF5):
        from dsconv.weights.h5 import H5File

        return H5File(path)
    elif head[8:9] == b"{":
        from dsconv.weights.safetensors import SafetensorsFile

        return SafetensorsFile(path)
    elif not head.startswith(_LEGACY_PTH):
        raise ValueError(f"{path}: {_unknown(path, head)}")
    from dsconv.weights.pth import PthFile

    return PthFile(path)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of a weight file, by name, in the order of the file.

    The arrays are C-contiguous, writable and in native byte order; they may share one block of
    memory. Parameters and errors are those of `open_weights`.
    """
    with open_weights(path) as weights:
        return weights.read_all()


def _unknown(path: str, head: bytes) -> str:
    """What a file that is no weight file seems to be, and what is allowed."""
    from dsconv.files.load import COMPILED

    if path.lower().endswith(".onnx"):
        return "an ONNX file is a whole network, not only weights: dsconv.load opens it"
    if head.startswith(COMPILED):
        return "a compiled model, not only weights: dsconv.load opens it"
    if not head:
        what = "the file is empty"
    elif head.startswith(b"\x93NUMPY"):
        what = "a single .npy array, without a name"
    elif head.startswith(b"\x80"):
        what = "a pickle, but not a PyTorch checkpoint; it is not opened"
    else:
        what = f"unknown format (first bytes {head[:8]!r})"
    known = ".npz, .safetensors, PyTorch's .pth and Keras's .h5 and .keras"
    return f"{what}; allowed are {known}; dsconv.load takes .onnx and .dsconv as well"
