"""Compiled models in files: `dsconv.save(model, "network.dsconv")`, the way to the fastest start.

    dsconv 6 18301 4234816 5f8e01c2 07d1b3a9    version; bytes of the text, floats of the
                                     weights; CRC-32 of the floats, and of all before it with the
                                     text
    class Classifier                 lines of text (`dsconv.text.lines`): the class and its details,
    ...                              then the program (`dsconv.kernels.program_text`)
    zeros                            up to a multiple of 64 bytes
    floats                           the weights, folded and packed, little-endian

The file is mapped into memory, and the weights are used where they lie. Kernels with other widths
pack them again, and the results are those of a compilation there. Nothing in a file is trusted. The
checksums tell damage, not malice: that of the text is checked at each start, because it is short.
"""

from __future__ import annotations

import os
from importlib import import_module
from io import BufferedReader
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from dsconv.arguments.files import open_file
from dsconv.files.formats import COMPILED
from dsconv.files.mapped import MappedFloats, read_floats
from dsconv.kernels import dispatch
from dsconv.kernels.program_text import packed_for
from dsconv.text.lines import from_text, number, one, to_text

if TYPE_CHECKING:
    from dsconv.compiler.model import Model

__all__ = ["SUFFIX", "load_compiled", "write_compiled"]

SUFFIX = ".dsconv"
VERSION = 6  # raise it whenever the layout of packed weights or the meaning of a line changes
_CLASSES = {  # name in the file -> module of the class
    "Model": "dsconv.compiler.model",
    "Classifier": "dsconv.vision.classifier",
    "OnnxModel": "dsconv.onnx.reading.model",
}
_MOST_TEXT = 4 << 20  # bytes
_FIRST_LINE = 128  # bytes: more than the first line has
_ALIGNMENT = 64  # bytes: a cache line
_PIECE = 1 << 20  # bytes read at once for a checksum
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
    from dsconv.files.writing import replacing

    cls = type(model)
    if _CLASSES.get(cls.__name__) != cls.__module__:
        raise TypeError(f"a model must be one of {', '.join(_CLASSES)}, got {cls!r}")
    fields, floats = model._described()
    lines = {"class": [cls.__name__], **fields}
    text = to_text(lines).encode("utf-8", "surrogatepass")
    if len(text) > _MOST_TEXT:
        raise ValueError(f"the model takes {len(text)} bytes of text; at most {_MOST_TEXT} fit")
    content = floats.astype("<f4", copy=False).data
    first = COMPILED + f"{VERSION} {len(text)} {len(floats)} {crc32(content):08x}".encode()
    head = first + f" {crc32(text, crc32(first)):08x}\n".encode() + text
    with replacing(path) as file:
        file.write(head + bytes(-len(head) % _ALIGNMENT))
        file.write(content)


def load_compiled(
    path: str, threads: int | None, *, mmap: bool = True, verify: bool = False
) -> Model:
    """Load the model in a file.

    Parameters
    ----------
    path
        The file begins with `COMPILED`.
    threads
        For every call; None: the default at the time of the call.
    mmap
        Map the weights; else read them. Weights that are packed again are read in any case.
    verify
        Check the checksum of the weights.

    Raises
    ------
    ValueError
        If the file was written by another version, or is damaged; names the file.
    """
    try:
        with open_file(path) as file:
            head = _read_head(file)
            fields = from_text(head.text.decode("utf-8", "surrogatepass"))
            name = one(fields, "class")
            if name not in _CLASSES:
                raise ValueError(f"class {name[:80]!r}; allowed are {', '.join(_CLASSES)}")
            cls: type[Model] = getattr(import_module(_CLASSES[name]), name)
            # No byte of the mapping is touched here, because that would end the process if the
            # file is cut short meanwhile. So whatever is needed now is read.
            if mmap and packed_for(fields, dispatch.kernels):
                if verify:
                    _compare(_crc32_from(file, head.start), head.floats_crc, "weights have")
                pages = MappedFloats(file, head.start, head.floats)
                return cls._restored(fields, pages.floats, threads, pages.check)
            floats = read_floats(file, head.start, head.floats)
            if verify:
                _compare(crc32(floats.data), head.floats_crc, "weights have")
            return cls._restored(fields, floats, threads)
    except _FAULTS as error:
        message = str(error).removeprefix(f"{path}: ")[:_MOST_MESSAGE]
        raise ValueError(f"{path}: compiled model: {message}") from None


class _Head(NamedTuple):
    """Describe what stands in front of the weights."""

    text: bytes
    start: int  # byte where the floats begin
    floats: int
    floats_crc: int


def _read_head(file: BufferedReader) -> _Head:
    """Read first line and text; with the floats they are the whole file."""
    first = file.readline(_FIRST_LINE)
    version, *words = first.removeprefix(COMPILED).decode("latin-1").removesuffix("\n").split(" ")
    if version != str(VERSION):
        raise ValueError(
            f"version {version[:20]!r}, and this dsconv reads {VERSION}; save the model again from "
            "the original weights"
        )
    if len(words) != 4:
        raise ValueError("the first line must have a version, two sizes and two checksums")
    text, floats = (number(size, "a size", 0, 1 << 60) for size in words[:2])
    floats_crc, text_crc = (int(word, 16) for word in words[2:])
    if text > _MOST_TEXT:
        raise ValueError(f"{text} bytes of text; at most {_MOST_TEXT} are allowed")
    start = -(-(len(first) + text) // _ALIGNMENT) * _ALIGNMENT
    size = os.fstat(file.fileno()).st_size
    if size != start + 4 * floats:
        raise ValueError(f"the file must have {start + 4 * floats} bytes, got {size}")
    content = file.read(text)
    before = first.rstrip(b"\n").rpartition(b" ")[0]
    _compare(crc32(content, crc32(before)), text_crc, "text has")
    return _Head(content, start, floats, floats_crc)


def _crc32_from(file: BufferedReader, start: int) -> int:
    """Return the checksum of a file from byte `start` on."""
    file.seek(start)
    crc = 0
    while piece := file.read(_PIECE):
        crc = crc32(piece, crc)
    return crc


def _compare(found: int, stored: int, what: str) -> None:
    if found != stored:
        raise ValueError(
            f"the file is damaged: its {what} the CRC-32 {found:08x}, and {stored:08x} is stored"
        )
