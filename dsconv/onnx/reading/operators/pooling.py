"""Translate MaxPool, AveragePool and means over axes."""

from __future__ import annotations

import math
from typing import Any

from dsconv.layers import AveragePool, GlobalAveragePool, MaxPool
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.operators.call import Call, Result
from dsconv.onnx.reading.operators.window import sliding_window
from dsconv.onnx.reading.values import Missing, Tensor


def max_pool(call: Call) -> Result:
    call.node.ignore("storage_order")  # the order of the indices, which are refused
    return [_pool(call, MaxPool), Missing("the indices of MaxPool are not supported")]


def average_pool(call: Call) -> Tensor:
    counted = bool(call.node.integer("count_include_pad", 0))
    return _pool(call, AveragePool, count_padding=counted)


def _pool(call: Call, layer: Any, **attributes: bool) -> Tensor:
    call.arity(1)
    x = call.tensor()
    kernel = call.node.integers("kernel_shape")
    if kernel is None or len(kernel) != 2 or len(x.shape) != 3:
        raise ValueError(
            f"only poolings of maps (N, C, H, W) are supported, got {shown(x.shape)} and the "
            f"attribute 'kernel_shape' {kernel}"
        )
    stride, dilation, padding = sliding_window(call, x, kernel)
    if dilation != (1, 1):
        raise ValueError(f"the attribute 'dilations' is {dilation}, only 1 is supported")
    ceil = bool(call.node.integer("ceil_mode", 0))
    if ceil and padding == "valid":
        raise ValueError("the attribute 'ceil_mode' beside 'auto_pad' VALID is not supported")
    made = layer(tuple(kernel), stride, padding=padding, ceil=ceil, **attributes)
    return call.build.from_map(call.build.add(made, call.build.map(x)))


def global_average_pool(call: Call) -> Tensor:
    call.arity(1)
    x = call.tensor()
    if len(x.shape) < 2:
        raise ValueError(f"the input must be (N, C, ...), got {shown(x.shape)}")
    return _mean(call, x, list(range(1, len(x.shape))), keep=True)


def reduce_mean(call: Call) -> Tensor:
    call.arity(1, 2)
    x, rank = call.tensor(), len(call.tensor().shape)
    axes = call.list_of("axes", 1, since=18)
    keep = bool(call.node.integer("keepdims", 1))
    untouched = call.node.integer("noop_with_empty_axes", 0)
    if not axes:
        if untouched:
            return x
        raise ValueError("the mean over all axes, the batch included, is not supported")
    return _mean(call, x, sorted({call.axis(axis, rank) for axis in axes}), keep)


def _mean(call: Call, x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Compute a mean by a global average pooling, with the axes of the mean in front."""
    rest = [axis for axis in x.order if axis not in axes]
    if set(x.order[: len(axes)]) != set(axes):
        x = call.build.ordered(x, axes + rest)
    pixels = math.prod(x.shape[axis] for axis in axes)
    kept = math.prod(x.shape[axis] for axis in rest)
    if len(x.shape) == 3 and len(axes) == 2:
        name = x.name
    else:
        name = call.build.view(x.name, (pixels, 1, kept))
    name = call.build.add(GlobalAveragePool(keep_dims=True), name)
    if keep:
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
        result = Tensor(name, shape, (*axes, *rest))
    else:
        left = sorted(rest)
        shape = tuple(x.shape[axis] for axis in left)
        result = Tensor(name, shape, tuple(left.index(axis) for axis in rest))
    return result._replace(name=call.build.view(name, result.inside))


OPERATORS = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce_mean,
}
