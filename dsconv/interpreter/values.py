"""Compute every layer kind in double precision: the formulas of `dsconv.layers` in numpy.

Arrays are batches, (N, H, W, C) or (N, C). Windows run as a loop over the taps of the kernel, each
of them one array operation on all pixels and channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from dsconv import layers
from dsconv.arguments.window import Window
from dsconv.layers import Layer
from dsconv.layers.base import axis_index

Array = NDArray[np.float64]
Weights = Mapping[str, Array]  # of one layer: "weight", "bias", "gamma" ...


def evaluate(layer: Layer, weights: Weights, *inputs: Array) -> tuple[Array, ...]:
    """Compute the outputs of one layer.

    Parameters
    ----------
    layer
        Any kind but `Input`.
    weights
        Of this layer, by parameter name. A missing bias counts as zero.
    inputs
        Batches of the shapes that the layer takes.
    """
    outputs = _VALUES[type(layer)](layer, weights, *inputs)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _conv2d(layer: layers.Conv2D, weights: Weights, x: Array) -> Array:
    # x: (N, H, W, C); weight: (KH, KW, C / groups, O), as (KH, KW, groups, C / groups, O / groups)
    window = layer.window([x.shape[1:]])
    *kernel, depth, filters = weights["weight"].shape
    weight = weights["weight"].reshape(*kernel, depth, layer.groups, -1).swapaxes(2, 3)
    y = np.zeros((layer.groups, len(x) * math.prod(window.output), filters // layer.groups))
    for tap, pixels in _taps(x, window):
        y += pixels.reshape(-1, layer.groups, depth).swapaxes(0, 1) @ weight[tap]
    y = y.swapaxes(0, 1).reshape(len(x), *window.output, filters)
    return clipped(y + weights.get("bias", 0.0), layer.clip)


def _depthwise_conv2d(layer: layers.DepthwiseConv2D, weights: Weights, x: Array) -> Array:
    # x: (N, H, W, C); weight: (KH, KW, C, multiplier)
    window = layer.window([x.shape[1:]])
    channels, multiplier = weights["weight"].shape[2:]
    y = np.zeros((len(x), *window.output, channels * multiplier))
    for tap, pixels in _taps(x, window):
        y += pixels.repeat(multiplier, axis=-1) * weights["weight"][tap].ravel()
    return clipped(y + weights.get("bias", 0.0), layer.clip)


def _dense(layer: layers.Dense, weights: Weights, x: Array) -> Array:
    return clipped(x @ weights["weight"] + weights.get("bias", 0.0), layer.clip)


def _batch_norm(layer: layers.BatchNorm, weights: Weights, x: Array) -> Array:
    scale = weights["gamma"] / np.sqrt(weights["variance"] + layer.epsilon)
    return (x - weights["mean"]) * scale + weights["beta"]


def _local_response_norm(layer: layers.LocalResponseNorm, weights: Weights, x: Array) -> Array:
    return x / (layer.bias + layer.alpha * channel_sums(x * x, layer.size)) ** layer.beta


def _l2_normalize(layer: layers.L2Normalize, weights: Weights, x: Array) -> Array:
    return weights["scale"] * x / np.sqrt((x * x).sum(axis=-1, keepdims=True) + layer.epsilon)


def _leaky_relu(layer: layers.LeakyReLU, weights: Weights, x: Array) -> Array:
    return np.where(x < 0, layer.slope * x, x)


def _hard_sigmoid(layer: Layer, weights: Weights, x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _hard_swish(layer: Layer, weights: Weights, x: Array) -> Array:
    return x * np.clip(x + 3, 0, 6) / 6


def _sigmoid(layer: Layer, weights: Weights, x: Array) -> Array:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, small, 1.0) / (1 + small)


def _softmax(layer: layers.Softmax, weights: Weights, x: Array) -> Array:
    axis = batch_axis(layer.axis, x)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _mul(layer: Layer, weights: Weights, a: Array, b: Array) -> Array:
    a, b = broadcast(a, b)
    return a * b


def _concat(layer: layers.Concat, weights: Weights, *inputs: Array) -> Array:
    return np.concatenate(inputs, axis=batch_axis(layer.axis, inputs[0]))


def _split(layer: layers.Split, weights: Weights, x: Array) -> tuple[Array, ...]:
    return tuple(np.split(x, np.cumsum(layer.sizes)[:-1], axis=batch_axis(layer.axis, x)))


def _max_pool(layer: layers.MaxPool, weights: Weights, x: Array) -> Array:
    window = layer.window([x.shape[1:]])
    y = np.full((len(x), *window.output, x.shape[3]), -np.inf)
    for _, pixels in _taps(x, window, fill=-np.inf):
        np.maximum(y, pixels, out=y)
    return y


def _average_pool(layer: layers.AveragePool, weights: Weights, x: Array) -> Array:
    window = layer.window([x.shape[1:]])
    counted = np.ones((1, *x.shape[1:3], 1))  # 1 where a pixel adds to the divisor
    if layer.count_padding:
        counted = np.pad(counted, ((0, 0), *window.pad, (0, 0)), constant_values=1)
        counts = _window_sums(counted, window._replace(pad=((0, 0), (0, 0))))
    else:
        counts = _window_sums(counted, window)
    return _window_sums(x, window) / counts


def _global_average_pool(layer: layers.GlobalAveragePool, weights: Weights, x: Array) -> Array:
    return x.mean(axis=(1, 2), keepdims=layer.keep_dims)


def _channel_shuffle(layer: layers.ChannelShuffle, weights: Weights, x: Array) -> Array:
    grouped = x.reshape(*x.shape[:3], layer.groups, x.shape[3] // layer.groups)
    return grouped.swapaxes(3, 4).reshape(x.shape)


def _space_to_depth(layer: layers.SpaceToDepth, weights: Weights, x: Array) -> Array:
    height, width, channels = layer.infer([x.shape[1:]])[0]
    block = layer.block
    squares = x.reshape(len(x), height, block, width, block, x.shape[3])
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), height, width, channels)


def _pad(layer: layers.Pad, weights: Weights, x: Array) -> Array:
    return np.pad(x, ((0, 0), *layer.pixels, (0, 0)))


def _resize(layer: layers.Resize, weights: Weights, x: Array) -> Array:
    for axis, size in ((1, layer.height), (2, layer.width)):
        low, high, fraction = between(x.shape[axis], size, layer.mode)
        along = fraction.reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        x = x.take(low, axis) * (1 - along) + x.take(high, axis) * along
    return x


def _reshape(layer: Layer, weights: Weights, x: Array) -> Array:
    return x.reshape(len(x), *layer.infer([x.shape[1:]])[0])


def _transpose(layer: layers.Transpose, weights: Weights, x: Array) -> Array:
    return x.transpose(0, *(axis + 1 for axis in layer.permutation))


def _slice(layer: layers.Slice, weights: Weights, x: Array) -> Array:
    for axis, (start, size, step) in enumerate(
        zip(layer.starts, layer.sizes, layer.steps, strict=True), start=1
    ):
        x = x.take(start + step * np.arange(size), axis)
    return x


def _broadcast(layer: layers.Broadcast, weights: Weights, x: Array) -> Array:
    return np.broadcast_to(x, (len(x), *layer.shape))


_VALUES: dict[type[Layer], Callable[..., Array | tuple[Array, ...]]] = {
    layers.Conv2D: _conv2d,
    layers.DepthwiseConv2D: _depthwise_conv2d,
    layers.Dense: _dense,
    layers.BatchNorm: _batch_norm,
    layers.LocalResponseNorm: _local_response_norm,
    layers.L2Normalize: _l2_normalize,
    layers.Clip: lambda layer, weights, x: clipped(x, (layer.low, layer.high)),
    layers.LeakyReLU: _leaky_relu,
    layers.HardSigmoid: _hard_sigmoid,
    layers.HardSwish: _hard_swish,
    layers.Sigmoid: _sigmoid,
    layers.Softmax: _softmax,
    layers.Add: lambda layer, weights, a, b: clipped(a + b, layer.clip),
    layers.Mul: _mul,
    layers.Concat: _concat,
    layers.Split: _split,
    layers.MaxPool: _max_pool,
    layers.AveragePool: _average_pool,
    layers.GlobalAveragePool: _global_average_pool,
    layers.ChannelShuffle: _channel_shuffle,
    layers.SpaceToDepth: _space_to_depth,
    layers.Pad: _pad,
    layers.Resize: _resize,
    layers.Reshape: _reshape,
    layers.Flatten: _reshape,
    layers.Transpose: _transpose,
    layers.Slice: _slice,
    layers.Broadcast: _broadcast,
}


def clipped(x: Array, bounds: tuple[float, float] | None) -> Array:
    """Return min(max(x, low), high), or x if there are no bounds; NaN passes."""
    return x if bounds is None else np.clip(x, *bounds)


def batch_axis(axis: int, x: Array) -> int:
    """Return an axis that counts without the batch as an axis of the batch x."""
    return axis_index(axis, x.shape[1:]) + 1


def broadcast(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the inputs of `Mul`, with factors (N, C) beside a map (N, H, W, C) as (N, 1, 1, C)."""
    if a.ndim == b.ndim:
        return a, b
    return (a[:, None, None], b) if a.ndim < b.ndim else (a, b[:, None, None])


