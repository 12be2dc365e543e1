"""Compiled models in files: `dsconv.save(model, "network.dsconv")`, the way to the fastest start.

    dsconv 4 18301 4234816           version; bytes of the text, floats of the weights
    class Classifier                 lines of text (`dsconv.text.lines`): the class and its details,
    ...                              then the program (`dsconv.kernels.program_text`)
    zeros                            up to a multiple of 64 bytes
    floats                           the weights, folded and packed, little-endian

The file is mapped into memory, and the weights are used where they lie. Kernels with other widths
pack them again, and the results are those of a compilation there. Nothing in a file is trusted.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from dsconv.files.formats import COMPILED
from dsconv.files.mapped import MappedFile
from dsconv.text.lines import from_text, number, one, to_text

if TYPE_CHECKING:
    from dsconv.compiler.model import Model

__all__ = ["SUFFIX", "load_compiled", "write_compiled"]

SUFFIX = ".dsconv"
VERSION = 4  # raise it whenever the layout of packed weights or the meaning of a line changes
_CLASSES = {  # name in the file -> module of the class
    "Model": "dsconv.compiler.model",
    "Classifier": "dsconv.vision.classifier",
    "OnnxModel": "dsconv.onnx.reading.model",
}
_MOST_TEXT = 4 << 20  # bytes
_FIRST_LINE = 128  # bytes: more than the first line has
_ALIGNMENT = 64  # bytes: a cache line
_MOST_MESSAGE = 1000  # characters; names out of a file may have millions
_FAULTS = (TypeError, ValueError, OverflowError)


def write_compiled(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model as it runs.

    Parameters
    ----------
    path
        The file; one that is there is replaced once the new one is complete.
    model
        Any model: compiled, loaded or out of a pickle.

    Raises
    ------
    TypeError
        For a model of a class that is not dsconv's.
    ValueError
        If names and layers would take more than 4 MB of text.
    """
    from dsconv.weights.writing import replacing

    cls = type(model)
    if _CLASSES.get(cls.__name__) != cls.__module__:
        raise TypeError(f"a model must be one of {', '.join(_CLASSES)}, got {cls!r}")
    fields, floats = model._described()
    lines = {"class": [cls.__name__], **fields}
    text = to_text(lines).encode("utf-8", "surrogatepass")
    if len(text) > _MOST_TEXT:
        raise ValueError(f"the model takes {len(text)} bytes of text; at most {_MOST_TEXT} fit")
    head = COMPILED + f"{VERSION} {len(text)} {len(floats)}\n".encode() + text
    with replacing(path) as file:
        file.write(head + bytes(-len(head) % _ALIGNMENT))
        file.write(floats.astype("<f4", copy=False).data)


def load_compiled(path: str, threads: int | None) -> Model:
    """Load the model in a file.

    Parameters
    ----------
    path
        The file begins with `COMPILED`.
    threads
        For every call; None: the default at the time of the call.

    Raises
    ------
    ValueError
        If the file was written by another version, or is damaged; names the file.
    """
    try:
        file = MappedFile(path)
        text, floats = _parts(file)
        fields = from_text(text.decode("utf-8", "surrogatepass"))
        name = one(fields, "class")
        if name not in _CLASSES:
            raise ValueError(f"class {name[:80]!r}; allowed are {', '.join(_CLASSES)}")
        cls: type[Model] = getattr(import_module(_CLASSES[name]), name)
        return cls._restored(fields, floats, threads, file.check)
    except _FAULTS as error:
        message = str(error).removeprefix(f"{path}: ")[:_MOST_MESSAGE]
        raise ValueError(f"{path}: compiled model: {message}") from None


def _parts(file: MappedFile) -> tuple[bytes, np.ndarray]:
    """Return text and weights; with the first line they are the whole file."""
    first = file[:_FIRST_LINE].partition(b"\n")[0]
    version, *sizes = first.removeprefix(COMPILED).decode("latin-1").split(" ")
    if version != str(VERSION):
        raise ValueError(
            f"version {version[:20]!r}, and this dsconv reads {VERSION}; save the model again from "
            "the original weights"
        )
    if len(sizes) != 2:
        raise ValueError("the first line must have a version and two sizes")
    text, floats = (number(size, "a size", 0, 1 << 60) for size in sizes)
    if text > _MOST_TEXT:
        raise ValueError(f"{text} bytes of text; at most {_MOST_TEXT} are allowed")
    begin = len(first) + 1
    start = -(-(begin + text) // _ALIGNMENT) * _ALIGNMENT
    if len(file) != start + 4 * floats:
        raise ValueError(f"the file must have {start + 4 * floats} bytes, got {len(file)}")
    return file[begin : begin + text], file.floats(start)
