"""The operations on arrays: checks of the arguments, then one call into the kernels.

Activations are NHWC float32, a batch (N, H, W, C) or one image (H, W, C); the result has the same
rank. Every operation with weights computes each output element as one chain of sums in a fixed
order (bias, then taps row by row, then input channels ascending), so the bits of a result do not
depend on threads, batch size or tiles. `softmax` is NumPy's exp and sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv.arguments.arrays import contiguous, float32
from dsconv.arguments.numbers import Pair, integer
from dsconv.arguments.window import Padding, window
from dsconv.functional.checks import (
    Activation,
    Weight,
    check_out,
    clamp,
    few_threads,
    maps,
    optional_vector,
    output_map,
    packed_weight,
    result,
    same_channels,
    vector,
)
from dsconv.kernels import dispatch, steps
from dsconv.kernels.packing import pack
from dsconv.kernels.threads import threads_or_default

__all__ = [
    "add",
    "batch_norm",
    "conv2d",
    "dense",
    "depthwise_conv2d",
    "global_average_pool",
    "pack",
    "pointwise_conv2d",
    "separable_conv2d",
    "softmax",
]


def conv2d(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Standard two-dimensional convolution (cross-correlation, as in every network).

    y[n, q, r, o] = bias[o] + sum over i, j, c of
    x[n, q * stride + i * dilation - top, r * stride + j * dilation - left, c] * weight[i, j, c, o]

    with zeros outside of x; with groups, output channels of group g see input channels of group g.

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, Cin) or (H, W, Cin)
    weight : ndarray of float32, (KH, KW, Cin/groups, Cout), or PackedWeight of kind "conv2d"
    bias : ndarray of float32, (Cout,), optional
    stride, dilation : int or (rows, columns), in pixels
    padding : "same", "valid", int, (rows, columns) or ((top, bottom), (left, right)), in pixels
        "same" is TensorFlow's rule: ceil(size / stride) outputs, the odd pixel goes to the end.
    groups : int
    activation : None, "relu", "relu6" or (low, high)
    threads : int, optional
        Default: `get_num_threads()`.
    out : ndarray of float32, optional
        C-contiguous, of the exact output shape, sharing no memory with x.

    Returns
    -------
    ndarray of float32, (N, H', W', Cout) or (H', W', Cout)

    Raises
    ------
    ValueError
        For wrong ranks, channels or shapes, an empty output, numbers out of range.
    TypeError
        For another dtype than float32.
    """
    x, images = maps(x)
    packed = packed_weight(weight, "conv2d", integer(groups, "groups"))
    kh, kw, group_in, channels = packed.shape
    if group_in * groups != images.shape[3]:
        raise ValueError(
            f"x has {images.shape[3]} channels, weight {packed.shape} with groups={groups} takes "
            f"{group_in * groups} (its third axis times groups)"
        )
    place = window(images.shape[1:3], (kh, kw), stride, padding, dilation)
    bias = optional_vector(bias, "bias", channels)
    y = output_map(x, (*place.output, channels), out)
    step = steps.conv2d(
        dispatch.kernels, images.shape[1:], place, channels, groups, packed.data, bias,
        clamp(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, kh * kw * group_in)


def depthwise_conv2d(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Depthwise convolution: each channel is filtered on its own (MobileNetV1, section 3.1).

    y[n, q, r, c * M + m] = bias[c * M + m] + sum over i, j of
    x[n, q * stride + i * dilation - top, r * stride + j * dilation - left, c] * weight[i, j, c, m]

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    weight : ndarray of float32, (KH, KW, C, M), or PackedWeight of kind "depthwise"
        M is the depth multiplier.
    bias : ndarray of float32, (C * M,), optional
    stride, padding, dilation, activation, threads, out
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, H', W', C * M) or (H', W', C * M)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x, images = maps(x)
    packed = packed_weight(weight, "depthwise")
    kh, kw, channels, multiplier = packed.shape
    same_channels(images, channels, "weight", packed.shape)
    place = window(images.shape[1:3], (kh, kw), stride, padding, dilation)
    bias = optional_vector(bias, "bias", channels * multiplier)
    y = output_map(x, (*place.output, channels * multiplier), out)
    step = steps.depthwise(
        dispatch.kernels, images.shape[1:], place, multiplier, packed.data, bias,
        clamp(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, kh * kw)


def pointwise_conv2d(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Pointwise (1x1) convolution: y[n, q, r, o] = bias[o] + sum over c of x[n, q*s, r*s, c] * weight[c, o].

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, Cin) or (H, W, Cin)
    weight : ndarray of float32, (Cin, Cout), or PackedWeight of kind "pointwise"
    bias : ndarray of float32, (Cout,), optional
    stride, activation, threads, out
        As in `conv2d`; there is no padding.

    Returns
    -------
    ndarray of float32, (N, H', W', Cout) or (H', W', Cout)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x, images = maps(x)
    packed = packed_weight(weight, "pointwise")
    same_channels(images, packed.shape[0], "weight", packed.shape)
    place = window(images.shape[1:3], 1, stride, "valid")
    channels = packed.shape[1]
    bias = optional_vector(bias, "bias", channels)
    y = output_map(x, (*place.output, channels), out)
    step = steps.conv2d(
        dispatch.kernels, images.shape[1:], place, channels, 1, packed.data, bias,
        clamp(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, packed.shape[0])


def separable_conv2d(
    x: np.ndarray,
    depthwise_weight: Weight,
    pointwise_weight: Weight,
    depthwise_bias: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    depthwise_activation: Activation = None,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Depthwise separable convolution in one pass (MobileNetV1, section 3.1).

    The bits are those of `pointwise_conv2d(depthwise_conv2d(x, ...), ...)`, but the depthwise output
    is never stored whole: a strip of it at a time stays in the cache.

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    depthwise_weight : ndarray of float32, (KH, KW, C, M), or PackedWeight of kind "depthwise"
    pointwise_weight : ndarray of float32, (C * M, Cout), or PackedWeight of kind "pointwise"
    depthwise_bias : ndarray of float32, (C * M,), optional
    bias : ndarray of float32, (Cout,), optional
    depthwise_activation, activation : None, "relu", "relu6" or (low, high)
        Between the two convolutions, and after the second.
    stride, padding, dilation, threads, out
        As in `conv2d`; stride, padding and dilation are the depthwise convolution's.

    Returns
    -------
    ndarray of float32, (N, H', W', Cout) or (H', W', Cout)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x, images = maps(x)
    first = packed_weight(depthwise_weight, "depthwise", name="depthwise_weight")
    second = packed_weight(pointwise_weight, "pointwise", name="pointwise_weight")
    kh, kw, channels, multiplier = first.shape
    same_channels(images, channels, "depthwise_weight", first.shape)
    if second.shape[0] != channels * multiplier:
        raise ValueError(
            f"pointwise_weight must take the {channels * multiplier} channels that "
            f"depthwise_weight {first.shape} gives, got shape {second.shape}"
        )
    place = window(images.shape[1:3], (kh, kw), stride, padding, dilation)
    depthwise_bias = optional_vector(depthwise_bias, "depthwise_bias", channels * multiplier)
    bias = optional_vector(bias, "bias", second.shape[1])
    y = output_map(x, (*place.output, second.shape[1]), out)
    step = steps.separable(
        dispatch.kernels, images.shape[1:], place, multiplier, second.shape[1],
        first.data, depthwise_bias, second.data, bias,
        clamp(depthwise_activation, "depthwise_activation"), clamp(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, second.shape[0])


def global_average_pool(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Mean over the pixels of a map: y[n, c] = (sum over h, w of x[n, h, w, c]) / (H * W).

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    out : ndarray of float32, optional
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, C) or (C,)

    Raises
    ------
    ValueError, TypeError
        For a wrong rank or dtype, or an empty map.
    """
    x, images = maps(x)
    if 0 in images.shape[1:3]:
        raise ValueError(f"x must have at least one pixel, got shape {x.shape}")
    y = output_map(x, (images.shape[3],), out)
    step = steps.global_average(dispatch.kernels, images.shape[1:])
    return _run(step, images, y, few_threads(images))


def dense(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Fully connected layer: y[n, o] = bias[o] + sum over c of x[n, c] * weight[c, o].

    Parameters
    ----------
    x : ndarray of float32, (N, Cin) or (Cin,)
    weight : ndarray of float32, (Cin, Cout), or PackedWeight of kind "dense"
    bias : ndarray of float32, (Cout,), optional
    activation, threads, out
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, Cout) or (Cout,)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x = float32(x, "x")
    if x.ndim not in (1, 2):
        raise ValueError(f"x must be (N, Cin) or (Cin,), got shape {x.shape}")
    packed = packed_weight(weight, "dense")
    if x.shape[-1] != packed.shape[0]:
        raise ValueError(
            f"x has {x.shape[-1]} channels, weight {packed.shape} takes {packed.shape[0]}"
        )
    channels = packed.shape[1]
    bias = optional_vector(bias, "bias", channels)
    y = result(x, (*x.shape[:-1], channels), out)
    rows = contiguous(x).reshape(-1, 1, 1, x.shape[-1])
    place = window((1, 1), 1)
    step = steps.conv2d(
        dispatch.kernels, rows.shape[1:], place, channels, 1, packed.data, bias,
        clamp(activation, "activation"),
    )  # fmt: skip
    return _run(step, rows, y, threads, packed.shape[0])


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(x) / sum of exp(x) along an axis, computed from x - max(x) so that it cannot overflow.

    Parameters
    ----------
    x : ndarray of float32
    axis : int

    Returns
    -------
    ndarray of float32, of the shape of x

    Raises
    ------
    TypeError, ValueError
        For another dtype, or an axis that x does not have.
    """
    x = float32(x, "x")
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, got {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be within the {x.ndim} axes of x, got {axis}")
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):  # inf and NaN take their course
        powers = np.exp(x - x.max(axis=axis, keepdims=True))
        return powers / powers.sum(axis=axis, keepdims=True)


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float,
    activation: Activation = None,
) -> np.ndarray:
    """Batch norm with fixed statistics: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Computed as y = x * factor + shift, with factor and shift taken from double precision.

    Parameters
    ----------
    x : ndarray of float32, (..., C)
    gamma, beta, mean, variance : ndarray of float32, (C,)
    epsilon : float
        Added to the variance; there is no default, because checkpoints differ in it.
    activation : None, "relu", "relu6" or (low, high)

    Returns
    -------
    ndarray of float32, of the shape of x

    Raises
    ------
    ValueError, TypeError
        For wrong shapes or dtypes, or where variance + epsilon is not positive.
    """
    x = float32(x, "x")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must be (..., C) with at least one channel, got shape {x.shape}")
    channels = x.shape[-1]
    named = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    g, b, m, v = (vector(array, name, channels).astype(np.float64) for name, array in named.items())
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, np.floating)):
        raise TypeError(f"epsilon must be a number, got {epsilon!r}")
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be at least 0, got {epsilon}")
    if (v + epsilon <= 0).any():
        raise ValueError(f"variance + epsilon must be positive, got {(v + epsilon).min()}")
    factor = g / np.sqrt(v + epsilon)
    shift = b - m * factor
    rows = contiguous(x).reshape(-1, 1, 1, channels)
    y = np.empty(x.shape, np.float32)
    step = steps.scale(
        dispatch.kernels, rows.shape[1:], factor.astype(np.float32), shift.astype(np.float32),
        clamp(activation, "activation"),
    )  # fmt: skip
    return _run(step, rows, y, few_threads(x))


def add(
    a: np.ndarray,
    b: np.ndarray,
    *,
    activation: Activation = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Elementwise sum, y = a + b.

    Parameters
    ----------
    a, b : ndarray of float32, of one shape
    activation : None, "relu", "relu6" or (low, high)
    out : ndarray of float32, optional
        C-contiguous, of the same shape; it may be a or b itself.

    Returns
    -------
    ndarray of float32

    Raises
    ------
    ValueError, TypeError
        For different shapes, another dtype, or an `out` that overlaps an input without being it.
    """
    a, b = float32(a, "a"), float32(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one shape, got {a.shape} and {b.shape}")
    if out is None:
        out = np.empty(a.shape, np.float32)
    else:
        check_out(out, a.shape)
        for name, array in (("a", a), ("b", b)):
            same = array.ctypes.data == out.ctypes.data and array.flags.c_contiguous
            if not same and np.may_share_memory(array, out):
                raise ValueError(f"out overlaps {name} without being the same array")
    a, b = contiguous(a), contiguous(b)
    step = steps.add(dispatch.kernels, (1, 1, 1), clamp(activation, "activation"))
    program = dispatch.kernels.Program([step], (1, 1), (1,))
    program.run((a, b, out), a.size, few_threads(a))
    return out


def _run(
    step: Any, x: np.ndarray, y: np.ndarray, threads: int | None, terms: int = 1
) -> np.ndarray:
    """Run one step on the images of x, the first axis, into y: sums of `terms` products each.

    By default what takes one thread less than about 20 microseconds runs on one thread.
    """
    number = threads_or_default(threads)
    if threads is None and y.size * terms < 1 << 20:
        number = 1
    if images := len(x):
        sizes = (x.size // images,), (y.size // images,)
        dispatch.kernels.Program([step], *sizes).run((x, y), images, number)
    return y
