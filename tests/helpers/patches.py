"""Convolutions as patches times a matrix, in NumPy: a second reference, quick enough for real shapes.

The taps of an output pixel come in the order in which the kernels sum them: kernel rows, kernel
columns, input channels. Taps outside of the map are zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from calls import INF, Call

from dsconv.arguments.window import Window, window

BOUNDS = {None: (-INF, INF), "relu": (0.0, INF), "relu6": (0.0, 6.0)}


def product(p: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Sum products in float64."""
    return p.astype(np.float64) @ weight.astype(np.float64) + bias


def convolve(call: Call, combine: Callable[..., np.ndarray] = product) -> np.ndarray:
    """Compute a call of any convolution or dense layer but the separable one.

    `combine` gets patches (G, P, T), weights (G, T, O/G) and bias (G, 1, O/G), for G groups, P
    pixels, T taps and O output channels, and returns (G, P, O/G).
    """
    x, weight, groups, place = _as_conv2d(call)
    kh, kw, depth, filters = weight.shape
    p = _patches(x, place).reshape(-1, kh * kw, groups, depth)
    p = p.transpose(2, 0, 1, 3).reshape(groups, -1, kh * kw * depth)
    matrix = weight.reshape(-1, groups, filters // groups).transpose(1, 0, 2)
    bias = call.arrays["bias"]
    bias = np.zeros(filters, np.float32) if bias is None else bias
    y = combine(p, matrix, bias.reshape(groups, 1, -1)).transpose(1, 0, 2)
    y = np.clip(y, *bounds(call.options["activation"])).reshape(len(x), *place.output, filters)
    if call.operation == "dense":
        y = y[:, 0, 0]
    return y if len(y.shape) == call.arrays["x"].ndim else y[0]


def bounds(activation: Any) -> tuple[float, float]:
    """Return an activation as the clamp (low, high)."""
    return activation if isinstance(activation, tuple) else BOUNDS[activation]


def _as_conv2d(call: Call) -> tuple[np.ndarray, np.ndarray, int, Window]:
    """Return x (N, H, W, C), weight (KH, KW, C/G, O), groups G and window."""
    x, weight = call.arrays["x"], call.arrays["weight"]
    groups = call.options.get("groups", 1)
    if call.operation == "depthwise_conv2d":
        groups = weight.shape[2]
        weight = weight.reshape(*weight.shape[:2], 1, -1)
    if weight.ndim == 2:
        weight = weight[np.newaxis, np.newaxis]
    if call.operation == "dense":
        x = x.reshape(-1, 1, 1, x.shape[-1])
    x = x if x.ndim == 4 else x[np.newaxis]
    options = {k: v for k, v in call.options.items() if k in ("stride", "padding", "dilation")}
    return x, weight, groups, window(x.shape[1:3], weight.shape[:2], **options)


def _patches(x: np.ndarray, w: Window) -> np.ndarray:
    """Cut patches: (N, H, W, C) -> (N, H', W', KH, KW, C)."""
    padded = np.pad(x, [(0, 0), *w.pad, (0, 0)])
    rows, columns = (
        np.arange(w.output[i])[:, None] * w.stride[i] + np.arange(w.kernel[i]) * w.dilation[i]
        for i in (0, 1)
    )
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]
