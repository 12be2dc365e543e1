"""Describe the layers with mult-adds: convolution, depthwise convolution, dense."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dsconv.arguments.numbers import Pair, pair
from dsconv.arguments.window import Padding, Window, window
from dsconv.layers.base import Border, Count, Flag, Layer, Limits, Shape, Size, image, one

# Passes and lowering ask for the same windows again and again.
_window = lru_cache(maxsize=1024)(window)


class _Weighted(Layer):
    """Multiply with a weight, perhaps add a bias, and apply a fused activation.

    `clip` is that activation, min(max(y, low), high): passes of the compiler set it, builders of
    graphs leave it None.
    """

    bias: bool
    clip: tuple[float, float] | None

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        weight = self._weight(shapes)
        return (
            {"weight": weight, "bias": (self._outputs(weight),)}
            if self.bias
            else {"weight": weight}
        )

    def mult_adds(self, shapes: Sequence[Shape]) -> int:
        pixels = math.prod(self.infer(shapes)[0][:-1])
        return math.prod(self._weight(shapes)) * pixels

    def _weight(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the weight."""
        raise NotImplementedError

    def _outputs(self, weight: Shape) -> int:
        """Return the number of output channels of a weight."""
        return weight[-1]


class _Convolution(_Weighted):
    """Slide a window, as standard and depthwise convolutions do."""

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair

    def window(self, shapes: Sequence[Shape]) -> Window:
        """Return kernel, stride, dilation, padding in pixels and output size as plain numbers."""
        height, width, _ = image(shapes)
        return _window((height, width), self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        channels = self._outputs(self._weight(shapes))
        return [(*self.window(shapes).output, channels)]


@dataclass(frozen=True)
class Conv2D(_Convolution):
    """Convolve, perhaps in groups; with kernel (1, 1) pointwise.

    Parameters: weight (KH, KW, Cin / groups, filters), bias (filters,).
    Mult-adds: KH * KW * (Cin / groups) * filters * H * W with the output's H and W.
    """

    filters: Count
    kernel: Size = 1
    stride: Size = 1
    padding: Border = "same"
    dilation: Size = 1
    groups: Count = 1
    bias: Flag = True
    clip: Limits = None

    kind = "conv2d"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filters % self.groups:
            raise ValueError(f"groups {self.groups} must divide the filters {self.filters}")

    @property
    def label(self) -> str:
        height, width = pair(self.kernel, "kernel")
        return f"conv {height}x{width}"

    def _weight(self, shapes: Sequence[Shape]) -> Shape:
        channels = image(shapes)[2]
        if channels % self.groups:
            raise ValueError(f"groups {self.groups} must divide the input channels {channels}")
        return (*pair(self.kernel, "kernel"), channels // self.groups, self.filters)


@dataclass(frozen=True)
class DepthwiseConv2D(_Convolution):
    """Filter each input channel on its own, with one filter or `multiplier` filters.

    Output channel c * multiplier + m is filter m of input channel c.
    Parameters: weight (KH, KW, C, multiplier), bias (C * multiplier,).
    Mult-adds: KH * KW * C * multiplier * H * W with the output's H and W.
    """

    kernel: Size = 3
    stride: Size = 1
    padding: Border = "same"
    dilation: Size = 1
    multiplier: Count = 1
    bias: Flag = True
    clip: Limits = None

    kind = "depthwise_conv2d"

    @property
    def label(self) -> str:
        height, width = pair(self.kernel, "kernel")
        return f"depthwise {height}x{width}"

    def _weight(self, shapes: Sequence[Shape]) -> Shape:
        return (*pair(self.kernel, "kernel"), image(shapes)[2], self.multiplier)

    def _outputs(self, weight: Shape) -> int:
        return weight[2] * weight[3]


@dataclass(frozen=True)
class Dense(_Weighted):
    """Connect fully: y = x @ weight + bias, for an input (Cin,).

    Parameters: weight (Cin, units), bias (units,). Mult-adds: Cin * units.
    """

    units: Count
    bias: Flag = True
    clip: Limits = None

    kind = "dense"

    @property
    def label(self) -> str:
        return "fully connected"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = one(shapes)
        if len(shape) != 1:
            raise ValueError(f"the input must have the shape (C,), got {shape}; flatten it first")
        return [(self.units,)]

    def _weight(self, shapes: Sequence[Shape]) -> Shape:
        return (one(shapes)[0], self.units)
