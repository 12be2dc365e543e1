"""Compute nodes whose inputs are all constants with numpy, when the file is loaded.

Most of these nodes compute shapes. The size of each result is subtracted from the budget before
the result is allocated, so that a file cannot make us allocate more than it accounts for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dsconv.onnx.reading.budget import Budget
from dsconv.onnx.reading.file import FileNode
from dsconv.onnx.reading.values import BATCH, Constant

_CASTS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


def fold(
    node: FileNode, values: Sequence[Constant | None], opset: int, budget: Budget
) -> list[Constant]:
    """Compute the outputs of a node of `FOLDS` with constant inputs.

    Raises
    ------
    ValueError
        If the node does not fit its inputs. The message does not name the node.
    """
    function, least, size = FOLDS[node.operator]
    if len(values) < least or None in values[:least]:
        raise ValueError(f"needs {least} inputs, got {node.inputs}")
    if node.operator == "Identity":
        return [constant for constant in values if constant is not None]
    sizes = [0 if v is None else math.prod(v.shape) for v in values]
    arrays = Arrays([None if v is None else v.array for v in values], opset)
    try:
        budget.take(8 * size(arrays, sizes), "the result")
        with np.errstate(all="ignore"):
            result = function(node, arrays)
    except (TypeError, IndexError, OverflowError, ZeroDivisionError, AttributeError) as error:
        symbolic = any(a is not None and a.dtype == object for a in arrays)
        why = "it depends on the batch size" if symbolic else str(error)
        raise ValueError(f"cannot be computed: {why}") from None
    results = result if isinstance(result, list) else [np.asarray(result)]
    return [Constant.of(_settled(array), f"the result of {node}") for array in results]


def _settled(array: np.ndarray) -> np.ndarray:
    """Return plain integers if the batch size is not among the numbers any more."""
    if array.dtype == object and not any(n is BATCH for n in array.reshape(-1)):
        return array.astype(np.int64)
    return array


class Arrays(list):
    """The input arrays of a node (None for one that is left out), and the operators' version."""

    def __init__(self, arrays: Sequence[Any], opset: int) -> None:
        super().__init__(arrays)
        self.opset = opset

    def get(self, index: int) -> Any:
        return self[index] if index < len(self) else None

    def integers(self, node: FileNode, name: str, index: int, since: int) -> list[int] | None:
        """Read a list that was an attribute before opset `since`, and is an input from then on."""
        if self.opset < since:
            return node.integers(name)
        given = self.get(index)
        return None if given is None else [int(n) for n in given.reshape(-1)]


def _largest(arrays: Arrays, sizes: Sequence[int]) -> int:
    return max(sizes)


def _broadcast(arrays: Arrays, sizes: Sequence[int]) -> int:
    return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))


def _together(arrays: Arrays, sizes: Sequence[int]) -> int:
    return sum(sizes)


def _named_shape(index: int) -> Callable[[Arrays, Sequence[int]], int]:
    """Make the size function of an operator whose input `index` is the shape of the result."""

    def size(arrays: Arrays, sizes: Sequence[int]) -> int:
        total = sizes[0] if index else 1
        for n in arrays[index].reshape(-1):
            if n is BATCH:
                raise ValueError("its size depends on the batch size")
            total *= max(int(n), 1)
        return total

    return size


def _constant(node: FileNode, arrays: Arrays) -> Any:
    for name in ("value_float", "value_int", "value_floats", "value_ints", "value"):
        if not node.has(name):
            continue
        if name == "value":
            return node.array("value").array  # type: ignore[union-attr]
        if name.startswith("value_int"):
            return np.array((node.integers if name[-1] == "s" else node.integer)(name), np.int64)
        return np.array((node.numbers if name[-1] == "s" else node.number)(name), np.float32)
    raise ValueError("has no 'value' of a supported kind")


def _constant_of_shape(node: FileNode, arrays: Arrays) -> Any:
    value = node.array("value")
    array = np.zeros(1, np.float32) if value is None else value.array
    return np.full([int(n) for n in arrays[0].reshape(-1)], array.reshape(()), array.dtype)


def _cast(node: FileNode, arrays: Arrays) -> Any:
    node.ignore("saturate", "round_mode")
    kind = node.integer("to")
    if kind not in _CASTS:
        raise ValueError(f"the attribute 'to' is {kind}; supported are {sorted(_CASTS)}")
    if arrays[0].dtype == object and kind in (6, 7):
        return arrays[0]
    return arrays[0].astype(_CASTS[kind])


def _shape(node: FileNode, arrays: Arrays) -> Any:
    sizes = np.array(arrays[0].shape, np.int64)
    return sizes[node.integer("start", 0) : node.integer("end")]


def _gather(node: FileNode, arrays: Arrays) -> Any:
    return np.take(arrays[0], arrays[1], axis=node.integer("axis", 0))


def _gather_size(arrays: Arrays, sizes: Sequence[int]) -> int:
    return sizes[0] * max(sizes[1], 1)


