"""Compute every operation by its defining sum, in plain loops and float64: slow, easy to believe.

Each function returns ``(y, mult_adds)``: the float64 result, and the number of multiply-adds,
counted one by one as they are done. A tap on the zero padding is a multiplication like any other,
so the number equals the closed form of `dsconv.cost`. Operations other than convolutions and dense
layers return 0. The fast kernels are tested against these loops and share nothing with them. They
take numbers below 2^-126, the smallest normal float32, for zero; these loops do not.

Maps are NHWC: ``x`` is a batch (N, H, W, C) or one image (H, W, C), and the result has the same
rank. ``stride`` and ``dilation`` are an int or (rows, columns). ``padding`` is "same" (the rule of
TensorFlow), "valid", an int, (rows, columns) or ((top, bottom), (left, right)), in pixels of zeros.
``bias`` has one number for each output channel. ``activation`` is None, "relu", "relu6" or
(low, high), and lets NaN pass. Wrong shapes and values raise ValueError, wrong dtypes TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pair = int | tuple[int, int]
Padding = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Activation = str | tuple[float, float] | None
Counted = tuple[NDArray[np.float64], int]


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Counted:
    """Compute a standard or grouped convolution; ``weight`` is (KH, KW, C/groups, O).

    y[n, i, j, o] = bias[o] + sum over ky, kx, c of
    x[n, i*stride + ky*dilation - top, j*stride + kx*dilation - left, c] * weight[ky, kx, c, o],
    where c runs over the input channels of the group of o.
    """
    images, kernel = _images(x), _array(weight, "weight", 4)
    channels, depth, outputs = images.shape[3], *kernel.shape[2:]
    _ints(groups, "groups", 1, ())
    _check(depth * groups == channels, "weight", f"(KH, KW, {channels}/groups, O)", kernel.shape)
    _check(outputs % groups == 0, "groups", f"a divisor of {outputs} output channels", groups)
    (down, right), (row_gap, column_gap) = _pair(stride, "stride"), _pair(dilation, "dilation")
    padded, size = _pad(images, kernel.shape, (down, right), padding, (row_gap, column_gap))
    w, b, activate = kernel.tolist(), _bias(bias, outputs), _activation(activation)
    taps = list(np.ndindex(kernel.shape[:3]))

    y, mult_adds = np.empty((len(images), *size, outputs)), 0
    for n, i, j, o in np.ndindex(y.shape):
        first = o // (outputs // groups) * depth  # the first input channel of the group of o
        total = b[o]
        for ky, kx, c in taps:
            pixel = padded[n][i * down + ky * row_gap][j * right + kx * column_gap]
            total += pixel[first + c] * w[ky][kx][c][o]
            mult_adds += 1
        y[n, i, j, o] = activate(total)
    return (y if np.ndim(x) == 4 else y[0]), mult_adds


def depthwise_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    activation: Activation = None,
) -> Counted:
    """Filter each channel with kernels of its own; ``weight`` is (KH, KW, C, multiplier).

    y[n, i, j, c*multiplier + m] = bias[c*multiplier + m] + sum over ky, kx of
    x[n, i*stride + ky*dilation - top, j*stride + kx*dilation - left, c] * weight[ky, kx, c, m].
    """
    images, kernel = _images(x), _array(weight, "weight", 4)
    channels, multiplier = images.shape[3], kernel.shape[3]
    _check(kernel.shape[2] == channels, "weight", f"(KH, KW, {channels}, m)", kernel.shape)
    (down, right), (row_gap, column_gap) = _pair(stride, "stride"), _pair(dilation, "dilation")
    padded, size = _pad(images, kernel.shape, (down, right), padding, (row_gap, column_gap))
    outputs = channels * multiplier
    w, b, activate = kernel.tolist(), _bias(bias, outputs), _activation(activation)
    taps = list(np.ndindex(kernel.shape[:2]))

    y, mult_adds = np.empty((len(images), *size, outputs)), 0
    for n, i, j, o in np.ndindex(y.shape):
        c, m = divmod(o, multiplier)
        total = b[o]
        for ky, kx in taps:
            pixel = padded[n][i * down + ky * row_gap][j * right + kx * column_gap]
            total += pixel[c] * w[ky][kx][c][m]
            mult_adds += 1
        y[n, i, j, o] = activate(total)
    return (y if np.ndim(x) == 4 else y[0]), mult_adds


def pointwise_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    activation: Activation = None,
) -> Counted:
    """Compute a 1x1 convolution; ``weight`` is (C, O).

    y[n, i, j, o] = bias[o] + sum over c of x[n, i*stride, j*stride, c] * weight[c, o].
    """
    images, matrix = _images(x), _array(weight, "weight", 2)
    channels, outputs = images.shape[3], matrix.shape[1]
    _check(len(matrix) == channels, "weight", f"({channels}, O)", matrix.shape)
    down, right = _pair(stride, "stride")
    pixels, size = _pad(images, (1, 1), (down, right), "valid", (1, 1))
    w, b, activate = matrix.tolist(), _bias(bias, outputs), _activation(activation)

    y, mult_adds = np.empty((len(images), *size, outputs)), 0
    for n, i, j, o in np.ndindex(y.shape):
        total = b[o]
        for c in range(channels):
            total += pixels[n][i * down][j * right][c] * w[c][o]
            mult_adds += 1
        y[n, i, j, o] = activate(total)
    return (y if np.ndim(x) == 4 else y[0]), mult_adds


def separable_conv2d(
    x: ArrayLike,
    depthwise_weight: ArrayLike,
    pointwise_weight: ArrayLike,
    depthwise_bias: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    depthwise_activation: Activation = None,
    activation: Activation = None,
) -> Counted:
    """Run `depthwise_conv2d`, then `pointwise_conv2d` on its result (MobileNetV1, section 3.1)."""
    window: Any = {"stride": stride, "padding": padding, "dilation": dilation}
    middle, first = depthwise_conv2d(
        x, depthwise_weight, depthwise_bias, activation=depthwise_activation, **window
    )
    y, second = pointwise_conv2d(middle, pointwise_weight, bias, activation=activation)
    return y, first + second


def global_average_pool(x: ArrayLike) -> Counted:
    """Return the mean over all pixels: (N, H, W, C) -> (N, C), or (H, W, C) -> (C,)."""
    images = _images(x)
    y = np.empty((len(images), images.shape[3]))
    for n, c in np.ndindex(y.shape):
        y[n, c] = sum(images[n, :, :, c].flat) / images[n, :, :, c].size
    return (y if np.ndim(x) == 4 else y[0]), 0


def dense(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, activation: Activation = None
) -> Counted:
    """Compute a fully connected layer, as the 1x1 convolution of a 1x1 map; ``weight`` is (C, O).

    y[n, o] = bias[o] + sum over c of x[n, c] * weight[c, o].
    """
    values = _array(x, "x", 1, 2)[..., np.newaxis, np.newaxis, :]  # (N, 1, 1, C) or (1, 1, C)
    y, mult_adds = pointwise_conv2d(values, weight, bias, activation=activation)
    return y[..., 0, 0, :], mult_adds


def softmax(x: ArrayLike, axis: int = -1) -> Counted:
    """Return exp(x) / sum of exp(x) along ``axis``, for any rank from 1 on.

    The largest value is subtracted first: the quotient stays the same and nothing overflows.
    """
    values = np.moveaxis(_array(x, "x"), axis, -1)
    _check(values.shape[-1] >= 1, "x", f"of at least one value along axis {axis}", np.shape(x))
    y = np.empty(values.shape)
    for index in np.ndindex(values.shape[:-1]):
        row = values[index].tolist()
        largest = max(row)
        powers = [math.exp(value - largest) for value in row]
        y[index] = np.divide(powers, sum(powers))
    return np.moveaxis(y, -1, axis), 0


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    epsilon: float,
    activation: Activation = None,
) -> Counted:
    """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta for each channel."""
    values, activate = _array(x, "x"), _activation(activation)
    vectors = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    g, b, mu, var = (_vector(v, name, values.shape[-1]) for name, v in vectors.items())
    _check(not any(v + epsilon <= 0 for v in var), "variance", "above -epsilon", variance)
    y = np.empty(values.shape)
    for index in np.ndindex(y.shape):
        c = index[-1]
        standard = (float(values[index]) - mu[c]) / math.sqrt(var[c] + epsilon)
        y[index] = activate(g[c] * standard + b[c])
    return y, 0


def add(a: ArrayLike, b: ArrayLike, *, activation: Activation = None) -> Counted:
    """Return a + b, element by element, for two arrays of one shape."""
    left, right, activate = _array(a, "a"), _array(b, "b"), _activation(activation)
    _check(left.shape == right.shape, "b", f"of the shape of a, {left.shape}", right.shape)
    y = np.empty(left.shape)
    for index in np.ndindex(y.shape):
        y[index] = activate(float(left[index]) + float(right[index]))
    return y, 0


def _pad(
    images: NDArray[np.float64], kernel: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[list[Any], list[int]]:
    """Return the images in a frame of zeros, as nested lists, and the output's [height, width]."""
    frame, output = [], []
    for axis in (0, 1):  # rows, then columns
        size = images.shape[1 + axis]
        reach = (kernel[axis] - 1) * dilation[axis] + 1  # pixels from the first tap to the last
        if isinstance(padding, str) and padding == "same":
            windows = math.ceil(size / stride[axis])
            missing = max((windows - 1) * stride[axis] + reach - size, 0)
            before, after = missing // 2, missing - missing // 2  # the odd zero goes to the end
        else:
            sides = _ints(0 if padding == "valid" else padding, "padding", 0, (), (2,), (2, 2))
            sides = sides[:, np.newaxis] if sides.shape == (2,) else sides  # (rows, columns)
            before, after = np.broadcast_to(sides, (2, 2))[axis].tolist()
        frame.append((before, after))
        output.append((size + before + after - reach) // stride[axis] + 1)
        fits = min(kernel[axis], output[axis]) >= 1
        _check(fits, "weight", f"1 x 1 or larger and fit into the padded x {images.shape}", kernel)
    return np.pad(images, [(0, 0), *frame, (0, 0)]).tolist(), output


def _activation(activation: Any) -> Callable[[float], float]:
    """Return the activation as a clamp of one number; NaN passes: it is neither below nor above."""
    named = {None: (-math.inf, math.inf), "relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
    bounds = activation if isinstance(activation, (tuple, list)) else named.get(activation, ())
    good = len(bounds) == 2 and bounds[0] <= bounds[1]  # a NaN bound compares false
    _check(good, "activation", 'None, "relu", "relu6" or (low, high), low <= high', activation)
    low, high = map(float, bounds)
    return lambda value: low if value < low else high if value > high else value


def _array(value: ArrayLike, name: str, *ranks: int) -> NDArray[np.float64]:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    _check(array.ndim in (ranks or range(1, 65)), name, f"of rank {ranks or '1+'}", array.shape)
    return array.astype(np.float64)


def _images(x: ArrayLike) -> NDArray[np.float64]:
    images = _array(x, "x", 3, 4)
    _check(min(images.shape[-3:-1]) >= 1, "x", "of at least 1 x 1 pixel", images.shape)
    return images if images.ndim == 4 else images[np.newaxis]


def _vector(value: ArrayLike, name: str, size: int) -> Any:
    vector = _array(value, name, 1)
    _check(len(vector) == size, name, f"of shape ({size},)", vector.shape)
    return vector.tolist()


def _bias(bias: ArrayLike | None, size: int) -> Any:
    return [0.0] * size if bias is None else _vector(bias, "bias", size)


def _ints(value: Any, name: str, least: int, *shapes: tuple[int, ...]) -> NDArray[Any]:
    try:
        numbers = np.asarray(value)
    except ValueError:  # ragged
        numbers = np.asarray(None)
    good = numbers.dtype.kind in "iu" and numbers.shape in shapes and numbers.min() >= least
    _check(good, name, f"an int from {least} on, or such ints for rows and columns", value)
    return numbers


def _pair(value: Pair, name: str) -> Any:
    return np.broadcast_to(_ints(value, name, 1, (), (2,)), 2).tolist()


def _check(good: bool, name: str, allowed: str, got: Any) -> None:
    if not good:
        raise ValueError(f"{name} must be {allowed}, got {got!r}")
