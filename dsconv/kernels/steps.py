"""Make steps for the kernels out of checked shapes and packed weights; src/frame/program.pxi runs them.

A place is (array, offset): array 0 is the program's arena, array i the i-th of the call.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dsconv.arguments.window import Window
from dsconv.kernels.packed_weight import PackedWeight, packing_of
from dsconv.kernels.packing import Packing, Widths, weights_of

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
    """Return fields of struct Geometry (src/frame/geometry.pxi); each run sets the number of images."""
    values: dict[str, Any] = dict(zip(_MAPS, (*shape, *output, *bounds), strict=True))
    if window:
        kernel, stride, dilation, (rows, columns), _ = window
        values |= zip(_WINDOW, (*kernel, *stride, *dilation, *rows, *columns), strict=True)
    return values | fields


def convolution_step(
    window: Window, *chain: tuple[Packing, Bounds], tile: int = 0
) -> tuple[str, Map, dict[str, Any]]:
    """Return op, output and further geometry of the step that runs one to three convolutions.

    `chain` has the weight and the clamp of each: any one, (depthwise, pointwise), or (pointwise,
    depthwise, pointwise). `window` is that of the depthwise one, or of the only one. With a `tile`
    the only one runs by Winograd's algorithm.
    """
    fields: dict[str, Any] = {}
    for (packing, bounds), prefix in zip(reversed(chain), ("", "mid_", "in_"), strict=False):
        fields[f"{prefix}low"], fields[f"{prefix}high"] = bounds
        if packing.form == "blocks":
            fields["multiplier"] = packing.shape[3]
        elif prefix == "in_":
            fields["hidden"] = packing.shape[-1]
    last = chain[-1][0]
    channels = math.prod(last.shape[2:]) if last.form == "blocks" else last.shape[-1]
    if len(chain) > 1:
        op = "separable" if len(chain) == 2 else "inverted_residual"
    elif last.form == "blocks":
        op = "depthwise"
    elif tile:
        op, fields["tile"] = "winograd", tile
    elif window.kernel == (1, 1) and last.groups == 1 and window.pad == ((0, 0), (0, 0)):
        op = "pointwise"
    else:
        op, fields["groups"] = "standard", last.groups
    return op, (*window.output, channels), fields


def convolve(kernels: ModuleType, shape: Map, window: Window, *chain: Convolution) -> Any:
    """Return the step that runs one to three convolutions in one pass, from array 1 to array 2."""
    op, output, fields = convolution_step(
        window,
        *((packing_of(c.weight.kind, c.weight.shape, c.weight.groups), c.bounds) for c in chain),
    )
    numbers = geometry(shape, output, window, **fields)
    packings, widths = weights_of(op, kernels.GEOMETRY | numbers), Widths.of(kernels)
    weights = {}
    for convolution, prefix in zip(reversed(chain), ("", "mid_", "in_"), strict=False):
        weights[f"{prefix}weight"] = convolution.weight.data
        weights[f"{prefix}bias"] = packings[f"{prefix}bias"].packed(convolution.bias, widths)
    return kernels.Step(op, numbers, (1, 0), (2, 0), None, weights)


def scale(
    kernels: ModuleType, shape: Map, factor: np.ndarray, shift: np.ndarray, bounds: Bounds
) -> Any:
    """Return the step of x * factor + shift, per channel, from array 1 to array 2."""
    packing, widths = Packing("vector", (shape[2],)), Widths.of(kernels)
    weights = {"weight": packing.packed(factor, widths), "bias": packing.packed(shift, widths)}
    return kernels.Step(
        "scale", geometry(shape, shape, bounds=bounds), (1, 0), (2, 0), None, weights
    )
