"""Read an ONNX file: parse the protobuf, and check inputs, outputs, nodes and constants.

No other file is opened: an array that is stored in another file is refused. The sizes of arrays are
checked here, and their numbers are read from the parsed file at each use.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dsconv.arguments.files import read_bytes
from dsconv.onnx.memory import require_memory
from dsconv.onnx.reading.values import Constant
from dsconv.weights.file import MAX_DIMENSIONS, shorten

OPSETS = range(7, 29)  # from 7 on, operators broadcast as numpy does
_DTYPES = {1: "<f4", 6: "<i4", 7: "<i8", 9: "|b1", 11: "<f8"}  # by TensorProto.DataType
_FIELDS = {1: "float_data", 6: "int32_data", 7: "int64_data", 9: "int32_data", 11: "double_data"}
_BOOL = 9
_MOST_BYTES = 2**31 - 1  # of a file; protobuf reads no more
DOMAINS = ("", "ai.onnx")


class FileInput(NamedTuple):
    """An input of the network. A size that is None or a name is left open; the batch is first."""

    name: str
    sizes: tuple[int | str | None, ...]


class FileNode:
    """A node with its attributes. `finish` refuses the attributes that nobody has asked for.

    Attributes
    ----------
    operator, name : str
        If the node has no name, `name` is that of its first output.
    inputs, outputs : tuple of str
        Names of tensors; "" stands for an optional one that is left out.
    """

    def __init__(self, proto: Any) -> None:
        self.operator, self.domain = _text(proto.op_type), _text(proto.domain)
        self.inputs = tuple(map(_text, proto.input))
        self.outputs = tuple(map(_text, proto.output))
        self.name = _text(proto.name) or next(filter(None, self.outputs), "")
        self._attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            name = _text(attribute.name)
            if name in self._attributes:
                raise ValueError(f"{self}: the attribute {shorten(name)} is there twice")
            self._attributes[name] = attribute
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._attributes

    def integer(self, name: str, default: int | None = None) -> Any:
        return self._get(name, 2, "an integer", default, lambda a: int(a.i))

    def number(self, name: str, default: float = 0.0) -> float:
        return self._get(name, 1, "a number", default, lambda a: float(a.f))

    def text(self, name: str, default: str) -> str:
        return self._get(name, 3, "a string", default, lambda a: a.s.decode("utf-8", "replace"))

    def integers(self, name: str, default: Any = None) -> Any:
        return self._get(name, 7, "a list of integers", default, lambda a: [int(i) for i in a.ints])

    def numbers(self, name: str, default: Any = None) -> Any:
        return self._get(
            name, 6, "a list of numbers", default, lambda a: [float(f) for f in a.floats]
        )

    def array(self, name: str) -> Constant | None:
        what = f"attribute {name!r}"
        return self._get(name, 4, "a tensor", None, lambda a: tensor_constant(a.t, what))

    def ignore(self, *names: str) -> None:
        """Allow attributes that change nothing here."""
        self._read.update(names)

    def finish(self) -> None:
        """Raise a ValueError if there is an attribute that nobody has asked for."""
        for name in self._attributes:
            if name not in self._read:
                raise ValueError(f"the attribute {shorten(name)} is not supported")

    def _get(self, name: str, kind: int, allowed: str, default: Any, value: Any) -> Any:
        self._read.add(name)
        if name not in self._attributes:
            return default
        attribute = self._attributes[name]
        if attribute.type != kind or attribute.ref_attr_name:
            raise ValueError(f"the attribute {name!r} must be {allowed}, and has another type")
        return value(attribute)

    def __str__(self) -> str:
        return f"{shorten(self.operator)[1:-1]} node {shorten(self.name)}"


@dataclass
class OnnxFile:
    """The content of a file, checked but for the numbers in its arrays."""

    name: str
    size: int  # bytes
    opset: int
    inputs: list[FileInput]
    outputs: list[str]
    constants: dict[str, Constant]
    nodes: list[FileNode]


def read_file(path: str) -> OnnxFile:
    """Read an ONNX file.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    ValueError
        If this is not a complete ONNX model in one file. The message does not name the file.
    MemoryError
        If there is not the memory that protobuf needs for it.
    """
    try:
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from onnx import ModelProto
    except ImportError as error:
        raise ImportError("ONNX files need onnx: pip install 'dsconv[onnx]'") from error
    content = read_bytes(path, _MOST_BYTES)
    require_memory(2 * len(content), "parsing the file")
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not an ONNX file, or a damaged one ({error})") from None
    size = len(content)
    del content
    graph = model.graph
    if not graph.output:
        raise ValueError("not an ONNX file, or a damaged one (it has no outputs)")
    if graph.sparse_initializer:
        raise ValueError("sparse initializers are not supported")
    constants: dict[str, Constant] = {}
    for tensor in graph.initializer:
        name = _text(tensor.name)
        if not name or name in constants:
            raise ValueError(f"two initializers are named {shorten(name)}, or one is not")
        constants[name] = tensor_constant(tensor, f"initializer {shorten(name)}")
    return OnnxFile(
        _text(graph.name),
        size,
        _opset(model),
        [_input(value) for value in graph.input if value.name not in constants],
        [_text(value.name) for value in graph.output],
        constants,
        [FileNode(proto) for proto in graph.node],
    )


def _opset(model: Any) -> int:
    """Return the version of the operators."""
    versions = {entry.version for entry in model.opset_import if entry.domain in DOMAINS}
    if len(versions) != 1:
        raise ValueError(f"the file must name one version of the operators, got {len(versions)}")
    (version,) = versions
    if version not in OPSETS:
        raise ValueError(
            f"opset {version} is not supported, only {OPSETS.start} to {OPSETS.stop - 1}"
        )
    return version


def _input(value: Any) -> FileInput:
    name = _text(value.name)
    what = f"input {shorten(name)}"
    if not name:
        raise ValueError("an input has no name")
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"{what} is not a tensor")
    tensor = value.type.tensor_type
    if tensor.elem_type != 1:
        raise ValueError(f"{what} is {_type_name(tensor.elem_type)}; only FLOAT is supported")
    if not tensor.HasField("shape"):
        raise ValueError(f"{what} has no shape")
    sizes: list[int | str | None] = []
    for dimension in tensor.shape.dim:
        kind = dimension.WhichOneof("value")
        sizes.append(getattr(dimension, kind) if kind else None)
    return FileInput(name, tuple(sizes))


def _text(name: Any) -> str:
    """Check a string of the file, because protobuf returns bytes if it is not UTF-8."""
    if not isinstance(name, str):
        raise ValueError(f"a damaged file: the name {shorten(repr(name))} is not UTF-8")
    return name


def tensor_constant(tensor: Any, what: str) -> Constant:
    """Make a constant of a TensorProto. Its size is checked here, its numbers are read later."""
    shape = tuple(int(size) for size in tensor.dims)
    if len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise ValueError(
            f"{what} has the shape {shape[:MAX_DIMENSIONS]} of {len(shape)} sizes; at most "
            f"{MAX_DIMENSIONS} sizes from 0 on are supported"
        )
    if tensor.data_location or tensor.external_data:
        raise ValueError(
            f"{what} lies in another file; only files that hold all are supported: export with "
            "external_data=False, or load and save it with the package onnx"
        )
    if tensor.HasField("segment"):
        raise ValueError(f"{what} is a segment of a tensor, which is not supported")
    dtype = np.dtype(_DTYPES.get(tensor.data_type, "V"))
    if dtype.kind != "V":
        _check_length(tensor, shape, what)
    return Constant(what, shape, dtype.newbyteorder("="), lambda: _content(tensor, shape, what))


def _check_length(tensor: Any, shape: tuple[int, ...], what: str) -> None:
    """Check that the file holds as many numbers as the shape says."""
    kind, count = tensor.data_type, math.prod(shape)
    stored, values = np.dtype(_DTYPES[kind]), len(getattr(tensor, _FIELDS[kind]))
    if not tensor.HasField("raw_data"):
        if values != count:
            raise ValueError(f"{what} has {values} values, its shape {shape} takes {count}")
    elif (length := len(tensor.raw_data)) != count * stored.itemsize or values:
        raise ValueError(
            f"{what} has {length} bytes, its shape {shape} of {_type_name(kind)} takes "
            f"{count * stored.itemsize}"
        )


def _content(tensor: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Read the numbers of a TensorProto."""
    kind = tensor.data_type
    if kind not in _DTYPES:
        raise ValueError(
            f"{what} is {_type_name(kind)}, which is not supported; save the network in float32"
        )
    stored = np.dtype(_DTYPES[kind])
    if tensor.HasField("raw_data"):
        array = np.frombuffer(tensor.raw_data, stored)
    elif kind == _BOOL:
        array = np.array(tensor.int32_data, "<i4") != 0
    else:
        array = np.array(getattr(tensor, _FIELDS[kind]), stored)
    return array.astype(stored.newbyteorder("="), copy=False).reshape(shape)


def _type_name(kind: int) -> str:
    from onnx import TensorProto

    try:
        return TensorProto.DataType.Name(kind)
    except ValueError:
        return f"of the unknown type {kind}"


def path_of(path: str | os.PathLike[str]) -> str:
    """Return a path as text."""
    text = os.fspath(path)
    return text.decode() if isinstance(text, bytes) else text
