"""Describe layers that move values and compute nothing (Resize alone interpolates)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from dsconv.arguments.numbers import LARGEST
from dsconv.arguments.window import padding_pixels
from dsconv.layers.base import Border, Count, Counts, Layer, Shape, image, integers, one

# Tuples of integers from 0 on, from -1 on, and of either sign.
_Indices = Annotated[tuple[int, ...], partial(integers, minimum=0)]
_Sizes = Annotated[tuple[int, ...], partial(integers, minimum=-1)]
_Steps = Annotated[tuple[int, ...], partial(integers, minimum=-LARGEST)]


@dataclass(frozen=True)
class ChannelShuffle(Layer):
    """View the channels as (groups, C / groups), transpose, and flatten again.

    Output channel j * groups + g is input channel g * (C / groups) + j (ShuffleNet,
    arXiv 1707.01083, section 3.1).
    """

    groups: Count

    kind = "channel_shuffle"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = image(shapes)
        if shape[2] % self.groups:
            raise ValueError(f"groups {self.groups} must divide the input channels {shape[2]}")
        return [shape]


@dataclass(frozen=True)
class SpaceToDepth(Layer):
    """Turn squares of block x block pixels into channels: (H, W, C) -> (H/b, W/b, b*b*C).

    TensorFlow's channel order: output channel (dy * b + dx) * C + c is input channel c of the
    pixel in row dy and column dx of the square.
    """

    block: Count

    kind = "space_to_depth"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        height, width, channels = image(shapes)
        if height % self.block or width % self.block:
            raise ValueError(
                f"block {self.block} must divide the input height {height} and width {width}"
            )
        return [(height // self.block, width // self.block, channels * self.block**2)]


@dataclass(frozen=True)
class Pad(Layer):
    """Put zeros around a map: an int, (rows, columns) or ((top, bottom), (left, right)) pixels."""

    padding: Border

    kind = "pad"

    @property
    def pixels(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the padding as ((top, bottom), (left, right))."""
        return padding_pixels(self.padding, (1, 1), (1, 1), (1, 1), (1, 1))

    def __post_init__(self) -> None:
        if isinstance(self.padding, str):
            raise TypeError(f"padding must be numbers of pixels, got {self.padding!r}")
        super().__post_init__()

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        height, width, channels = image(shapes)
        (top, bottom), (left, right) = self.pixels
        return [(top + height + bottom, left + width + right, channels)]


@dataclass(frozen=True)
class Resize(Layer):
    """Interpolate a map bilinearly to height x width.

    Output row i reads the input at row i * (in - 1) / (out - 1) under "align_corners" (row 0
    where out is 1), and at (i + 1/2) * in / out - 1/2, clamped to the map, under "half_pixel";
    columns alike.
    """

    height: Count
    width: Count
    mode: str = "half_pixel"

    kind = "resize"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("align_corners", "half_pixel"):
            raise ValueError(f'mode must be "align_corners" or "half_pixel", got {self.mode!r}')

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(self.height, self.width, image(shapes)[2])]


@dataclass(frozen=True)
class Reshape(Layer):
    """Give the values another `shape` (no batch) in the same order; one size may be -1."""

    shape: _Sizes

    kind = "reshape"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 in self.shape or self.shape.count(-1) > 1:
            raise ValueError(f"shape must be of sizes above 0 and at most one -1, got {self.shape}")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        values = math.prod(one(shapes))
        known = math.prod(size for size in self.shape if size != -1)
        if values % known or (-1 not in self.shape and values != known):
            raise ValueError(f"the input shape {one(shapes)} does not fill the shape {self.shape}")
        return [tuple(values // known if size == -1 else size for size in self.shape)]


@dataclass(frozen=True)
class Flatten(Layer):
    """Put all values in a row: (H, W, C) -> (H * W * C,), channels fastest."""

    kind = "flatten"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(math.prod(one(shapes)),)]


@dataclass(frozen=True)
class Transpose(Layer):
    """Reorder the axes: output axis i is input axis permutation[i], without the batch."""

    permutation: _Indices

    kind = "transpose"

    def __post_init__(self) -> None:
        super().__post_init__()
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


@dataclass(frozen=True)
class Slice(Layer):
    """Take a strided part: output index i reads input index starts + i * steps on each axis.

    Axes count without the batch; each has its start, size and step, and a step may be negative.
    """

    starts: _Indices
    sizes: Counts
    steps: _Steps

    kind = "slice"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 in self.steps:
            raise ValueError(f"steps must not be 0, got {self.steps}")
        if not len(self.starts) == len(self.sizes) == len(self.steps):
            raise ValueError(
                "starts, sizes and steps must be of one length, got "
                f"{self.starts}, {self.sizes} and {self.steps}"
            )

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = one(shapes)
        if len(shape) != len(self.starts):
            raise ValueError(f"starts {self.starts} do not fit the input shape {shape}")
        for axis, start, size, step in zip(shape, self.starts, self.sizes, self.steps, strict=True):
            if not (start < axis and 0 <= start + (size - 1) * step < axis):
                raise ValueError(
                    f"starts {self.starts}, sizes {self.sizes} and steps {self.steps} "
                    f"reach beyond the input shape {shape}"
                )
        return [self.sizes]


@dataclass(frozen=True)
class Broadcast(Layer):
    """Repeat axes of size 1 until the input has `shape` (no batch), as numpy broadcasts.

    The input has as many axes as `shape`.
    """

    shape: Counts

    kind = "broadcast"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        before = one(shapes)
        if len(before) != len(self.shape) or any(
            a not in (1, b) for a, b in zip(before, self.shape, strict=True)
        ):
            raise ValueError(f"the input shape {before} cannot be repeated to {self.shape}")
        return [self.shape]
