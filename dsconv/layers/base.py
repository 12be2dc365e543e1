"""What every layer kind has in common, and the checks of attributes and shapes that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from dsconv.arguments.numbers import bounds, integer, real
from dsconv.arguments.window import Padding, padding_pixels

Shape = tuple[int, ...]  # of one example, without the batch: (H, W, C) or (C,)

NOT_TRAINED = ("mean", "variance")  # the statistics of a batch norm; every other parameter is


T = TypeVar("T")


@dataclass_transform(eq_default=False)
def layer_kind(cls: type[T]) -> type[T]:
    """Make the annotations of a class, in their order, the attributes that `Layer` handles.

    A dataclass would do the same; importing and making those took 3 ms of every start.
    """
    cls.__match_args__ = tuple(cls.__annotations__)  # type: ignore[attr-defined, misc]
    return cls


class Layer:
    """A kind of layer with its static attributes.

    Every method takes the shapes of the layer's inputs, without the batch.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()  # names of the attributes
    kind: ClassVar[str]  # its name in JSON files and in automatic layer names

    def __init__(self, *values: Any, **attributes: Any) -> None:
        cls = type(self)
        names = cls.__match_args__
        if len(values) > len(names):
            raise TypeError(f"{cls.__name__} has {len(names)} attributes, got {len(values)}")
        for name, value in zip(names, values, strict=False):
            if name in attributes:
                raise TypeError(f"{cls.__name__}: the attribute {name!r} is given twice")
            attributes[name] = value
        for name in names:
            if name not in attributes and not hasattr(cls, name):
                raise TypeError(f"{cls.__name__}: the attribute {name!r} is missing")
            setattr(self, name, attributes.pop(name, getattr(cls, name, None)))
        if attributes:
            raise TypeError(f"{cls.__name__} has no attribute {next(iter(attributes))!r}")
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the attributes and bring them to one form."""

    def replaced(self, **attributes: Any) -> Self:
        """A copy with other values for these attributes."""
        return type(self)(**{**vars(self), **attributes})

    __replace__ = replaced  # for copy.replace

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    @property
    def label(self) -> str:
        """The kind for people, e.g. "conv 3x3": a row of a summary or of a table by kind."""
        return self.kind.replace("_", " ")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Shapes of the outputs; ValueError where the inputs do not fit the layer."""
        raise NotImplementedError

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        """Shape of each parameter by its name; all but "mean" and "variance" are trained."""
        return {}

    def mult_adds(self, shapes: Sequence[Shape]) -> int:
        """Multiply-adds for one example: convolutions and fully connected layers, else 0."""
        return 0


class Elementwise(Layer):
    """A layer with one input, whose output has the same shape."""

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [one(shapes)]


@layer_kind
class Input(Layer):
    """An input of the graph: `shape` is (H, W, C) or (C,), without the batch."""

    shape: Shape

    kind = "input"

    def __post_init__(self) -> None:
        self.shape = integers(self.shape, "shape")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        if shapes:
            raise ValueError(f"takes no inputs, got {len(shapes)}")
        return [self.shape]


def one(shapes: Sequence[Shape]) -> Shape:
    """The shape of a layer's only input."""
    if len(shapes) != 1:
        raise ValueError(f"takes one input, got {len(shapes)}")
    return shapes[0]


def image(shapes: Sequence[Shape]) -> tuple[int, int, int]:
    """The shape (H, W, C) of a layer's only input."""
    shape = one(shapes)
    if len(shape) != 3:
        raise ValueError(f"the input must have the shape (H, W, C), got {shape}")
    return shape[0], shape[1], shape[2]


def axis_index(axis: int, shape: Shape) -> int:
    """`axis` as an index into `shape` (no batch); negative ones count from the end."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis {axis} is out of range for the input shape {shape}")
    return axis % len(shape)


def integers(value: Any, name: str, minimum: int = 1) -> tuple[int, ...]:
    """A non-empty tuple of ints of at least `minimum`."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of integers, got {value!r}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return tuple(integer(item, name, minimum) for item in value)


def any_integer(value: Any, name: str) -> int:
    """An int of either sign."""
    return integer(value, name, minimum=-(2**63))


def number(value: Any, name: str, minimum: float = -math.inf) -> float:
    """A finite float of at least `minimum`."""
    result = real(value, name)
    if not math.isfinite(result) or result < minimum:
        least = "" if minimum == -math.inf else f" and at least {minimum}"
        raise ValueError(f"{name} must be finite{least}, got {value!r}")
    return result


def flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def optional_bounds(value: Any, name: str) -> tuple[float, float] | None:
    return None if value is None else bounds(value, name)


def padding_form(value: Any) -> Padding:
    """A padding in its one form: "same", "valid" or ((top, bottom), (left, right))."""
    pixels = padding_pixels(value, (1, 1), (1, 1), (1, 1), (1, 1))
    return value if isinstance(value, str) else pixels
