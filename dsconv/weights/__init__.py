"""Read and write weight files, and tell which network they belong to.

The data goes one way, and each step is one file:

    formats      first bytes -> format                              dsconv/files/formats.py
    npz, ...     format -> names and shapes of the arrays           one file for each format
    families     names and shapes -> network, and the array that    one file for each family
                 holds each parameter of its graph
    (compiler)   graph, weights -> folded and packed weights, read from the file layer by layer

`open_weights` does the first two steps, `families.recognise` the third, and `dsconv.load` all of
them. Files are taken to be hostile: nothing in them is executed, and every size is checked before
memory is asked for. Keras's files need h5py (`pip install 'dsconv[keras]'`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsconv.files.formats import format_of

if TYPE_CHECKING:
    import numpy as np

    from dsconv.weights.file import WeightFile

__all__ = ["open_weights", "read", "write"]

_READERS = {  # format -> module, class
    "npz": ("npz", "NpzFile"),
    "safetensors": ("safetensors", "SafetensorsFile"),
    "pth": ("pth", "PthFile"),
    "legacy pth": ("pth", "LegacyPthFile"),
    "h5": ("h5", "H5File"),
    "keras": ("h5", "KerasFile"),
}
_NETWORKS = {"onnx": "an ONNX file is a whole network", "dsconv": "the file is a compiled model"}


def open_weights(path: str | os.PathLike[str]) -> WeightFile:
    """Open a weight file to read its arrays one by one.

    Parameters
    ----------
    path
        The file. Its first bytes tell the format, not its name.

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
    path, form = os.fspath(path), format_of(path)
    if form in _NETWORKS:
        raise ValueError(f"{path}: {_NETWORKS[form]}, not only weights: dsconv.load opens it")
    module, reader = _READERS[form]
    return getattr(importlib.import_module(f"dsconv.weights.{module}"), reader)(path)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read all arrays of a weight file, by name, in the order of the file.

    The arrays are C-contiguous, writable and in native byte order; they may share one block of
    memory. Parameters and errors are those of `open_weights`.
    """
    with open_weights(path) as file:
        return file.read_all()


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays as .npz or .safetensors by the suffix of `path`; only the latter has metadata."""
    if os.fspath(path).endswith(".npz"):
        from dsconv.weights.npz import write_npz

        write_npz(path, arrays)
    else:
        from dsconv.weights.safetensors import write_safetensors

        write_safetensors(path, arrays, metadata)
