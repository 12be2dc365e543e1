"""Multiply channels by a matrix: at every pixel of a map, or for vectors."""

from __future__ import annotations

import numpy as np

from dsconv.arguments.arrays import contiguous, float32
from dsconv.arguments.numbers import Pair
from dsconv.arguments.window import every_pixel
from dsconv.functional.arguments import (
    Activation,
    Weight,
    convolution,
    maps,
    packed_weight,
    same_channels,
)
from dsconv.functional.results import convolve, result


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
    """Compute a pointwise (1x1) convolution.

    y[n, q, r, o] = bias[o] + sum over c of x[n, q * stride, r * stride, c] * weight[c, o]

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
    x, batch = maps(x)
    packed = packed_weight(weight, "pointwise")
    depth, channels = packed.shape
    same_channels(batch, depth, "weight", packed.shape)
    place = every_pixel(batch.shape[1:3], stride)
    y = result(x, (*x.shape[:-3], *place.output, channels), out)
    return convolve(batch, y, place, threads, convolution(packed, bias, activation))


def dense(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Compute a fully connected layer: y[n, o] = bias[o] + sum over c of x[n, c] * weight[c, o].

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
    depth, channels = packed.shape
    if x.shape[-1] != depth:
        raise ValueError(f"x has {x.shape[-1]} channels, weight {packed.shape} takes {depth}")
    y = result(x, (*x.shape[:-1], channels), out)
    pixels = contiguous(x).reshape(-1, 1, 1, depth)
    last = convolution(packed, bias, activation)
    return convolve(pixels, y, every_pixel((1, 1)), threads, last)
