"""Convolve with windows of several taps: standard, grouped and depthwise.

Activations are NHWC float32, a batch (N, H, W, C) or one image (H, W, C); the result has the same
rank. Every operation with weights computes each output element as one chain of sums in a fixed
order: bias, then taps row by row, then input channels ascending. So the bits of a result do not
depend on threads, batch size or tiles.
"""

from __future__ import annotations

import numpy as np

from dsconv.arguments.numbers import Pair, integer
from dsconv.arguments.window import Padding, window
from dsconv.functional.arguments import (
    Activation,
    Weight,
    convolution,
    maps,
    packed_weight,
    same_channels,
)
from dsconv.functional.results import convolve, result


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
    """Compute a standard two-dimensional convolution (a cross-correlation, as in every network).

    y[n, q, r, o] = bias[o] + sum over i, j, c of
    x[n, q * stride + i * dilation - top, r * stride + j * dilation - left, c] * weight[i, j, c, o]

    with zeros outside of x. With groups, output channels of group g see input channels of group g.

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
        If ranks, channels or shapes are wrong, numbers are out of range, or the output is empty.
    TypeError
        If an array is not float32.
    """
    x, batch = maps(x)
    packed = packed_weight(weight, "conv2d", integer(groups, "groups"))
    kh, kw, group_in, channels = packed.shape
    if group_in * groups != batch.shape[3]:
        raise ValueError(
            f"x has {batch.shape[3]} channels, weight {packed.shape} with groups={groups} takes "
            f"{group_in * groups} (its third axis times groups)"
        )
    place = window(batch.shape[1:3], (kh, kw), stride, padding, dilation)
    y = result(x, (*x.shape[:-3], *place.output, channels), out)
    return convolve(batch, y, place, threads, convolution(packed, bias, activation))


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
    """Filter each channel on its own: a depthwise convolution (MobileNetV1, section 3.1).

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
    x, batch = maps(x)
    packed = packed_weight(weight, "depthwise")
    kh, kw, channels, multiplier = packed.shape
    same_channels(batch, channels, "weight", packed.shape)
    place = window(batch.shape[1:3], (kh, kw), stride, padding, dilation)
    y = result(x, (*x.shape[:-3], *place.output, channels * multiplier), out)
    return convolve(batch, y, place, threads, convolution(packed, bias, activation))
