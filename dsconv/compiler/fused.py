"""Fused: the one layer kind that the compiler adds, a chain of stages that one kernel runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dsconv.layers import Conv2D, Dense, DepthwiseConv2D, Layer, Shape
from dsconv.layers.base import flag, number
from dsconv.network.structure import LARGEST

_CHAINS = (
    (Dense,),
    (Conv2D,),
    (DepthwiseConv2D,),
    (DepthwiseConv2D, Conv2D),
    (Conv2D, DepthwiseConv2D, Conv2D),
)


class Stage(NamedTuple):
    """A layer with weights, and the batch norm that is folded into them."""

    name: str  # of the layer in the graph that was compiled: its weights bear it
    layer: Conv2D | DepthwiseConv2D | Dense
    norm: str | None = None  # name of the batch norm
    epsilon: float = 0.0  # of the batch norm

    def check(self) -> None:
        """TypeError or ValueError for what cannot be; the layer is the chain's affair."""
        if not isinstance(self.name, str) or not isinstance(self.norm, str | None):
            raise TypeError(f"names must be strings, got {self.name!r} and {self.norm!r}")
        if ":" in self.name:
            raise ValueError(f'the name of a stage must not contain ":", got {self.name!r}')
        number(self.epsilon, "epsilon")


@dataclass(frozen=True)
class Fused(Layer):
    """One to three stages, each fed by the one before, and an optional addition.

        [dense]   [convolution]   [depthwise]   [depthwise, pointwise]
        [pointwise, depthwise, pointwise]                 (the inverted residual of MobileNetV2)

    With `residual` there is a second input, added to the last stage before its clip.
    """

    stages: tuple[Stage, ...]
    residual: bool = False

    kind = "fused"

    def __post_init__(self) -> None:
        stages = tuple(
            Stage(**stage) if isinstance(stage, dict) else Stage(*stage) for stage in self.stages
        )
        object.__setattr__(self, "stages", stages)
        flag(self.residual, "residual")
        for stage in self.stages:
            stage.check()
        if not self._runs():
            raise ValueError(f"no kernel runs these stages in one pass: {self.stages}")

    def _runs(self) -> bool:
        """Whether there is a kernel for this chain."""
        chain = tuple(type(stage.layer) for stage in self.stages)
        if chain not in _CHAINS:
            return False
        last = self.last.layer
        if self.residual and not (isinstance(last, Conv2D) and last.groups == 1):
            return False
        around = (*self.stages[:-2], self.last)  # the depthwise stage
        if len(chain) > 1 and not all(is_pointwise(stage.layer) for stage in around):
            return False
        return len(chain) < 3 or vars(self.stages[1].layer)["multiplier"] == 1

    @property
    def label(self) -> str:
        parts = [stage.layer.label for stage in self.stages] + ["add"] * self.residual
        return " + ".join(parts)

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    def shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Input shape of every stage, and the output shape at the end."""
        chain = [shapes[0]]
        for stage in self.stages:
            chain += stage.layer.infer([chain[-1]])
        return chain

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        if len(shapes) != 1 + self.residual:
            raise ValueError(f"takes {1 + self.residual} inputs, got {len(shapes)}")
        chain = self.shapes(shapes)
        if self.residual and shapes[1] != chain[-1]:
            raise ValueError(f"inputs {list(shapes)} do not fit {self.label}")
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
        """Kernel weights of all stages, without biases."""
        chain = zip(self.stages, self.shapes(shapes), strict=False)
        return sum(math.prod(stage.layer.parameters([shape])["weight"]) for stage, shape in chain)

    def with_clip(self, clip: tuple[float, float] | None) -> Fused:
        """A copy that clips its result."""
        last = self.last._replace(layer=replace(self.last.layer, clip=clip))
        return Fused((*self.stages[:-1], last), self.residual)


def wrap(name: str, layer: Conv2D | DepthwiseConv2D | Dense) -> Fused:
    """A layer with weights as a chain of one."""
    return Fused((Stage(name, layer),))


def is_pointwise(layer: Layer, stride_one: bool = True) -> bool:
    """Whether a layer is a plain 1x1 convolution, at stride 1, without padding or groups."""
    return (
        isinstance(layer, Conv2D)
        and layer.kernel == (1, 1)
        and layer.groups == 1
        and (layer.stride == (1, 1) or not stride_one)
        and layer.padding in ("same", "valid", ((0, 0), (0, 0)))
    )
