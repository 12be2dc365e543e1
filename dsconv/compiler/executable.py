"""Executable: what a call of a compiled model needs, out of a file, without its graph.

A step is a line of words:

    separable 1:0 0:150528 - h=112 w=112 c=32 ... high=6.0 mid_weight=@2 mid_bias=@3 ...

its op, of src/program.pxi; slot and offset of x, y and the second input, or - for none; the fields of
its geometry that are not as in `GEOMETRY` there; the number of the array for each of its weights; and
for a copy `layout=`, the 17 numbers of sizes, strides of x and of y, and both shifts.

The kernels check each of these numbers before they use it (src/checks.pxi).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dsconv.compiler.lowering import Lowered
    from dsconv.compiler.model import Shapes

__all__ = ["MOST_STEPS", "Executable", "line_of"]

MOST_STEPS = 1 << 16  # of a model

AXES = 5  # of a copy


class Executable:
    """Described steps, made again.

    Parameters
    ----------
    kernels
        The module that will run them.
    lines
        Of the steps, as `line_of` made them.
    arrays
        Vectors of float32 by number, packed for these kernels.
    inputs, outputs
        Shapes by name.
    unshared, mult_adds
        As in `Lowered`.
    lower
        Makes the rest, for all that looks at layers.
    check
        As in `Lowered`.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If a line is not that of a step that the kernels can run with these arrays.
    """

    def __init__(
        self,
        kernels: ModuleType,
        lines: Iterable[str],
        arrays: Mapping[str, np.ndarray],
        inputs: Shapes,
        outputs: Shapes,
        unshared: int,
        mult_adds: int,
        lower: Callable[[], Lowered],
        check: Callable[[], None],
    ) -> None:
        self.kernels, self._lower, self.check = kernels, lower, check
        self.steps = [_step(kernels, line, arrays) for line in lines]
        self.inputs, self.outputs = inputs, outputs
        self.unshared, self.mult_adds = unshared, mult_adds

    @cached_property
    def lowered(self) -> Lowered:
        """The model with its graph."""
        return self._lower()


def line_of(step: Any, numbers: Mapping[str, str], defaults: Mapping[str, Any]) -> str:
    """A step as a line; `numbers` are those of its weights' arrays."""
    words = [step.op]
    words += ["-" if place is None else f"{place[0]}:{place[1]}" for place in step.places]
    for field, value in step.geometry.items():
        text, default = (_text(number) for number in (value, defaults[field]))
        if text != default:
            words.append(f"{field}={text}")
    words += [f"{field}=@{number}" for field, number in numbers.items()]
    if step.layout is not None:
        *axes, shift, to_shift = step.layout
        layout = [number for triple in axes for number in triple] + [shift, to_shift]
        words.append(f"layout={','.join(map(str, layout))}")
    return " ".join(words)


def _text(number: int | float) -> str:
    """As `_step` reads it; -0.0 is not 0.0."""
    return repr(float(number)) if isinstance(number, float) else str(int(number))


def _step(kernels: ModuleType, line: str, arrays: Mapping[str, np.ndarray]) -> Any:
    if not line.isascii():
        raise ValueError(f"a step must be ASCII, got {line[:80]!r}")
    op, x, y, residual, *words = line.split(" ")
    geometry: dict[str, int | float] = {}
    weights, layout = {}, None
    for word in words:
        field, _, value = word.partition("=")
        if field in geometry or field in weights:
            raise ValueError(f"{field[:40]!r} is there twice")
        if value[:1] == "@":
            if value[1:] not in arrays:
                raise ValueError(f"array {value[1:40]!r} is missing")
            weights[field] = arrays[value[1:]]
        elif field == "layout":
            layout = _layout(value)
        elif value.lstrip("-").isdigit():
            geometry[field] = int(value)
        else:
            geometry[field] = float(value)
    return kernels.Step(op, geometry, _place(x), _place(y), _place(residual), weights, layout)


def _place(word: str) -> tuple[int, int] | None:
    if word == "-":
        return None
    slot, _, offset = word.partition(":")
    return int(slot), int(offset)


def _layout(text: str) -> tuple[Any, ...]:
    numbers = tuple(map(int, text.split(",", 3 * AXES + 2)))
    if len(numbers) != 3 * AXES + 2:
        raise ValueError(f"layout must have {3 * AXES + 2} numbers")
    sizes, x, y, shifts = (numbers[i : i + AXES] for i in range(0, 4 * AXES, AXES))
    return sizes, x, y, *shifts
