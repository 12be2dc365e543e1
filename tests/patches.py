"""Convolutions as patches times a matrix, in NumPy: a second reference, quick enough for real shapes.

`patches` lists the taps of every output pixel in the order in which the kernels sum them: kernel
rows, kernel columns, input channels. Taps outside of the map are zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from calls import Call, both, sides

from dsconv._geometry import Window, window


def place(call: Call) -> Window:
    """Window of a convolution's call."""
    options = {"padding": "valid" if call.operation in ("dense", "pointwise_conv2d") else "same"}
    options |= {k: call.options[k] for k in ("stride", "padding", "dilation") if k in call.options}
    kernel = next(a for name, a in call.arrays.items() if name.endswith("weight")).shape
    return window(call.arrays["x"].shape[-3:-1], kernel[:2] if len(kernel) == 4 else 1, **options)


def patches(x: np.ndarray, w: Window) -> np.ndarray:
    """(N, H, W, C) -> (N, H', W', KH, KW, C)."""
    padded = np.pad(x, [(0, 0), *w.pad, (0, 0)])
    rows, columns = (
        np.arange(w.output[i])[:, None] * w.stride[i] + np.arange(w.kernel[i]) * w.dilation[i]
        for i in (0, 1)
    )
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]


def taps(x: np.ndarray, weight: np.ndarray, w: Window, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches (G, P, T) and weights (G, T, O/G) of a convolution; their product is (G, P, O/G)."""
    kh, kw, depth, filters = weight.shape
    p = patches(x, w).reshape(-1, kh * kw, groups, depth)
    p = p.transpose(2, 0, 1, 3).reshape(groups, -1, kh * kw * depth)
    return p, weight.reshape(-1, groups, filters // groups).transpose(1, 0, 2)


def as_conv2d(call: Call) -> tuple[np.ndarray, np.ndarray, Any, Window, int]:
    """x (N, H, W, C), weight (KH, KW, C/G, O), bias, window and groups of any call but separable."""
    x, weight, bias = (call.arrays[name] for name in ("x", "weight", "bias"))
    groups = call.options.get("groups", 1)
    if call.operation == "depthwise_conv2d":
        groups = weight.shape[2]
        weight = weight.reshape(*weight.shape[:2], 1, -1)
    if weight.ndim == 2:
        weight = weight[np.newaxis, np.newaxis]
    if call.operation == "dense":
        x = x[..., np.newaxis, np.newaxis, :]
    return x if x.ndim == 4 else x[np.newaxis], weight, bias, place(call), groups
