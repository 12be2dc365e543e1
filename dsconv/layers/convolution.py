"""The layers with weights, where all mult-adds are: convolution, depthwise convolution, dense."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from dsconv.arguments.numbers import Pair, integer, pair
from dsconv.arguments.window import Padding, Window, window
from dsconv.layers.base import (
    Layer,
    Shape,
    flag,
    image,
    layer_kind,
    one,
    optional_bounds,
    padding_form,
)

# Passes and lowering ask for the same windows again and again.
_window = lru_cache(maxsize=1024)(window)


class _Convolution(Layer):
    """The sliding window that standard and depthwise convolutions share."""

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    bias: bool
    clip: tuple[float, float] | None

    def __post_init__(self) -> None:
        self.kernel = pair(self.kernel, "kernel")
        self.stride = pair(self.stride, "stride")
        self.padding = padding_form(self.padding)
        self.dilation = pair(self.dilation, "dilation")
        self.bias = flag(self.bias, "bias")
        self.clip = optional_bounds(self.clip, "clip")

    def window(self, shapes: Sequence[Shape]) -> Window:
        """Kernel, stride, dilation, padding in pixels and output size as plain numbers."""
        height, width, _ = image(shapes)
        return _window((height, width), self.kernel, self.stride, self.padding, self.dilation)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        weight = self.parameters(shapes)["weight"]
        return [(*self.window(shapes).output, self._filters(weight))]

    def mult_adds(self, shapes: Sequence[Shape]) -> int:
        kernel_height, kernel_width, depth, last = self.parameters(shapes)["weight"]
        height, width = self.window(shapes).output
        return kernel_height * kernel_width * depth * last * height * width

    def _filters(self, weight: Shape) -> int:
        raise NotImplementedError


@layer_kind
class Conv2D(_Convolution):
    """A standard or grouped convolution; with kernel (1, 1) a pointwise one.

    Parameters: weight (KH, KW, Cin / groups, filters), bias (filters,).
    Mult-adds: KH * KW * (Cin / groups) * filters * H * W with the output's H and W.

    `clip` is a fused activation, min(max(y, low), high): passes of the compiler set it,
    builders of graphs leave it None.
    """

    filters: int
    kernel: Pair = 1
    stride: Pair = 1
    padding: Padding = "same"
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True
    clip: tuple[float, float] | None = None

    kind = "conv2d"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.filters = integer(self.filters, "filters")
        self.groups = integer(self.groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"groups {self.groups} must divide the filters {self.filters}")

    @property
    def label(self) -> str:
        height, width = pair(self.kernel, "kernel")
        return f"conv {height}x{width}"

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        channels = image(shapes)[2]
        if channels % self.groups:
            raise ValueError(f"groups {self.groups} must divide the input channels {channels}")
        kernel = pair(self.kernel, "kernel")
        weight = (*kernel, channels // self.groups, self.filters)
        return {"weight": weight, "bias": (self.filters,)} if self.bias else {"weight": weight}

    def _filters(self, weight: Shape) -> int:
        return weight[3]


@layer_kind
class DepthwiseConv2D(_Convolution):
    """One filter (or `multiplier` filters) for each input channel.

    Output channel c * multiplier + m is filter m of input channel c.
    Parameters: weight (KH, KW, C, multiplier), bias (C * multiplier,).
    Mult-adds: KH * KW * C * multiplier * H * W with the output's H and W.
    `clip`: see `Conv2D`.
    """

    kernel: Pair = 3
    stride: Pair = 1
    padding: Padding = "same"
    dilation: Pair = 1
    multiplier: int = 1
    bias: bool = True
    clip: tuple[float, float] | None = None

    kind = "depthwise_conv2d"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.multiplier = integer(self.multiplier, "multiplier")

    @property
    def label(self) -> str:
        height, width = pair(self.kernel, "kernel")
        return f"depthwise {height}x{width}"

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        channels = image(shapes)[2]
        weight = (*pair(self.kernel, "kernel"), channels, self.multiplier)
        return (
            {"weight": weight, "bias": (self._filters(weight),)}
            if self.bias
            else {"weight": weight}
        )

    def _filters(self, weight: Shape) -> int:
        return weight[2] * weight[3]


@layer_kind
class Dense(Layer):
    """A fully connected layer, y = x @ weight + bias, on an input (Cin,).

    Parameters: weight (Cin, units), bias (units,). Mult-adds: Cin * units.
    `clip`: see `Conv2D`.
    """

    units: int
    bias: bool = True
    clip: tuple[float, float] | None = None

    kind = "dense"

    def __post_init__(self) -> None:
        self.units = integer(self.units, "units")
        self.bias = flag(self.bias, "bias")
        self.clip = optional_bounds(self.clip, "clip")

    @property
    def label(self) -> str:
        return "fully connected"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = one(shapes)
        if len(shape) != 1:
            raise ValueError(f"the input must have the shape (C,), got {shape}; flatten it first")
        return [(self.units,)]

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        weight = (one(shapes)[0], self.units)
        return {"weight": weight, "bias": (self.units,)} if self.bias else {"weight": weight}

    def mult_adds(self, shapes: Sequence[Shape]) -> int:
        return one(shapes)[0] * self.units
