"""Executable: what a call of a compiled model needs, out of a file, without its graph.

A step is described by five plain values:

    op         of src/program.pxi
    geometry   the fields that are not as in `GEOMETRY` there; infinite ones as "inf" and "-inf"
    places     [slot, offset] of x, y and the second input, or null for none
    weights    name of the array by name of the weight
    layout     of a copy, or null

The kernels check each of these numbers before they use it (src/checks.pxi).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dsconv.compiler.lowering import Lowered
    from dsconv.compiler.model import Shapes

__all__ = ["Executable", "describe"]

_INFINITIES = {"inf": math.inf, "-inf": -math.inf}


class Executable:
    """Described steps, made again.

    Parameters
    ----------
    kernels
        The module that will run them.
    descriptions
        Of the steps, as `describe` made them.
    arrays
        Vectors of float32 by name, packed for these kernels. They may be filled later.
    inputs, outputs
        Shapes by name.
    unshared, mult_adds
        As in `Lowered`.
    lower
        Makes the rest, for all that looks at layers.

    Raises
    ------
    ValueError, TypeError
        If a description is not one of a step that the kernels can run with these arrays.
    """

    def __init__(
        self,
        kernels: ModuleType,
        descriptions: Sequence[Any],
        arrays: Mapping[str, np.ndarray],
        inputs: Shapes,
        outputs: Shapes,
        unshared: int,
        mult_adds: int,
        lower: Callable[[], Lowered],
    ) -> None:
        self.kernels, self._lower = kernels, lower
        self.steps = [_step(kernels, description, arrays) for description in descriptions]
        self.inputs, self.outputs = inputs, outputs
        self.unshared, self.mult_adds = unshared, mult_adds

    @cached_property
    def lowered(self) -> Lowered:
        """The model with its graph."""
        return self._lower()


def describe(step: Any, names: Mapping[str, str], defaults: Mapping[str, Any]) -> list[Any]:
    """A step as values that JSON has; `names` are those of its weights' arrays."""
    geometry = {
        field: str(value) if math.isinf(value) else value
        for field, value in step.geometry.items()
        if value != defaults[field]
    }
    return [step.op, geometry, step.places, dict(names), step.layout]


def _step(kernels: ModuleType, description: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    op, geometry, (x, y, residual), names, layout = description
    if type(geometry) is not dict or type(names) is not dict:
        raise TypeError("geometry and weights of a step must be of type dict")
    fields = {field: _INFINITIES.get(value, value) for field, value in geometry.items()}
    weights = {}
    for field, name in names.items():
        if name not in arrays:
            raise ValueError(f"array {name!r} is missing")
        weights[field] = arrays[name]
    return kernels.Step(op, fields, x, y, residual, weights, layout)
