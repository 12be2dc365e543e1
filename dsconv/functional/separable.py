"""Run a depthwise and a pointwise convolution in one pass."""

from __future__ import annotations

import numpy as np

from dsconv.arguments.numbers import Pair
from dsconv.arguments.window import Padding, every_pixel, window
from dsconv.functional.arguments import (
    Activation,
    Weight,
    convolution,
    maps,
    packed_weight,
    same_channels,
)
from dsconv.functional.results import convolve, result


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
    """Compute a depthwise separable convolution in one pass (MobileNetV1, section 3.1).

    The bits are those of `pointwise_conv2d(depthwise_conv2d(x, ...), ...)`, but the output between
    them is never stored whole: a strip of it at a time stays in the cache.

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
    x, batch = maps(x)
    first = packed_weight(depthwise_weight, "depthwise", name="depthwise_weight")
    second = packed_weight(pointwise_weight, "pointwise", name="pointwise_weight")
    kh, kw, channels, multiplier = first.shape
    depth, outputs = second.shape
    same_channels(batch, channels, "depthwise_weight", first.shape)
    if depth != channels * multiplier:
        raise ValueError(
            f"pointwise_weight must take the {channels * multiplier} channels that "
            f"depthwise_weight {first.shape} gives, got shape {second.shape}"
        )
    place = window(batch.shape[1:3], (kh, kw), stride, padding, dilation)
    y = result(x, (*x.shape[:-3], *place.output, outputs), out)
    middle = convolution(first, depthwise_bias, depthwise_activation, "depthwise_")
    last = convolution(second, bias, activation)
    if channels > 1:
        return convolve(batch, y, place, threads, middle, last)
    # With one channel the first is no depthwise convolution for the kernels: see packing_of.
    between = np.empty((len(batch), *place.output, multiplier), np.float32)
    convolve(batch, between, place, threads, middle)
    return convolve(between, y, every_pixel(place.output), threads, last)
