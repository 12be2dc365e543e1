"""Define the base class of all layer kinds, and the checks that they share.

A kind is a frozen dataclass. The type of an attribute names the check of its values:
``kernel: Size`` is ``Annotated[Pair, pair]``, so `Layer.__post_init__` replaces ``kernel=3`` by
``pair(3, "kernel")``, which is ``(3, 3)``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from dsconv.arguments.numbers import Pair, bounds, integer, pair, real
from dsconv.arguments.window import Padding, padding_pixels

Shape = tuple[int, ...]  # of one example, without the batch: (H, W, C) or (C,)

NOT_TRAINED = ("mean", "variance")  # the statistics of a batch norm; every other parameter is


def one(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of a layer's only input."""
    if len(shapes) != 1:
        raise ValueError(f"takes one input, got {len(shapes)}")
    return shapes[0]


def image(shapes: Sequence[Shape]) -> tuple[int, int, int]:
    """Return the shape (H, W, C) of a layer's only input."""
    shape = one(shapes)
    if len(shape) != 3:
        raise ValueError(f"the input must have the shape (H, W, C), got {shape}")
    return shape[0], shape[1], shape[2]


def axis_index(axis: int, shape: Shape) -> int:
    """Return `axis` as an index into `shape` (no batch); negative ones count from the end."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis {axis} is out of range for the input shape {shape}")
    return axis % len(shape)


# Each check takes a value and the attribute's name, and returns the value in its one form.


def integers(value: Any, name: str, minimum: int = 1) -> tuple[int, ...]:
    """Return a non-empty tuple of ints of at least `minimum`."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple of integers, got {value!r}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return tuple(integer(item, name, minimum) for item in value)


def any_integer(value: Any, name: str) -> int:
    """Return an int of either sign."""
    return integer(value, name, minimum=-(2**63))


def number(value: Any, name: str, minimum: float = -math.inf) -> float:
    """Return a finite float of at least `minimum`."""
    result = real(value, name)
    if not math.isfinite(result) or result < minimum:
        least = "" if minimum == -math.inf else f" and at least {minimum}"
        raise ValueError(f"{name} must be finite{least}, got {value!r}")
    return result


def flag(value: Any, name: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def optional_bounds(value: Any, name: str) -> tuple[float, float] | None:
    """Return a pair (low, high) of floats, or None."""
    return None if value is None else bounds(value, name)


def padding_form(value: Any, name: str = "padding") -> Padding:
    """Return a padding as "same", "valid" or ((top, bottom), (left, right))."""
    pixels = padding_pixels(value, (1, 1), (1, 1), (1, 1), (1, 1))
    return value if isinstance(value, str) else pixels


Count = Annotated[int, integer]
Counts = Annotated[tuple[int, ...], integers]
Axis = Annotated[int, any_integer]
Finite = Annotated[float, number]
NotNegative = Annotated[float, partial(number, minimum=0.0)]
Flag = Annotated[bool, flag]
Limits = Annotated[tuple[float, float] | None, optional_bounds]
Size = Annotated[Pair, pair]
Border = Annotated[Padding, padding_form]


@dataclass(frozen=True)
class Layer:
    """Hold the static attributes of a layer, and tell what follows from them.

    Every method takes the shapes of the layer's inputs, without the batch.
    """

    kind: ClassVar[str]  # its name in JSON files and in automatic layer names
    _checks: ClassVar[dict[str, Callable[[Any, str], Any]]] = {}

    def __init_subclass__(cls) -> None:
        """Collect the checks that the types of the attributes name."""
        cls._checks = {
            name: hint.__metadata__[0]
            for name, hint in cls.__annotations__.items()
            if hasattr(hint, "__metadata__")
        }

    def __post_init__(self) -> None:
        """Check the attributes and bring them to one form."""
        for name, check in self._checks.items():
            object.__setattr__(self, name, check(getattr(self, name), name))

    @property
    def label(self) -> str:
        """Return the kind for people, e.g. "conv 3x3": it names a row of a table by kind."""
        return self.kind.replace("_", " ")

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the shapes of the outputs; ValueError if the inputs do not fit the layer."""
        raise NotImplementedError

    def parameters(self, shapes: Sequence[Shape]) -> dict[str, Shape]:
        """Return the shape of each parameter by its name."""
        return {}

    def mult_adds(self, shapes: Sequence[Shape]) -> int:
        """Count the multiply-adds for one example in convolutions and fully connected layers."""
        return 0


class Elementwise(Layer):
    """Keep the shape of the only input."""

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [one(shapes)]


@dataclass(frozen=True)
class Input(Layer):
    """Stand for an input of the graph: `shape` is (H, W, C) or (C,), without the batch."""

    shape: Counts

    kind = "input"

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        if shapes:
            raise ValueError(f"takes no inputs, got {len(shapes)}")
        return [self.shape]
