"""Describe steps as the kernels take them (src/frame/step.pxi), out of checked shapes.

A place is (array, offset): array 0 is the program's arena, array i the i-th of the call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dsconv.arguments.window import Window
from dsconv.kernels.packing import STAGES, Packing

Bounds = tuple[float, float]
Map = tuple[int, int, int]  # height, width, channels
UNBOUNDED: Bounds = (-math.inf, math.inf)


def geometry(
    shape: Map,
    output: Map,
    window: Window | None = None,
    bounds: Bounds = UNBOUNDED,
    **fields: Any,
) -> dict[str, Any]:
    """Return fields of struct Geometry (src/frame/geometry.pxi); a run sets the images."""
    fields["h"], fields["w"], fields["c"] = shape
    fields["oh"], fields["ow"], fields["oc"] = output
    if bounds is not UNBOUNDED:
        fields["low"], fields["high"] = bounds
    if window:
        (kernel, stride, dilation, (rows, columns), _) = window
        fields["kh"], fields["kw"] = kernel
        fields["sh"], fields["sw"] = stride
        fields["dh"], fields["dw"] = dilation
        fields["top"], fields["bottom"] = rows
        fields["left"], fields["right"] = columns
    return fields


def convolution_step(
    window: Window, stages: Sequence[tuple[Packing, Bounds]], tile: int = 0
) -> tuple[str, Map, dict[str, Any]]:
    """Return op, output and further geometry of the step that runs one to three convolutions.

    `stages` has the weight and the clamp of each, from the last on: any one, (pointwise,
    depthwise), or (pointwise, depthwise, pointwise). `window` is that of the depthwise one, or of
    the only one. With a `tile` the only one runs by Winograd's algorithm.
    """
    fields: dict[str, Any] = {}
    for prefix, (packing, bounds) in zip(STAGES, stages, strict=False):
        fields[prefix + "low"], fields[prefix + "high"] = bounds
        if packing.depthwise:
            fields["multiplier"] = packing.shape[3]
    last, first = stages[0][0], stages[-1][0]
    if len(stages) == 3:
        op, fields["hidden"] = "inverted_residual", first.matrix[1]
    elif first.depthwise:
        op = "depthwise" if len(stages) == 1 else "separable"
    elif tile:
        op, fields["tile"] = "winograd", tile
    elif window.kernel == (1, 1) and last.groups == 1 and window.pad == ((0, 0), (0, 0)):
        op = "pointwise"
    else:
        op, fields["groups"] = "standard", last.groups
    return op, (*window.output, last.matrix[1]), fields
