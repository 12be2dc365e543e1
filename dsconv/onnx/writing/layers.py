"""Every layer kind as ONNX operators (opset 17).

A function for each kind adds the nodes of one layer to a `Place`; those of the kinds that only
move values are in `export_shaping`.
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
from dsconv.onnx.writing.nodes import Place, begins_and_ends, file_axis
from dsconv.onnx.writing.shaping import SHAPING, zeros_around


def add_layer(place: Place, layer: Layer, *inputs: str) -> None:
    """Add the nodes of one layer, behind the tensors `inputs`."""
    if type(layer) not in _NODES:
        raise ValueError(f"layer {place.name!r}: {layer!r} cannot be written as ONNX operators")
    add = _NODES[type(layer)]
    clip = getattr(layer, "clip", None)
    if clip is None:
        add(place, layer, *inputs)
    else:
        unclipped = place.tensor("unclipped")
        add(replace(place, outputs=[unclipped]), layer, *inputs)
        _clip(place, layers.Clip(*clip), unclipped)


def _conv2d(place: Place, layer: layers.Conv2D, x: str) -> None:
    weight = place.read("weight").transpose(3, 2, 0, 1)  # (O, C / groups, KH, KW)
    _convolution(place, layer, x, weight, layer.groups)


def _depthwise_conv2d(place: Place, layer: layers.DepthwiseConv2D, x: str) -> None:
    weight = place.read("weight").transpose(2, 3, 0, 1)  # (C, multiplier, KH, KW)
    channels, multiplier, *kernel = weight.shape
    _convolution(place, layer, x, weight.reshape(channels * multiplier, 1, *kernel), channels)


def _convolution(place: Place, layer: Any, x: str, weight: np.ndarray, groups: int) -> None:
    window = layer.window(place.shapes)
    inputs = [x, place.constant("weight", weight)]
    if layer.bias:
        inputs.append(place.parameter("bias"))
    place.emit(
        "Conv",
        *inputs,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        pads=begins_and_ends(window.pad),
        group=groups,
    )


def _dense(place: Place, layer: layers.Dense, x: str) -> None:
    inputs = [x, place.constant("weight", place.read("weight").T)]  # (units, Cin)
    if layer.bias:
        inputs.append(place.parameter("bias"))
    place.emit("Gemm", *inputs, transB=1)


def _batch_norm(place: Place, layer: layers.BatchNorm, x: str) -> None:
    rank = len(place.shapes[0])
    scale = [place.parameter(name) for name in ("gamma", "beta", "mean", "variance")]
    if rank in (1, 3):  # the channels are axis 1
        place.emit("BatchNormalization", x, *scale, epsilon=layer.epsilon)
        return
    last_to_first = (0, rank, *range(1, rank))
    first_to_last = (0, *range(2, rank + 1), 1)
    x = place.emit("Transpose", x, part="channels_first", perm=last_to_first)
    x = place.emit("BatchNormalization", x, *scale, part="normalised", epsilon=layer.epsilon)
    place.emit("Transpose", x, perm=first_to_last)


def _local_response_norm(place: Place, layer: layers.LocalResponseNorm, x: str) -> None:
    place.emit(
        "LRN",
        x,
        size=layer.size,
        alpha=layer.alpha * layer.size,  # ONNX divides it by the size
        beta=layer.beta,
        bias=layer.bias,
    )


def _l2_normalize(place: Place, layer: layers.L2Normalize, x: str) -> None:
    rank = len(place.shapes[0])
    axis = file_axis(-1, rank)
    scale = place.read("scale").reshape(-1, *[1] * (rank - axis))
    squares = place.emit("ReduceSumSquare", x, part="squares", axes=[axis], keepdims=1)
    epsilon = place.constant("epsilon", layer.epsilon)
    squares = place.emit("Add", squares, epsilon, part="squares_epsilon")
    length = place.emit("Sqrt", squares, part="length")
    x = place.emit("Div", x, length, part="normalised")
    place.emit("Mul", x, place.constant("scale", scale))


def _clip(place: Place, layer: layers.Clip, x: str) -> None:
    if (layer.low, layer.high) == (0.0, math.inf):
        place.emit("Relu", x)
        return
    inputs = [x, place.constant("low", layer.low) if layer.low > -math.inf else ""]
    if layer.high < math.inf:
        inputs.append(place.constant("high", layer.high))
    place.emit("Clip", *inputs)


def _leaky_relu(place: Place, layer: layers.LeakyReLU, x: str) -> None:
    place.emit("LeakyRelu", x, alpha=layer.slope)


def _hard_sigmoid(place: Place, layer: Layer, x: str) -> None:
    place.emit("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _softmax(place: Place, layer: layers.Softmax, x: str) -> None:
    place.emit("Softmax", x, axis=file_axis(layer.axis, len(place.shapes[0])))


def _mul(place: Place, layer: Layer, a: str, b: str) -> None:
    factors = [a, b]
    if len(place.shapes[0]) != len(place.shapes[1]):  # (N, C) beside (N, C, H, W)
        small = 0 if len(place.shapes[0]) == 1 else 1
        axes = place.constant("axes", [2, 3], np.int64)
        factors[small] = place.emit("Unsqueeze", factors[small], axes, part="factors")
    place.emit("Mul", *factors)


def _concat(place: Place, layer: layers.Concat, *inputs: str) -> None:
    place.emit("Concat", *inputs, axis=file_axis(layer.axis, len(place.shapes[0])))


def _split(place: Place, layer: layers.Split, x: str) -> None:
    sizes = place.constant("sizes", layer.sizes, np.int64)
    place.emit("Split", x, sizes, axis=file_axis(layer.axis, len(place.shapes[0])))


def _max_pool(place: Place, layer: layers.MaxPool, x: str) -> None:
    window = layer.window(place.shapes)
    _pool(place, "MaxPool", x, window, _covered(place.shapes[0], window))


def _average_pool(place: Place, layer: layers.AveragePool, x: str) -> None:
    """With what `ceil` adds beyond the declared padding, which never counts, in `pads` alone."""
    window = layer.window(place.shapes)
    pad = _covered(place.shapes[0], window)
    counted = layer.count_padding and window.pad != ((0, 0), (0, 0))
    if counted and pad != window.pad:
        x = zeros_around(place, x, window.pad, part="padded")
        pad = tuple(
            (0, after - declared) for (_, after), (_, declared) in zip(pad, window.pad, strict=True)
        )
        counted = False
    _pool(place, "AveragePool", x, window, pad, count_include_pad=int(counted))


def _pool(place: Place, operator: str, x: str, window: Window, pad: Any, **attributes: Any) -> None:
    place.emit(
        operator,
        x,
        kernel_shape=window.kernel,
        strides=window.stride,
        pads=begins_and_ends(pad),
        **attributes,
    )


def _covered(shape: Shape, window: Window) -> tuple[tuple[int, int], ...]:
    """The padding so enlarged that rounding down gives the output that `ceil` asks for.

    Engines do not agree on `ceil_mode`: on windows that start in the padding, and on what counts.
    """
    return tuple(
        (before, max(after, (output - 1) * stride + kernel - before - size))
        for size, kernel, stride, output, (before, after) in zip(
            shape, window.kernel, window.stride, window.output, window.pad, strict=False
        )
    )


def _global_average_pool(place: Place, layer: layers.GlobalAveragePool, x: str) -> None:
    if layer.keep_dims:
        place.emit("GlobalAveragePool", x)
    else:
        place.emit("Flatten", place.emit("GlobalAveragePool", x, part="average"), axis=1)


def _plain(operator: str) -> Callable[..., None]:
    """A kind that an ONNX operator computes as it is."""

    def add(place: Place, layer: Layer, *inputs: str) -> None:
        place.emit(operator, *inputs)

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
