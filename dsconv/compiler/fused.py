"""Fused: the layer kind that the compiler adds, a chain of stages that one kernel runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dsconv.layers import Conv2D, Dense, DepthwiseConv2D, Layer, Shape
from dsconv.network.structure import LARGEST

Weighted = Conv2D | DepthwiseConv2D | Dense


class Stage(NamedTuple):
    """A layer with weights, and the batch norm that is folded into them."""

    name: str  # of the layer in the graph that is compiled: its weights have this name
    layer: Weighted
    norm: str | None = None  # name of the batch norm
    epsilon: float = 0.0  # of the batch norm


@dataclass(frozen=True)
class Fused(Layer):
    """One to three stages, each fed by the one before, and an optional addition.

        [dense]   [convolution]   [depthwise]   [depthwise, pointwise]
        [pointwise, depthwise, pointwise]                 (the inverted residual of MobileNetV2)

    With `residual` there is a second input, which is added to the last stage before its clip. Only
    the passes make such layers, and they join only what one kernel runs.
    """

    stages: tuple[Stage, ...]
    residual: bool = False

    kind = "fused"

    @property
    def label(self) -> str:
        parts = [stage.layer.label for stage in self.stages] + ["add"] * self.residual
        return " + ".join(parts)

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    def shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the input shape of every stage, and the output shape at the end."""
        chain = [shapes[0]]
        for stage in self.stages:
            chain += stage.layer.infer([chain[-1]])
        return chain

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        chain = self.shapes(shapes)
        for shape in chain:  # the graph checks those that it sees
            if math.prod(shape) > LARGEST:
                raise ValueError(f"the map {shape} between stages has more than {LARGEST} values")
        return [chain[-1]]

    def mult_adds(self, shapes: Sequence[Shape]) -> int:
        return sum(
            stage.layer.mult_adds([shape])
            for stage, shape in zip(self.stages, self.shapes(shapes), strict=False)
        )

    def weights(self, shapes: Sequence[Shape]) -> int:
        """Return the number of kernel weights of all stages, without biases."""
        chain = zip(self.stages, self.shapes(shapes), strict=False)
        return sum(math.prod(stage.layer.parameters([shape])["weight"]) for stage, shape in chain)

    def with_clip(self, clip: tuple[float, float] | None) -> Fused:
        """Return a copy that clips its result."""
        last = self.last._replace(layer=replace(self.last.layer, clip=clip))
        return Fused((*self.stages[:-1], last), self.residual)


def wrap(name: str, layer: Weighted) -> Fused:
    """Return a layer with weights as a chain of one stage."""
    return Fused((Stage(name, layer),))


def is_pointwise(layer: Layer) -> bool:
    """Return True for a plain 1x1 convolution without padding or groups, at stride 1."""
    return (
        isinstance(layer, Conv2D)
        and layer.kernel == (1, 1)
        and layer.groups == 1
        and layer.stride == (1, 1)
        and layer.padding in ("same", "valid", ((0, 0), (0, 0)))
    )
