"""Make steps for the kernels out of checked shapes and packed weights; src/program.pxi runs them.

A place is (array, offset): array 0 is the program's arena, array i the i-th of the call.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dsconv.arguments.window import Window
from dsconv.kernels.packing import PackedWeight, pack_bias, runs_as

Bounds = tuple[float, float]
Place = tuple[int, int]
Map = tuple[int, int, int]  # height, width, channels
UNBOUNDED: Bounds = (-math.inf, math.inf)

_MAPS = ("h", "w", "c", "oh", "ow", "oc", "low", "high")
_WINDOW = ("kh", "kw", "sh", "sw", "dh", "dw", "top", "bottom", "left", "right")


class Convolution(NamedTuple):
    """Hold what one convolution multiplies with, adds and clamps to."""

    weight: PackedWeight
    bias: np.ndarray | None = None
    bounds: Bounds = UNBOUNDED


def geometry(
    shape: Map,
    output: Map,
    window: Window | None = None,
    bounds: Bounds = UNBOUNDED,
    **fields: Any,
) -> dict[str, Any]:
    """Return fields of struct Geometry (src/step.pxi); each run sets the number of images."""
    values: dict[str, Any] = dict(zip(_MAPS, (*shape, *output, *bounds), strict=True))
    if window:
        kernel, stride, dilation, (rows, columns), _ = window
        values |= zip(_WINDOW, (*kernel, *stride, *dilation, *rows, *columns), strict=True)
    return values | fields


def convolve(
    kernels: ModuleType,
    shape: Map,
    window: Window,
    *chain: Convolution,
    x: Place = (1, 0),
    y: Place = (2, 0),
    residual: Place | None = None,
) -> Any:
    """Return the step that runs one to three convolutions in one pass.

    `chain` is any one, (depthwise, pointwise), or (pointwise, depthwise, pointwise). `window` is
    that of the depthwise one, or of the only one. `residual` is added before the last clamp.
    """
    fields, weights = {}, {}
    for convolution, prefix in zip(reversed(chain), ("", "mid_", "in_"), strict=False):
        weight = convolution.weight
        kind, sizes, groups = runs_as(weight.kind, weight.shape, weight.groups)
        channels = math.prod(sizes[2:]) if kind == "depthwise" else sizes[-1]
        width = kernels.block if kind == "depthwise" else kernels.lanes
        weights[f"{prefix}weight"] = weight.data
        weights[f"{prefix}bias"] = pack_bias(convolution.bias, channels, groups, width)
        fields[f"{prefix}low"], fields[f"{prefix}high"] = convolution.bounds
        if prefix == "":
            op, output, fields["groups"] = kind, (*window.output, channels), groups
        if kind == "depthwise":
            fields["multiplier"] = sizes[3]
        elif kind == "winograd":
            fields["tile"] = sizes[0] - 2
        elif prefix == "in_":
            fields["hidden"] = channels
    if len(chain) > 1:
        op = "separable" if len(chain) == 2 else "inverted_residual"
    elif op not in ("depthwise", "winograd"):
        plain = window.kernel == (1, 1) and groups == 1 and window.pad == ((0, 0), (0, 0))
        op = "pointwise" if plain else "standard"
    return kernels.Step(op, geometry(shape, output, window, **fields), x, y, residual, weights)


def scale(
    kernels: ModuleType, shape: Map, factor: np.ndarray, shift: np.ndarray,
    bounds: Bounds = UNBOUNDED, x: Place = (1, 0), y: Place = (2, 0),
) -> Any:  # fmt: skip
    """Return the step of x * factor + shift, per channel."""
    weights = {
        "weight": pack_bias(factor, shape[2], 1, kernels.lanes),
        "bias": pack_bias(shift, shape[2], 1, kernels.lanes),
    }
    return kernels.Step("scale", geometry(shape, shape, bounds=bounds), x, y, None, weights)