def _slice(node: FileNode, arrays: Arrays) -> Any:
    x = arrays[0]
    starts, ends, axes = (
        arrays.integers(node, name, index, 10)
        for index, name in enumerate(("starts", "ends", "axes"), start=1)
    )
    steps = None if arrays.get(4) is None else [int(n) for n in arrays[4].reshape(-1)]
    if starts is None or ends is None:
        raise ValueError("the starts and ends are missing")
    parts = [slice(None)] * x.ndim
    axes = [*range(len(starts))] if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(start, end, step)
    return x[tuple(parts)]


def _squeeze(node: FileNode, arrays: Arrays) -> Any:
    axes = arrays.integers(node, "axes", 1, 13)
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def _unsqueeze(node: FileNode, arrays: Arrays) -> Any:
    axes = arrays.integers(node, "axes", 1, 13)
    if axes is None:
        raise ValueError("the axes are missing")
    return np.expand_dims(arrays[0], tuple(axes))


def _reshape(node: FileNode, arrays: Arrays) -> Any:
    x, sizes = arrays[0], [int(n) for n in arrays[1].reshape(-1)]
    if not node.integer("allowzero", 0):
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: FileNode, arrays: Arrays) -> Any:
    x, axis = arrays[0], node.integer("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _concat(node: FileNode, arrays: Arrays) -> Any:
    axis = node.integer("axis")
    if axis is None:
        raise ValueError("the attribute 'axis' is missing")
    return np.concatenate(arrays, axis=axis)


def _expand(node: FileNode, arrays: Arrays) -> Any:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(int(n) for n in arrays[1].reshape(-1)))
    return np.broadcast_to(arrays[0], shape)


def _range(node: FileNode, arrays: Arrays) -> Any:
    return np.arange(*(array.reshape(()) for array in arrays))


def _range_size(arrays: Arrays, sizes: Sequence[int]) -> int:
    start, stop, step = (float(array.reshape(())) for array in arrays)
    return max(0, math.ceil((stop - start) / step))


def _divide(a: np.ndarray, b: np.ndarray) -> Any:
    """Divide a by b, and round quotients of integers towards zero."""
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise ValueError("division by zero")
    return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))


def _equal(a: Any, b: Any) -> bool:
    """Compare two numbers. The batch size is unknown, but it is not negative."""
    if (a is BATCH) == (b is BATCH):
        return bool(a is BATCH or a == b)
    if min(n for n in (a, b) if n is not BATCH) >= 0:
        raise TypeError("the batch size is not known")
    return False


def _plain(function: Callable[..., Any]) -> Callable[[FileNode, Arrays], Any]:
    return lambda node, arrays: function(*arrays)


def _product(node: FileNode, arrays: Arrays) -> Any:
    axes = arrays.integers(node, "axes", 1, 18)
    keep = bool(node.integer("keepdims", 1))
    return np.prod(arrays[0], None if axes is None else tuple(axes), keepdims=keep,
                   dtype=arrays[0].dtype)  # fmt: skip


_Fold = tuple[Callable[[FileNode, Any], Any], int, Callable[[Arrays, Sequence[int]], int]]
FOLDS: dict[str, _Fold] = {  # function, least number of inputs, size of the result
    "Constant": (_constant, 0, lambda arrays, sizes: 0),
    "ConstantOfShape": (_constant_of_shape, 1, _named_shape(0)),
    "Identity": (lambda node, arrays: arrays[0], 1, lambda arrays, sizes: 0),
    "Cast": (_cast, 1, _largest),
    "Shape": (_shape, 1, lambda arrays, sizes: 0),
    "Size": (lambda node, arrays: np.array(arrays[0].size, np.int64), 1, lambda *_: 0),
    "Gather": (_gather, 2, _gather_size),
    "Slice": (_slice, 1, _largest),
    "Squeeze": (_squeeze, 1, _largest),
    "Unsqueeze": (_unsqueeze, 1, _largest),
    "Reshape": (_reshape, 2, _largest),
    "Flatten": (_flatten, 1, _largest),
    "Transpose": (lambda node, arrays: arrays[0].transpose(node.integers("perm")), 1, _largest),
    "Concat": (_concat, 1, _together),
    "Expand": (_expand, 2, _named_shape(1)),
    "Range": (_range, 3, _range_size),
    "ReduceProd": (_product, 1, _largest),
    "Where": (_plain(np.where), 3, _broadcast),
    "Add": (_plain(np.add), 2, _broadcast),
    "Sub": (_plain(np.subtract), 2, _broadcast),
    "Mul": (_plain(np.multiply), 2, _broadcast),
    "Div": (_plain(_divide), 2, _broadcast),
    "Min": (_plain(np.minimum), 2, _broadcast),
    "Max": (_plain(np.maximum), 2, _broadcast),
    "Equal": (_plain(np.vectorize(_equal, otypes=[bool])), 2, _broadcast),
    "Less": (_plain(np.less), 2, _broadcast),
    "Greater": (_plain(np.greater), 2, _broadcast),
    "Neg": (_plain(np.negative), 1, _largest),
    "Not": (_plain(np.logical_not), 1, _largest),
    "Sqrt": (_plain(np.sqrt), 1, _largest),
    "Reciprocal": (_plain(np.reciprocal), 1, _largest),
    "Floor": (_plain(np.floor), 1, _largest),
    "Ceil": (_plain(np.ceil), 1, _largest),
}
