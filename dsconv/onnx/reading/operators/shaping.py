"""Translate operators that give the same numbers another shape or another order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dsconv.layers import SpaceToDepth
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.operators.call import Call, Result
from dsconv.onnx.reading.values import BATCH, Constant, Missing, Tensor


def identity(call: Call) -> Tensor:
    call.arity(1)
    return call.tensor()


def dropout(call: Call) -> Result:
    """Return the input, because dropout does nothing at inference."""
    call.arity(1, 3 if call.opset >= 12 else 1)
    call.node.ignore("ratio", "seed")
    if call.given(2) and call.constant(2).array.any():
        raise ValueError("the input 'training_mode' is true, only inference is supported")
    return [call.tensor(), Missing("the mask of Dropout is not supported")]


def cast(call: Call) -> Tensor:
    call.arity(1)
    call.node.ignore("saturate", "round_mode")
    kind = call.node.integer("to")
    if kind != 1:
        raise ValueError(f"the attribute 'to' is {kind}, only 1, FLOAT, is supported")
    return call.tensor()


def shape_of(call: Call) -> Constant:
    """Return the shape as a constant in which the batch is left open."""
    call.arity(1)
    sizes = np.empty(1 + len(call.tensor().shape), object)
    sizes[:] = [BATCH, *call.tensor().shape]
    part = slice(call.node.integer("start", 0), call.node.integer("end"))
    return Constant.of(sizes[part], "a shape")


def flatten(call: Call) -> Tensor:
    call.arity(1)
    x, axis = call.tensor(), call.node.integer("axis", 1)
    rank = len(x.shape)
    if not -rank - 1 <= axis <= rank + 1:
        raise ValueError(f"axis {axis} is out of range for {shown(x.shape)}")
    axis += (rank + 1) * (axis < 0)
    if axis == 0 or math.prod(x.shape[: axis - 1]) != 1:
        raise ValueError(f"flattening {shown(x.shape)} from axis {axis} on moves the batch")
    return call.build.reshape(x, (math.prod(x.shape),))


def reshape(call: Call) -> Tensor:
    call.arity(2)
    x, sizes = call.tensor(), call.integers(1)
    if call.node.integer("allowzero", 0) == 0:
        before: list[Any] = [BATCH, *x.shape]
        if any(size == 0 for size in sizes[len(before) :]):
            raise ValueError(f"the shape {sizes} has a 0 for no axis of {shown(x.shape)}")
        sizes = [before[i] if size == 0 else size for i, size in enumerate(sizes)]
    return call.build.reshape(x, call.without_batch(sizes, math.prod(x.shape)))


def squeeze(call: Call) -> Tensor:
    call.arity(1, 2)
    x = call.tensor()
    axes = call.list_of("axes", 1, since=13)
    if axes is None:
        if call.batch in (None, 1):
            raise ValueError("without 'axes', a batch of 1 would be squeezed, too; give the axes")
        dropped = {axis for axis, size in enumerate(x.shape) if size == 1}
    else:
        dropped = {call.axis(axis, len(x.shape)) for axis in axes}
    if any(x.shape[axis] != 1 for axis in dropped):
        raise ValueError(f"the axes {axes} of {shown(x.shape)} are not all of size 1")
    return call.build.reshape(x, tuple(s for i, s in enumerate(x.shape) if i not in dropped))


def unsqueeze(call: Call) -> Tensor:
    call.arity(1, 2)
    x = call.tensor()
    axes = call.list_of("axes", 1, since=13)
    if axes is None:
        raise ValueError("the axes are missing")
    rank = len(x.shape) + len(axes)
    new = {call.axis(axis, rank) for axis in axes}
    if len(new) < len(axes):
        raise ValueError(f"the axes {axes} are not all different")
    sizes = iter(x.shape)
    return call.build.reshape(x, tuple(1 if i in new else next(sizes) for i in range(rank)))


def transpose(call: Call) -> Tensor:
    call.arity(1)
    x = call.tensor()
    rank = len(x.shape)
    permutation = call.node.integers("perm", list(range(rank, -1, -1)))
    if sorted(permutation) != list(range(rank + 1)):
        raise ValueError(f"the attribute 'perm' {permutation[:9]} does not fit {shown(x.shape)}")
    if permutation[0] != 0:
        raise ValueError(f"the attribute 'perm' {permutation} moves the batch")
    return x.transposed([axis - 1 for axis in permutation[1:]])


def expand(call: Call) -> Tensor:
    call.arity(2)
    x, sizes = call.tensor(), call.integers(1)
    if len(sizes) > len(x.shape):
        first, *sizes = sizes
        if len(sizes) > len(x.shape) or not (first is BATCH or first in (1, call.batch)):
            raise ValueError(f"expanding {shown(x.shape)} to {[first, *sizes]} moves the batch")
    if any(size is BATCH or size < 1 for size in sizes):
        raise ValueError(f"the shape {sizes} is not supported")
    return call.build.broadcast(x, np.broadcast_shapes(x.shape, tuple(sizes)))


def pad(call: Call) -> Tensor:
    """Translate a padding with zeros. Negative numbers cut off pixels."""
    call.arity(1, 1 if call.opset < 11 else 4 if call.opset >= 18 else 3)
    x, rank = call.tensor(), len(call.tensor().shape)
    if (mode := call.node.text("mode", "constant")) != "constant":
        raise ValueError(f"the attribute 'mode' is {mode!r}, only 'constant' is supported")
    value = call.node.number("value", 0.0) if call.opset < 11 else call.scalar(2, 0.0)
    pads = call.list_of("pads", 1, since=11)
    axes = call.plain_integers(3) if call.given(3) else list(range(rank + 1))
    if pads is None or len(pads) != 2 * len(axes):
        raise ValueError(f"the pads {pads} do not fit {shown(x.shape)}")
    before, after = [0] * rank, [0] * rank
    for axis, first, last in zip(axes, pads, pads[len(axes) :], strict=False):
        if first or last:
            axis = call.axis(axis, rank)
            before[axis], after[axis] = first, last
    if value != 0 and any(n > 0 for n in before + after):
        raise ValueError(f"padding with {value} is not supported, only with 0")
    starts = [max(-n, 0) for n in before]
    sizes = [
        size + min(first, 0) + min(last, 0)
        for size, first, last in zip(x.shape, before, after, strict=True)
    ]
    if any(size < 1 for size in sizes):
        raise ValueError(f"the pads {pads} leave nothing of {shown(x.shape)}")
    x = call.build.slice(x, starts, sizes, [1] * rank)
    return call.build.pad(x, [max(n, 0) for n in before], [max(n, 0) for n in after])


def space_to_depth(call: Call) -> Tensor:
    """Translate blocks of pixels to channels ordered (row, column, C), or (C, row, column)."""
    call.arity(1)
    x, block, crd = call.tensor(), call.node.integer("blocksize"), _channels_first(call)
    layer, name = SpaceToDepth(block), call.build.map(x)
    if not crd:
        return call.build.from_map(call.build.add(layer, name))
    rows, columns, channels = layer.infer([call.build.graph.shape(name)])[0]
    x = call.build.reshape(x, (x.shape[0], rows, block, columns, block))
    return call.build.reshape(x.transposed((0, 2, 4, 1, 3)), (channels, rows, columns))


def depth_to_space(call: Call) -> Tensor:
    """Translate channels ordered (row, column, C), or (C, row, column), to blocks of pixels."""
    call.arity(1)
    x, block, crd = call.tensor(), call.node.integer("blocksize"), _channels_first(call)
    if len(x.shape) != 3 or block is None or block < 1 or x.shape[0] % block**2:
        raise ValueError(f"blocks of {block} do not fit {shown(x.shape)}")
    channels, height, width = x.shape[0] // block**2, *x.shape[1:]
    split = (channels, block, block) if crd else (block, block, channels)
    x = call.build.reshape(x, (*split, height, width))
    x = x.transposed((0, 3, 1, 4, 2) if crd else (2, 3, 0, 4, 1))
    return call.build.reshape(x, (channels, height * block, width * block))


def _channels_first(call: Call) -> bool:
    """Tell whether the mode is CRD, where the channels come before rows and columns."""
    mode = call.node.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise ValueError(f"the attribute 'mode' is {mode!r}, only DCR and CRD are supported")
    return mode == "CRD"


OPERATORS: dict[str, Callable[[Call], Result]] = {
    "Identity": identity,
    "Dropout": dropout,
    "Cast": cast,
    "Shape": shape_of,
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Expand": expand,
    "Pad": pad,
    "SpaceToDepth": space_to_depth,
    "DepthToSpace": depth_to_space,
}