def channel_sums(x: Array, size: int) -> Array:
    """Sum x over `size` channels centred on each; channels outside of the map are zero."""
    channels = x.shape[-1]
    reach = min(size // 2, channels - 1)
    frame = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(reach, reach)])
    return np.lib.stride_tricks.sliding_window_view(frame, 2 * reach + 1, axis=-1).sum(axis=-1)


def between(
    size: int, output: int, mode: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Return the two input rows between which each output row of `Resize` lies, and its distance.

    The distance is counted from the lower row, in rows. Positions are fractions of integers, so the
    rows are exact; at distance 0 only the lower row counts.
    """
    i = np.arange(output, dtype=np.int64)
    if mode == "align_corners":
        above, below = i * (size - 1), max(output - 1, 1)
    else:  # (i + 1/2) * size / output - 1/2
        above, below = (2 * i + 1) * size - output, 2 * output
    low, rest = np.divmod(np.clip(above, 0, (size - 1) * below), below)
    return low, np.minimum(low + 1, size - 1), rest / below


def _taps(x: Array, window: Window, fill: float = 0.0) -> Iterator[tuple[tuple[int, int], Array]]:
    """Yield each tap (row, column) of the kernel with the pixels (N, OH, OW, C) that it meets."""
    frame = []
    for axis in (0, 1):
        steps = (window.output[axis] - 1) * window.stride[axis]
        reach = steps + (window.kernel[axis] - 1) * window.dilation[axis] + 1
        before = window.pad[axis][0]
        frame.append((before, max(reach - before - x.shape[1 + axis], 0)))
    x = np.pad(x, ((0, 0), *frame, (0, 0)), constant_values=fill)
    for i, j in np.ndindex(*window.kernel):
        rows, columns = (
            slice(start, start + (size - 1) * step + 1, step)
            for start, size, step in zip(
                (i * window.dilation[0], j * window.dilation[1]),
                window.output,
                window.stride,
                strict=True,
            )
        )
        yield (i, j), x[:, rows, columns]


def _window_sums(x: Array, window: Window) -> Array:
    return sum((pixels for _, pixels in _taps(x, window)), np.zeros(()))
