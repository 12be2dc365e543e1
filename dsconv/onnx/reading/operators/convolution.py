"""Translate Conv, to a standard or a depthwise convolution."""

from __future__ import annotations

from typing import Any

from dsconv.arguments.window import padding_pixels
from dsconv.layers import Conv2D, DepthwiseConv2D, Pad
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.graph_builder import Read
from dsconv.onnx.reading.operators.call import Call
from dsconv.onnx.reading.operators.window import sliding_window
from dsconv.onnx.reading.values import Tensor


def conv(call: Call) -> Tensor:
    """Translate a convolution with weights (O, C / groups, KH, KW).

    If there are as many groups as channels, it is a depthwise convolution.
    """
    call.arity(2, 3)
    x, weight = call.tensor(), call.weight(1)
    if len(x.shape) != 3 or len(weight.shape) != 4:
        raise ValueError(
            f"only convolutions of maps (N, C, H, W) are supported, got {shown(x.shape)} and "
            f"weights {weight.shape}"
        )
    filters, depth, height, width = weight.shape
    groups = call.node.integer("group", 1)
    if groups < 1 or filters < 1 or depth * groups != x.shape[0] or filters % groups:
        raise ValueError(
            f"weights {weight.shape} in {groups} groups do not fit the input {shown(x.shape)}"
        )
    if call.node.integers("kernel_shape", [height, width]) != [height, width]:
        raise ValueError(f"the attribute 'kernel_shape' does not fit the weights {weight.shape}")
    name, window = _padded_map(call, x, (height, width))
    weights: dict[str, Read] = {}
    if call.given(2):
        bias = call.weight(2, 1)
        if bias.shape != (filters,):
            raise ValueError(f"the bias must have the shape {(filters,)}, got {bias.shape}")
        weights["bias"] = lambda: bias.array
    window["bias"] = call.given(2)
    layer: Conv2D | DepthwiseConv2D
    if groups > 1 and depth == 1:
        layer = DepthwiseConv2D(multiplier=filters // groups, **window)
        shape = groups, filters // groups, height, width
        weights["weight"] = lambda: weight.array.reshape(shape).transpose(2, 3, 0, 1)
    else:
        layer = Conv2D(filters, groups=groups, **window)
        weights["weight"] = lambda: weight.array.transpose(2, 3, 1, 0)
    return call.build.from_map(call.build.add(layer, name, weights=weights))


def _padded_map(call: Call, x: Tensor, kernel: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """Return the map that a kernel slides over, and its window, which takes in a Pad before it."""
    name = call.build.map(x)
    stride, dilation, padding = sliding_window(call, x, kernel)
    node = call.build.graph.nodes.get(name)
    if node is not None and isinstance(node.layer, Pad):
        rows, columns = padding_pixels(padding, (x.shape[1], x.shape[2]), kernel, stride, dilation)
        outer = node.layer.pixels
        padding = (
            (outer[0][0] + rows[0], outer[0][1] + rows[1]),
            (outer[1][0] + columns[0], outer[1][1] + columns[1]),
        )
        (name,) = node.inputs
    return name, {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


OPERATORS = {"Conv": conv}
