"""Describe layers with several inputs or several outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from dsconv.layers.base import Axis, Counts, Layer, Limits, Shape, axis_index, one


@dataclass(frozen=True)
class Add(Layer):
    """a + b of two equal shapes. `clip` is a fused activation."""

    clip: Limits = None

    kind = "add"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        a, b = _two(shapes)
        if a != b:
            raise ValueError(f"the inputs must have equal shapes, got {a} and {b}")
        return [a]


@dataclass(frozen=True)
class Mul(Layer):
    """Return a * b of two equal shapes, or of a map (H, W, C) and one factor for each channel.

    The factors have the shape (C,) or (1, 1, C) and may be either input.
    """

    kind = "mul"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        a, b = _two(shapes)
        for big, small in ((a, b), (b, a)):
            if big == small or (len(big) == 3 and small in ((big[2],), (1, 1, big[2]))):
                return [big]
        raise ValueError(
            "the inputs must have equal shapes, or one must be (C,) or (1, 1, C) for a map "
            f"(H, W, C), got {a} and {b}"
        )


@dataclass(frozen=True)
class Concat(Layer):
    """Join the inputs one after the other along `axis`, which counts without the batch."""

    axis: Axis = -1

    kind = "concat"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        if not shapes:
            raise ValueError("takes at least one input, got none")
        axis = axis_index(self.axis, shapes[0])
        rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if len(rest) > 1 or len({len(shape) for shape in shapes}) > 1:
            raise ValueError(
                f"the inputs must have equal shapes apart from axis {self.axis}, got "
                + ", ".join(map(str, shapes))
            )
        first = shapes[0]
        return [first[:axis] + (sum(shape[axis] for shape in shapes),) + first[axis + 1 :]]


@dataclass(frozen=True)
class Split(Layer):
    """Cut into parts of `sizes` one after the other along `axis`; axes count without the batch."""

    sizes: Counts
    axis: Axis = -1

    kind = "split"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sizes) < 2:
            raise ValueError(f"sizes must be at least two, got {self.sizes}")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        shape = one(shapes)
        axis = axis_index(self.axis, shape)
        if sum(self.sizes) != shape[axis]:
            raise ValueError(
                f"sizes {self.sizes} must add up to the {shape[axis]} of axis {self.axis} "
                f"of the input shape {shape}"
            )
        return [shape[:axis] + (size,) + shape[axis + 1 :] for size in self.sizes]


def _two(shapes: Sequence[Shape]) -> tuple[Shape, Shape]:
    """Return the shapes of a layer's two inputs."""
    if len(shapes) != 2:
        raise ValueError(f"takes two inputs, got {len(shapes)}")
    return shapes[0], shapes[1]
