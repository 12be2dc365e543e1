"""Layers that move values without computing with them (Resize alone interpolates)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dsconv._geometry import Padding, integer, padding_pixels
from dsconv.layers.base import Layer, Shape, image, integers, one, padding_form


@dataclass(eq=False, repr=False)
class ChannelShuffle(Layer):
    """Channels seen as (groups, C / groups), transposed, and flattened again.

    Output channel j * groups + g is input channel g * (C / groups) + j (ShuffleNet,
    arXiv 1707.01083, section 3.1).
    """

    groups: int

    kind = "channel_shuffle"

    def __post_init__(self) -> None:
        self.groups = integer(self.groups, "groups")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = image(shapes)
        if shape[2] % self.groups:
            raise ValueError(f"groups {self.groups} must divide the input channels {shape[2]}")
        return [shape]


@dataclass(eq=False, repr=False)
class SpaceToDepth(Layer):
    """Squares of block x block pixels become channels: (H, W, C) -> (H/b, W/b, b*b*C).

    TensorFlow's channel order: output channel (dy * b + dx) * C + c is input channel c of the
    pixel in row dy and column dx of the square.
    """

    block: int

    kind = "space_to_depth"

    def __post_init__(self) -> None:
        self.block = integer(self.block, "block")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        height, width, channels = image(shapes)
        if height % self.block or width % self.block:
            raise ValueError(
                f"block {self.block} must divide the input height {height} and width {width}"
            )
        return [(height // self.block, width // self.block, channels * self.block**2)]


@dataclass(eq=False, repr=False)
class Pad(Layer):
    """Zeros around a map: an int, (rows, columns) or ((top, bottom), (left, right)) pixels."""

    padding: Padding

    kind = "pad"

    @property
    def pixels(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The padding as ((top, bottom), (left, right))."""
        return padding_pixels(self.padding, (1, 1), (1, 1), (1, 1), (1, 1))

    def __post_init__(self) -> None:
        if isinstance(self.padding, str):
            raise TypeError(f"padding must be numbers of pixels, got {self.padding!r}")
        self.padding = padding_form(self.padding)

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        height, width, channels = image(shapes)
        (top, bottom), (left, right) = self.pixels
        return [(top + height + bottom, left + width + right, channels)]


@dataclass(eq=False, repr=False)
class Resize(Layer):
    """Bilinear interpolation of a map to height x width.

    Output row i reads the input at row i * (in - 1) / (out - 1) under "align_corners" (row 0
    where out is 1), and at (i + 1/2) * in / out - 1/2, clamped to the map, under "half_pixel";
    columns alike.
    """

    height: int
    width: int
    mode: str = "half_pixel"

    kind = "resize"

    def __post_init__(self) -> None:
        self.height = integer(self.height, "height")
        self.width = integer(self.width, "width")
        if self.mode not in ("align_corners", "half_pixel"):
            raise ValueError(f'mode must be "align_corners" or "half_pixel", got {self.mode!r}')

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(self.height, self.width, image(shapes)[2])]


@dataclass(eq=False, repr=False)
class Reshape(Layer):
    """The same values in the same order in another `shape` (no batch); one size may be -1."""

    shape: Shape

    kind = "reshape"

    def __post_init__(self) -> None:
        self.shape = integers(self.shape, "shape", minimum=-1)
        if 0 in self.shape or self.shape.count(-1) > 1:
            raise ValueError(f"shape must be of sizes above 0 and at most one -1, got {self.shape}")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        values = math.prod(one(shapes))
        known = math.prod(size for size in self.shape if size != -1)
        if values % known or (-1 not in self.shape and values != known):
            raise ValueError(f"the input shape {one(shapes)} does not fill the shape {self.shape}")
        return [tuple(values // known if size == -1 else size for size in self.shape)]


class Flatten(Layer):
    """All values in a row: (H, W, C) -> (H * W * C,), channels fastest."""

    kind = "flatten"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(math.prod(one(shapes)),)]


@dataclass(eq=False, repr=False)
class Transpose(Layer):
    """Output axis i is input axis permutation[i]; axes count without the batch."""

    permutation: tuple[int, ...]

    kind = "transpose"

    def __post_init__(self) -> None:
        self.permutation = integers(self.permutation, "permutation", minimum=0)
        if sorted(self.permutation) != list(range(len(self.permutation))):
            raise ValueError(
                f"permutation must hold each of 0 to {len(self.permutation) - 1} once, "
                f"got {self.permutation}"
            )

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = one(shapes)
        if len(shape) != len(self.permutation):
            raise ValueError(f"permutation {self.permutation} does not fit the input shape {shape}")
        return [tuple(shape[axis] for axis in self.permutation)]
