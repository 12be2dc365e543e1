"""Tell the format of a file by its first bytes. This is the only place that knows them.

Names of files decide nothing, with one exception: ONNX has no signature of its own, so a file of
unknown bytes whose name ends in .onnx counts as ONNX, and the reader of ONNX says what is wrong.
"""

from __future__ import annotations

import os

from dsconv.arguments.files import open_file

COMPILED = b"dsconv "  # begins a .dsconv file
ZIP = b"PK\x03\x04"  # begins an archive, unless it is empty
EMPTY_ZIP = b"PK\x05\x06"
HDF5 = b"\x89HDF\r\n\x1a\n"
LEGACY_PTH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # pickle of PyTorch's magic number
ONNX_VERSION = b"\x08"  # tag of ModelProto's first field, ir_version

_KERAS_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
_LARGEST_HEADER = 2**32  # bytes; tells a safetensors file from ONNX with "{" at the same place


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format of a file.

    A zip archive is told by its first member: an .npy array makes it an .npz, a member of Keras a
    .keras, anything else a .pth.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    str
        "npz", "safetensors", "pth" (a zip archive), "legacy pth", "h5", "keras", "onnx" or
        "dsconv" (a compiled model).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the format is unknown, or this is no regular file; names the file and says what it
        seems to be.
    """
    path = os.fspath(path)
    with open_file(path) as file:
        head = file.read(1024)
    if head.startswith(COMPILED):
        return "dsconv"
    if head.startswith(EMPTY_ZIP):
        return "npz"
    if head.startswith(ZIP):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode(errors="replace")
        return "npz" if first.endswith(".npy") else "keras" if first in _KERAS_MEMBERS else "pth"
    if head.startswith(HDF5):
        return "h5"
    if head.startswith(LEGACY_PTH):
        return "legacy pth"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LARGEST_HEADER:
        return "safetensors"
    if head.startswith(ONNX_VERSION) or path.lower().endswith(".onnx"):
        return "onnx"
    raise ValueError(f"{path}: {_unknown(head)}")


def _unknown(head: bytes) -> str:
    """Describe a file of no known format, and list what is allowed."""
    if not head:
        what = "the file is empty"
    elif head.startswith(b"\x93NUMPY"):
        what = "the file is a single .npy array, which has no name"
    elif head.startswith(b"\x80"):
        what = "the file is a pickle, but not a PyTorch checkpoint, so it is not opened"
    else:
        what = f"unknown format (first bytes {head[:8]!r})"
    known = ".npz, .safetensors, PyTorch's .pth and Keras's .h5 and .keras"
    return f"{what}; allowed are {known}; dsconv.load takes .onnx and .dsconv as well"
