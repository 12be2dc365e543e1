"""Write every layer kind as ONNX operators (opset 17).

A function for each kind adds the nodes of one layer to a `LayerWriter`. The kinds that only move
values are in `shaping.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from dsconv import layers
from dsconv.arguments.window import Window
from dsconv.layers import Layer, Shape
from dsconv.onnx.writing.nodes import LayerWriter, begins_and_ends, file_axis
from dsconv.onnx.writing.shaping import SHAPING, zeros_around


def add_layer(writer: LayerWriter, layer: Layer, *inputs: str) -> None:
    """Add the nodes of one layer, which reads the tensors `inputs`."""
    if type(layer) not in _NODES:
        raise ValueError(f"layer {writer.name!r}: {layer!r} cannot be written as ONNX operators")
    add = _NODES[type(layer)]
    clip = getattr(layer, "clip", None)
    if clip is None:
        add(writer, layer, *inputs)
    else:
        unclipped = writer.tensor("unclipped")
        add(replace(writer, outputs=[unclipped]), layer, *inputs)
        _clip(writer, layers.Clip(*clip), unclipped)


def _conv2d(writer: LayerWriter, layer: layers.Conv2D, x: str) -> None:
    weight = writer.read("weight").transpose(3, 2, 0, 1)  # (O, C / groups, KH, KW)
    _convolution(writer, layer, x, weight, layer.groups)


def _depthwise_conv2d(writer: LayerWriter, layer: layers.DepthwiseConv2D, x: str) -> None:
    weight = writer.read("weight").transpose(2, 3, 0, 1)  # (C, multiplier, KH, KW)
    channels, multiplier, *kernel = weight.shape
    _convolution(writer, layer, x, weight.reshape(channels * multiplier, 1, *kernel), channels)


def _convolution(writer: LayerWriter, layer: Any, x: str, weight: np.ndarray, groups: int) -> None:
    window = layer.window(writer.shapes)
    inputs = [x, writer.constant("weight", weight)]
    if layer.bias:
        inputs.append(writer.parameter("bias"))
    writer.node(
        "Conv",
        *inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=begins_and_ends(window.pad),
        group=groups,
    )


def _dense(writer: LayerWriter, layer: layers.Dense, x: str) -> None:
    inputs = [x, writer.constant("weight", writer.read("weight").T)]  # (units, Cin)
    if layer.bias:
        inputs.append(writer.parameter("bias"))
    writer.node("Gemm", *inputs, transB=1)


def _batch_norm(writer: LayerWriter, layer: layers.BatchNorm, x: str) -> None:
    rank = len(writer.shapes[0])
    scale = [writer.parameter(name) for name in ("gamma", "beta", "mean", "variance")]
    if rank in (1, 3):  # the channels are axis 1
        writer.node("BatchNormalization", x, *scale, epsilon=layer.epsilon)
        return
    last_to_first = (0, rank, *range(1, rank))
    first_to_last = (0, *range(2, rank + 1), 1)
    x = writer.node("Transpose", x, part="channels_first", perm=last_to_first)
    x = writer.node("BatchNormalization", x, *scale, part="normalised", epsilon=layer.epsilon)
    writer.node("Transpose", x, perm=first_to_last)


def _local_response_norm(writer: LayerWriter, layer: layers.LocalResponseNorm, x: str) -> None:
    writer.node(
        "LRN",
        x,
        size=layer.size,
        alpha=layer.alpha * layer.size,  # ONNX divides it by the size
        beta=layer.beta,
        bias=layer.bias,
    )


def _l2_normalize(writer: LayerWriter, layer: layers.L2Normalize, x: str) -> None:
    rank = len(writer.shapes[0])
    axis = file_axis(-1, rank)
    scale = writer.read("scale").reshape(-1, *[1] * (rank - axis))
    squares = writer.node("ReduceSumSquare", x, part="squares", axes=[axis], keepdims=1)
    epsilon = writer.constant("epsilon", layer.epsilon)
    squares = writer.node("Add", squares, epsilon, part="squares_epsilon")
    length = writer.node("Sqrt", squares, part="length")
    x = writer.node("Div", x, length, part="normalised")
    writer.node("Mul", x, writer.constant("scale", scale))


def _clip(writer: LayerWriter, layer: layers.Clip, x: str) -> None:
    if (layer.low, layer.high) == (0.0, math.inf):
        writer.node("Relu", x)
        return
    inputs = [x, writer.constant("low", layer.low) if layer.low > -math.inf else ""]
    if layer.high < math.inf:
        inputs.append(writer.constant("high", layer.high))
    writer.node("Clip", *inputs)


def _leaky_relu(writer: LayerWriter, layer: layers.LeakyReLU, x: str) -> None:
    writer.node("LeakyRelu", x, alpha=layer.slope)


def _hard_sigmoid(writer: LayerWriter, layer: Layer, x: str) -> None:
    writer.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _softmax(writer: LayerWriter, layer: layers.Softmax, x: str) -> None:
    writer.node("Softmax", x, axis=file_axis(layer.axis, len(writer.shapes[0])))


def _mul(writer: LayerWriter, layer: Layer, a: str, b: str) -> None:
    factors = [a, b]
    if len(writer.shapes[0]) != len(writer.shapes[1]):  # (N, C) beside (N, C, H, W)
        small = 0 if len(writer.shapes[0]) == 1 else 1
        axes = writer.constant("axes", [2, 3], np.int64)
        factors[small] = writer.node("Unsqueeze", factors[small], axes, part="factors")
    writer.node("Mul", *factors)


def _concat(writer: LayerWriter, layer: layers.Concat, *inputs: str) -> None:
    writer.node("Concat", *inputs, axis=file_axis(layer.axis, len(writer.shapes[0])))


def _split(writer: LayerWriter, layer: layers.Split, x: str) -> None:
    sizes = writer.constant("sizes", layer.sizes, np.int64)
    writer.node("Split", x, sizes, axis=file_axis(layer.axis, len(writer.shapes[0])))


def _max_pool(writer: LayerWriter, layer: layers.MaxPool, x: str) -> None:
    window = layer.window(writer.shapes)
    _pool(writer, "MaxPool", x, window, _covered(writer.shapes[0], window))


def _average_pool(writer: LayerWriter, layer: layers.AveragePool, x: str) -> None:
    """Write an average whose divisor counts the declared padding, or no padding.

    `ceil` may need more padding than is declared, and that never counts. If the declared padding
    counts, it is therefore written as a Pad node of its own.
    """
    window = layer.window(writer.shapes)
    pad = _covered(writer.shapes[0], window)
    counted = layer.count_padding and window.pad != ((0, 0), (0, 0))
    if counted and pad != window.pad:
        x = zeros_around(writer, x, window.pad, part="padded")
        pad = tuple(
            (0, after - declared) for (_, after), (_, declared) in zip(pad, window.pad, strict=True)
        )
        counted = False
    _pool(writer, "AveragePool", x, window, pad, count_include_pad=int(counted))


def _pool(
    writer: LayerWriter, operator: str, x: str, window: Window, pad: Any, **attributes: Any
) -> None:
    writer.node(
        operator,
        x,
        kernel_shape=window.kernel,
        strides=window.stride,
        pads=begins_and_ends(pad),
        **attributes,
    )


def _covered(shape: Shape, window: Window) -> tuple[tuple[int, int], ...]:
    """Enlarge the padding, so that the output has the size of `ceil` although it is rounded down.

    `ceil_mode` is not used because engines disagree on windows that start in the padding, and on
    the divisors of averages.
    """
    return tuple(
        (before, max(after, (output - 1) * stride + kernel - before - size))
        for size, kernel, stride, output, (before, after) in zip(
            shape, window.kernel, window.stride, window.output, window.pad, strict=False
        )
    )


def _global_average_pool(writer: LayerWriter, layer: layers.GlobalAveragePool, x: str) -> None:
    if layer.keep_dims:
        writer.node("GlobalAveragePool", x)
    else:
        writer.node("Flatten", writer.node("GlobalAveragePool", x, part="average"), axis=1)


def _plain(operator: str) -> Callable[..., None]:
    """Make the function of a kind that one ONNX operator computes."""

    def add(writer: LayerWriter, layer: Layer, *inputs: str) -> None:
        writer.node(operator, *inputs)

    return add


_NODES: dict[type[Layer], Callable[..., None]] = {
    layers.Conv2D: _conv2d,
    layers.DepthwiseConv2D: _depthwise_conv2d,
    layers.Dense: _dense,
    layers.BatchNorm: _batch_norm,
    layers.LocalResponseNorm: _local_response_norm,
    layers.L2Normalize: _l2_normalize,
    layers.Clip: _clip,
    layers.LeakyReLU: _leaky_relu,
    layers.HardSigmoid: _hard_sigmoid,
    layers.HardSwish: _plain("HardSwish"),
    layers.Sigmoid: _plain("Sigmoid"),
    layers.Softmax: _softmax,
    layers.Add: _plain("Add"),
    layers.Mul: _mul,
    layers.Concat: _concat,
    layers.Split: _split,
    layers.MaxPool: _max_pool,
    layers.AveragePool: _average_pool,
    layers.GlobalAveragePool: _global_average_pool,
    **SHAPING,
}
