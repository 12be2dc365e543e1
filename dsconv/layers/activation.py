"""Activations: the output has the shape of the input."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dsconv.layers.base import (
    Elementwise,
    Shape,
    any_integer,
    axis_index,
    bounds,
    layer_kind,
    number,
    one,
)


@layer_kind
class Clip(Elementwise):
    """min(max(x, low), high): ReLU is (0, inf), ReLU6 is (0, 6)."""

    low: float
    high: float

    kind = "clip"

    def __post_init__(self) -> None:
        self.low, self.high = bounds((self.low, self.high), "(low, high)")

    @property
    def label(self) -> str:
        return {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}.get((self.low, self.high), "clip")


@layer_kind
class LeakyReLU(Elementwise):
    """x for x >= 0, slope * x below."""

    slope: float = 0.1

    kind = "leaky_relu"

    def __post_init__(self) -> None:
        self.slope = number(self.slope, "slope")


class HardSigmoid(Elementwise):
    """min(max(x + 3, 0), 6) / 6, as MobileNetV3 defines it."""

    kind = "hard_sigmoid"


class HardSwish(Elementwise):
    """x * min(max(x + 3, 0), 6) / 6, as MobileNetV3 defines it."""

    kind = "hard_swish"


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    kind = "sigmoid"


@layer_kind
class Softmax(Elementwise):
    """exp(x) / sum of exp(x) over `axis`, which counts without the batch (0 is the height)."""

    axis: int = -1

    kind = "softmax"

    def __post_init__(self) -> None:
        self.axis = any_integer(self.axis, "axis")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        axis_index(self.axis, one(shapes))
        return super().infer(shapes)
