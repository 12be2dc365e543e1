"""Describe activations: the output has the shape of the input."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dsconv.arguments.numbers import bounds
from dsconv.layers.base import Axis, Elementwise, Finite, Shape, axis_index, one


@dataclass(frozen=True)
class Clip(Elementwise):
    """Clamp x to min(max(x, low), high): ReLU is (0, inf), ReLU6 is (0, 6)."""

    low: float
    high: float

    kind = "clip"

    def __post_init__(self) -> None:
        low, high = bounds((self.low, self.high), "(low, high)")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def label(self) -> str:
        return {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}.get((self.low, self.high), "clip")


@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """Return x for x >= 0, slope * x below."""

    slope: Finite = 0.1

    kind = "leaky_relu"


@dataclass(frozen=True)
class HardSigmoid(Elementwise):
    """Return min(max(x + 3, 0), 6) / 6, as MobileNetV3 defines it."""

    kind = "hard_sigmoid"


@dataclass(frozen=True)
class HardSwish(Elementwise):
    """Return x * min(max(x + 3, 0), 6) / 6, as MobileNetV3 defines it."""

    kind = "hard_swish"


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """Return 1 / (1 + exp(-x))."""

    kind = "sigmoid"


@dataclass(frozen=True)
class Softmax(Elementwise):
    """Return exp(x) / sum of exp(x) over `axis`; axes count without the batch."""

    axis: Axis = -1

    kind = "softmax"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        axis_index(self.axis, one(shapes))
        return super().infer(shapes)
