"""Pooling over windows and over whole maps."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv.arguments.numbers import Pair, pair
from dsconv.arguments.window import Padding, Window, window
from dsconv.layers.base import Layer, Shape, flag, image, layer_kind, padding_form


class _Pool(Layer):
    """The sliding window that max and average pooling share."""

    kernel: Pair
    stride: Pair
    padding: Padding
    ceil: bool

    def __post_init__(self) -> None:
        self.kernel = pair(self.kernel, "kernel")
        self.stride = pair(self.stride, "stride")
        self.padding = padding_form(self.padding)
        self.ceil = flag(self.ceil, "ceil")

    @property
    def label(self) -> str:
        height, width = pair(self.kernel, "kernel")
        return f"{self.kind.replace('_', ' ')} {height}x{width}"

    def window(self, shapes: Sequence[Shape]) -> Window:
        """Kernel, stride, dilation 1, padding in pixels and output size as plain numbers."""
        height, width, _ = image(shapes)
        found = window((height, width), self.kernel, self.stride, self.padding, ceil=self.ceil)
        for kernel, pad in zip(found.kernel, found.pad, strict=True):
            if max(pad) >= kernel:  # some windows would hold no pixel at all
                raise ValueError(f"padding {pad} must be smaller than the kernel {kernel}")
        return found

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(*self.window(shapes).output, image(shapes)[2])]


@layer_kind
class MaxPool(_Pool):
    """Largest value of each window; padding never wins.

    With `ceil` the output size rounds up, and the last window may reach beyond the padding.
    """

    kernel: Pair = 2
    stride: Pair = 2
    padding: Padding = "valid"
    ceil: bool = False

    kind = "max_pool"


@layer_kind
class AveragePool(_Pool):
    """Mean of each window: over its pixels, or with `count_padding` over its pixels and padding.

    With `ceil` the output size rounds up; what a window covers beyond the padding never counts.
    """

    kernel: Pair = 2
    stride: Pair = 2
    padding: Padding = "valid"
    ceil: bool = False
    count_padding: bool = False

    kind = "average_pool"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.count_padding = flag(self.count_padding, "count_padding")


@layer_kind
class GlobalAveragePool(Layer):
    """Mean of each channel's map: (H, W, C) -> (C,), or (1, 1, C) with `keep_dims`."""

    keep_dims: bool = False

    kind = "global_average_pool"

    def __post_init__(self) -> None:
        self.keep_dims = flag(self.keep_dims, "keep_dims")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        channels = image(shapes)[2]
        return [(1, 1, channels)] if self.keep_dims else [(channels,)]
