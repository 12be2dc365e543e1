"""Steps for the kernels: checked shapes and packed weights become what src/program.pxi runs.

A place is (slot, offset): slot 0 is the program's arena, slot i the i-th array of the call.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from dsconv._geometry import Window
from dsconv.packing import pack_bias

Bounds = tuple[float, float]
Place = tuple[int, int]
UNBOUNDED: Bounds = (-math.inf, math.inf)


def _geometry(
    shape: tuple[int, int, int],
    output: tuple[int, int, int],
    window: Window | None = None,
    groups: int = 1,
    multiplier: int = 1,
    bounds: Bounds = UNBOUNDED,
    mid_bounds: Bounds = UNBOUNDED,
) -> dict[str, Any]:
    """The fields of struct Geometry (src/step.pxi); the number of images is set at every run."""
    kernel = window.kernel if window else (1, 1)
    stride = window.stride if window else (1, 1)
    dilation = window.dilation if window else (1, 1)
    pad = window.pad if window else ((0, 0), (0, 0))
    return {
        "n": 1, "h": shape[0], "w": shape[1], "c": shape[2],
        "oh": output[0], "ow": output[1], "oc": output[2],
        "kh": kernel[0], "kw": kernel[1], "sh": stride[0], "sw": stride[1],
        "dh": dilation[0], "dw": dilation[1], "top": pad[0][0], "left": pad[1][0],
        "padded": int(any(pad[0]) or any(pad[1])), "groups": groups, "multiplier": multiplier,
        "low": bounds[0], "high": bounds[1], "mid_low": mid_bounds[0], "mid_high": mid_bounds[1],
    }  # fmt: skip


def conv2d(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, channels: int, groups: int,
    weight: np.ndarray, bias: np.ndarray | None, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0), residual: Place | None = None,
) -> Any:  # fmt: skip
    """Standard convolution: pointwise where the kernel is 1x1, depthwise with C groups."""
    output = (*window.output, channels)
    if groups > 1 and groups == shape[2]:
        return depthwise(
            kernels, shape, window, channels // groups, weight, bias, bounds, x, y
        )
    geometry = _geometry(shape, output, window, groups, bounds=bounds)
    pointwise = window.kernel == (1, 1) and groups == 1 and not geometry["padded"]
    return kernels.Step(
        "pointwise" if pointwise else "standard", geometry, x, y, residual,
        weight, pack_bias(bias, channels, groups, kernels.lanes),
    )  # fmt: skip


def depthwise(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, multiplier: int,
    weight: np.ndarray, bias: np.ndarray | None, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0),
) -> Any:  # fmt: skip
    """Depthwise convolution with C * multiplier output channels."""
    channels = shape[2] * multiplier
    geometry = _geometry(
        shape, (*window.output, channels), window, multiplier=multiplier, bounds=bounds
    )
    return kernels.Step(
        "depthwise", geometry, x, y, None, weight, pack_bias(bias, channels, 1, kernels.block)
    )


def separable(
    kernels: ModuleType, shape: tuple[int, int, int], window: Window, multiplier: int,
    channels: int, depthwise_weight: np.ndarray, depthwise_bias: np.ndarray | None,
    weight: np.ndarray, bias: np.ndarray | None,
    mid_bounds: Bounds = UNBOUNDED, bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0), residual: Place | None = None,
) -> Any:  # fmt: skip
    """Depthwise and pointwise convolution in one pass."""
    geometry = _geometry(
        shape, (*window.output, channels), window, multiplier=multiplier,
        bounds=bounds, mid_bounds=mid_bounds,
    )  # fmt: skip
    return kernels.Step(
        "separable", geometry, x, y, residual,
        weight, pack_bias(bias, channels, 1, kernels.lanes),
        depthwise_weight, pack_bias(depthwise_bias, shape[2] * multiplier, 1, kernels.block),
    )  # fmt: skip


def average(
    kernels: ModuleType, shape: tuple[int, int, int], x: Place = (1, 0), y: Place = (2, 0)
) -> Any:
    """Global average pool."""
    return kernels.Step("average", _geometry(shape, (1, 1, shape[2])), x, y)


def add(
    kernels: ModuleType, shape: tuple[int, int, int], bounds: Bounds = UNBOUNDED,
    x: Place = (1, 0), y: Place = (2, 0), residual: Place = (3, 0),
) -> Any:  # fmt: skip
    """Elementwise sum of x and residual."""
    return kernels.Step("add", _geometry(shape, shape, bounds=bounds), x, y, residual)


def scale(
    kernels: ModuleType, shape: tuple[int, int, int], factor: np.ndarray, shift: np.ndarray,
    bounds: Bounds = UNBOUNDED, x: Place = (1, 0), y: Place = (2, 0),
) -> Any:  # fmt: skip
    """x * factor + shift, per channel."""
    return kernels.Step(
        "scale", _geometry(shape, shape, bounds=bounds), x, y, None,
        pack_bias(factor, shape[2], 1, kernels.lanes), pack_bias(shift, shape[2], 1, kernels.lanes),
    )  # fmt: skip
