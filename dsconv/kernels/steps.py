"""Describe steps as the kernels take them (src/frame/step.pxi), out of checked shapes.

A place is (array, offset): array 0 is the program's arena, array i the i-th of the call.
"""

from __future__ import annotations

import math
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
    values: dict[str, Any] = {
        "h": shape[0], "w": shape[1], "c": shape[2],
        "oh": output[0], "ow": output[1], "oc": output[2],
        "low": bounds[0], "high": bounds[1],
    }  # fmt: skip
    if window:
        (values["kh"], values["kw"]), (values["sh"], values["sw"]) = window.kernel, window.stride
        (values["dh"], values["dw"]), (rows, columns) = window.dilation, window.pad
        (values["top"], values["bottom"]), (values["left"], values["right"]) = rows, columns
    values.update(fields)
    return values


def convolution_step(
    window: Window, *chain: tuple[Packing, Bounds], tile: int = 0
) -> tuple[str, Map, dict[str, Any]]:
    """Return op, output and further geometry of the step that runs one to three convolutions.

    `chain` has the weight and the clamp of each: any one, (depthwise, pointwise), or (pointwise,
    depthwise, pointwise). `window` is that of the depthwise one, or of the only one. With a `tile`
    the only one runs by Winograd's algorithm.
    """
    fields: dict[str, Any] = {}
    for stage, (packing, bounds) in zip(STAGES, reversed(chain), strict=False):
        fields[f"{stage}low"], fields[f"{stage}high"] = bounds
        if packing.form == "blocks":
            fields["multiplier"] = packing.shape[3]
    first, last = chain[0][0], chain[-1][0]
    if len(chain) == 3:
        op, fields["hidden"] = "inverted_residual", first.matrix[1]
    elif first.form == "blocks":
        op = "depthwise" if len(chain) == 1 else "separable"
    elif tile:
        op, fields["tile"] = "winograd", tile
    elif window.kernel == (1, 1) and last.groups == 1 and window.pad == ((0, 0), (0, 0)):
        op = "pointwise"
    else:
        op, fields["groups"] = "standard", last.groups
    return op, (*window.output, last.matrix[1]), fields
