"""Describe pooling over windows and over whole maps."""

from collections.abc import Sequence
from dataclasses import dataclass

from dsconv.arguments.numbers import Pair, pair
from dsconv.arguments.window import Padding, Window, window
from dsconv.layers.base import Border, Flag, Layer, Shape, Size, image


class _Pool(Layer):
    """Slide a window, as max and average pooling do."""

    kernel: Pair
    stride: Pair
    padding: Padding
    ceil: bool

    @property
    def label(self) -> str:
        height, width = pair(self.kernel, "kernel")
        return f"{self.kind.replace('_', ' ')} {height}x{width}"

    def window(self, shapes: Sequence[Shape]) -> Window:
        """Return kernel, stride, dilation 1, padding in pixels and output size as plain numbers."""
        height, width, _ = image(shapes)
        found = window((height, width), self.kernel, self.stride, self.padding, ceil=self.ceil)
        for kernel, pad in zip(found.kernel, found.pad, strict=True):
            if max(pad) >= kernel:  # some windows would hold no pixel at all
                raise ValueError(f"padding {pad} must be smaller than the kernel {kernel}")
        return found

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(*self.window(shapes).output, image(shapes)[2])]


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Take the largest value of each window; padding never wins.

    With `ceil` the output size rounds up, and the last window may reach beyond the padding.
    """

    kernel: Size = 2
    stride: Size = 2
    padding: Border = "valid"
    ceil: Flag = False

    kind = "max_pool"


@dataclass(frozen=True)
class AveragePool(_Pool):
    """Average each window over its pixels, or with `count_padding` over pixels and padding.

    With `ceil` the output size rounds up; what a window covers beyond the padding never counts.
    """

    kernel: Size = 2
    stride: Size = 2
    padding: Border = "valid"
    ceil: Flag = False
    count_padding: Flag = False

    kind = "average_pool"


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """Average each channel's map: (H, W, C) -> (C,), or (1, 1, C) with `keep_dims`."""

    keep_dims: Flag = False

    kind = "global_average_pool"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        channels = image(shapes)[2]
        return [(1, 1, channels)] if self.keep_dims else [(channels,)]
