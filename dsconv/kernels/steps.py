"""Steps for the kernels: checked shapes and packed weights become what src/program.pxi runs.

A place is (slot, offset): slot 0 is the program's arena, slot i the i-th array of the call.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from dsconv.arguments.window import Window
from dsconv.kernels.packing import pack_bias

Bounds = tuple[float, float]
Place = tuple[int, int]
UNBOUNDED: Bounds = (-math.inf, math.inf)


def geometry(
    shape: tuple[int, int, int],
    output: tuple[int, int, int],
    window: Window | None = None,
    bounds: Bounds = UNBOUNDED,
    **fields: Any,
) -> dict[str, Any]:
    """Fields of struct Geometry (src/step.pxi); the number of images is set at every run."""
    values = {
        "h": shape[0], "w": shape[1], "c": shape[2],
        "oh": output[0], "ow": output[1], "oc": output[2],
        "low": bounds[0], "high": bounds[1],
    }  # fmt: skip
    if window:
        (values["kh"], values["kw"]), (values["sh"], values["sw"]) = window.kernel, window.stride
        (values["dh"], values["dw"]), (rows, columns) = window.dilation, window.pad
        (values["top"], values["bottom"]), (values["left"], values["right"]) = rows, columns
    return values | fields


def conv2d(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, channels: int, groups: int,
    weight: np.ndarray, bias: np.ndarray | None, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0), residual: Place | None = None, tile: int = 0,
) -> Any:  # fmt: skip
    """Standard convolution: pointwise where the kernel is 1x1, depthwise with C groups.

    With a `tile` by Winograd's algorithm, with a weight of that kind.
    """
    if groups > 1 and groups == shape[2]:
        multiplier = channels // groups
        return depthwise(kernels, shape, window, multiplier, weight, bias, bounds, x, y)
    fields = geometry(shape, (*window.output, channels), window, bounds, groups=groups, tile=tile)
    pointwise = window.kernel == (1, 1) and groups == 1 and window.pad == ((0, 0), (0, 0))
    weights = {"weight": weight, "bias": pack_bias(bias, channels, groups, kernels.lanes)}
    op = "winograd" if tile else "pointwise" if pointwise else "standard"
    return kernels.Step(op, fields, x, y, residual, weights)


def conv2d_op(
    window: Window, channels: int, filters: int, groups: int, tile: int = 0
) -> tuple[str, dict[str, int]]:
    """Return the op that computes a standard convolution, and its own fields of the geometry.

    One input channel in each group makes it a depthwise convolution, a 1x1 kernel without padding
    and groups a pointwise one. With a `tile` it runs by Winograd's algorithm.
    """
    if groups > 1 and groups == channels:
        return "depthwise", {"multiplier": filters // groups}
    if tile:
        return "winograd", {"tile": tile}
    if window.kernel == (1, 1) and groups == 1 and window.pad == ((0, 0), (0, 0)):
        return "pointwise", {}
    return "standard", {"groups": groups}


def depthwise(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, multiplier: int,
    weight: np.ndarray, bias: np.ndarray | None, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0),
) -> Any:  # fmt: skip
    """Depthwise convolution with C * multiplier output channels."""
    channels = shape[2] * multiplier
    fields = geometry(shape, (*window.output, channels), window, bounds, multiplier=multiplier)
    weights = {"weight": weight, "bias": pack_bias(bias, channels, 1, kernels.block)}
    return kernels.Step("depthwise", fields, x, y, None, weights)


def separable(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, multiplier: int,
    channels: int, depthwise_weight: np.ndarray, depthwise_bias: np.ndarray | None,
    weight: np.ndarray, bias: np.ndarray | None,
    mid_bounds: Bounds = UNBOUNDED, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0), residual: Place | None = None,
) -> Any:  # fmt: skip
    """Depthwise and pointwise convolution in one pass."""
    fields = geometry(
        shape, (*window.output, channels), window, bounds,
        multiplier=multiplier, mid_low=mid_bounds[0], mid_high=mid_bounds[1],
    )  # fmt: skip
    weights = {
        "weight": weight,
        "bias": pack_bias(bias, channels, 1, kernels.lanes),
        "mid_weight": depthwise_weight,
        "mid_bias": pack_bias(depthwise_bias, shape[2] * multiplier, 1, kernels.block),
    }
    return kernels.Step("separable", fields, x, y, residual, weights)


def global_average(
    kernels: ModuleType, shape: tuple[int, int, int], x: Place = (1, 0), y: Place = (2, 0)
) -> Any:
    """Mean over the pixels of a map."""
    return kernels.Step("global_average", geometry(shape, (1, 1, shape[2])), x, y)


def add(
    kernels: ModuleType, shape: tuple[int, int, int], bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (3, 0), residual: Place = (2, 0),
) -> Any:  # fmt: skip
    """Elementwise sum of x and residual."""
    return kernels.Step("add", geometry(shape, shape, bounds=bounds), x, y, residual)


def scale(
    kernels: ModuleType, shape: tuple[int, int, int], factor: np.ndarray, shift: np.ndarray,
    bounds: Bounds = UNBOUNDED, x: Place = (1, 0), y: Place = (2, 0),
) -> Any:  # fmt: skip
    """x * factor + shift, per channel."""
    weights = {
        "weight": pack_bias(factor, shape[2], 1, kernels.lanes),
        "bias": pack_bias(shift, shape[2], 1, kernels.lanes),
    }
    return kernels.Step("scale", geometry(shape, shape, bounds=bounds), x, y, None, weights)


def inverted_residual(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, hidden: int, channels: int,
    expand_weight: np.ndarray, expand_bias: np.ndarray | None,
    depthwise_weight: np.ndarray, depthwise_bias: np.ndarray | None,
    weight: np.ndarray, bias: np.ndarray | None,
    in_bounds: Bounds = UNBOUNDED, mid_bounds: Bounds = UNBOUNDED, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0), residual: Place | None = None,
) -> Any:  # fmt: skip
    """Expansion to `hidden` channels, depthwise and projection in one pass."""
    fields = geometry(
        shape, (*window.output, channels), window, bounds, hidden=hidden,
        mid_low=mid_bounds[0], mid_high=mid_bounds[1], in_low=in_bounds[0], in_high=in_bounds[1],
    )  # fmt: skip
    weights = {
        "weight": weight,
        "bias": pack_bias(bias, channels, 1, kernels.lanes),
        "mid_weight": depthwise_weight,
        "mid_bias": pack_bias(depthwise_bias, hidden, 1, kernels.block),
        "in_weight": expand_weight,
        "in_bias": pack_bias(expand_bias, hidden, 1, kernels.lanes),
    }
    return kernels.Step("inverted_residual", fields, x, y, residual, weights)
