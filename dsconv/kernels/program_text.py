"""Write a program as lines of text, apart from its weights, and read it again.

    lanes 8                              the widths for which the weights are packed
    block 16
    panel 16
    unshared 3512320                     floats of the arena if no two tensors shared memory
    input 224,224,3 input                shape and name, a line each
    output 1000 logits
    layer 1 864 conv_3x3 conv0           steps, parameters, kind and name of a layer
    features 27 0:401408 1024            steps before the classifier, and its input: place and shape
    step separable 1:0 0:150528 - h=112 w=112 c=32 ... high=6.0 mid_weight=288@1216 ...

A step has its op; the places of x, y and the second input, as array:offset, or - for none; the
fields of its geometry that differ from the kernels' `GEOMETRY`; for each of its weights the number
of floats and where they begin; and for a copy `layout=`, the 17 numbers of sizes, strides of x and
of y, and both shifts.

Nothing that is read is trusted: the kernels check each number before they use it
(src/frame/step.pxi, src/frame/program.pxi).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from dsconv.kernels import dispatch
from dsconv.kernels.named_program import Features, LayerLine, NamedProgram, Place
from dsconv.text.lines import Fields, at_most_one, number, one, shape_lines, shape_of, shapes_of

__all__ = ["packed_for", "program_lines", "program_of"]

_AXES = 5  # of a copy
_MOST_STEPS = 1 << 16
_WIDTHS = "lanes", "block", "panel"
_WIDEST = 1024  # floats of each of these


def program_lines(program: NamedProgram) -> Fields:
    """Return the lines of a program by their first word."""
    kernels = program.kernels
    features = program.features
    return {
        **{key: [str(getattr(kernels, key))] for key in _WIDTHS},
        "unshared": [str(program.unshared)],
        "input": shape_lines(program.inputs),
        "output": shape_lines(program.outputs),
        "layer": [
            f"{line.steps} {line.parameters} {_word(line.kind)} {line.name}"
            for line in program.layers
        ],
        "features": []
        if features is None
        else [
            f"{features.steps} {_place_word(features.place)} {','.join(map(str, features.shape))}"
        ],
        "step": [_step_line(step, program.floats, kernels.GEOMETRY) for step in program.steps],
    }


def packed_for(fields: Fields, kernels: ModuleType) -> bool:
    """Return true if the weights can be used as they lie, because these are their widths."""
    return all(fields.get(key) == [str(getattr(kernels, key))] for key in _WIDTHS)


def program_of(
    fields: Fields, floats: np.ndarray, check: Callable[[], None] = lambda: None
) -> NamedProgram:
    """Make the program that lines and weights describe, for the instruction set in use.

    Parameters
    ----------
    fields
        The lines, as `program_lines` made them; they are taken out.
    floats
        The weights. They are used as they lie where they are packed for the kernels in use, and
        are packed again elsewhere.
    check
        As in `NamedProgram`, for weights that are used as they lie.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If the lines are not those of a program that the kernels can run.
    """
    widths = tuple(number(one(fields, key), key, 1, _WIDEST) for key in _WIDTHS)
    if any(width % widths[0] for width in widths):
        raise ValueError(f"block and panel must be multiples of lanes, got {widths}")
    unshared = number(one(fields, "unshared"), "unshared")
    inputs, outputs = (shapes_of(fields.pop(key, []), key) for key in ("input", "output"))
    layers = [_layer(line) for line in fields.pop("layer", [])]
    features = at_most_one(fields, "features")
    lines = fields.pop("step", [])
    if not 1 <= len(lines) <= _MOST_STEPS:
        raise ValueError(f"there must be from 1 to {_MOST_STEPS} steps, got {len(lines)}")
    kernels = dispatch.kernels
    described = [_step(line, floats) for line in lines]
    if widths == tuple(getattr(kernels, key) for key in _WIDTHS):
        steps = [kernels.Step(*step) for step in described]
    else:
        from dsconv.kernels.packing import Widths
        from dsconv.kernels.repacking import repacked

        steps, floats = repacked(kernels, described, Widths(*widths), len(floats))
        check = _always_there
    program = NamedProgram(
        kernels, steps, floats, inputs, outputs, layers, _features(features), unshared, check
    )
    if features is not None:
        program.up_to_features("the program")  # raises if its features are elsewhere
    return program


def _always_there() -> None:
    """Pass, because these weights are in memory of their own."""


class DescribedStep(NamedTuple):
    """The arguments of the kernels' `Step`."""

    op: str
    geometry: dict[str, int | float]
    x: Place | None
    y: Place | None
    residual: Place | None
    weights: dict[str, np.ndarray]
    layout: tuple[Any, ...] | None


def _layer(line: str) -> LayerLine:
    steps, parameters, kind, name = line.split(" ", 3)
    counts = (number(text, "layer") for text in (parameters, steps))
    return LayerLine(name, kind.replace("+", " + ").replace("_", " "), *counts)


def _word(kind: str) -> str:
    """Return the kind of a layer as one word."""
    return kind.replace(" + ", "+").replace(" ", "_")


def _features(line: str | None) -> Features | None:
    if line is None:
        return None
    steps, place, shape = line.split(" ")
    where = _place(place)
    if where is None:
        raise ValueError("the features must have a place")
    return Features(number(steps, "features"), where, shape_of(shape, "features"))


def _step_line(step: Any, floats: np.ndarray, defaults: Mapping[str, Any]) -> str:
    words = [step.op, *map(_place_word, step.places)]
    for field, value in step.geometry.items():
        text, default = (_number_word(number) for number in (value, defaults[field]))
        if text != default:
            words.append(f"{field}={text}")
    for field, array in step.weights.items():
        start = (array.ctypes.data - floats.ctypes.data) // floats.itemsize
        words.append(f"{field}={len(array)}@{start}")
    if step.layout is not None:
        *axes, shift, to_shift = step.layout
        layout = [number for triple in axes for number in triple] + [shift, to_shift]
        words.append(f"layout={','.join(map(str, layout))}")
    return " ".join(words)


def _place_word(place: Place | None) -> str:
    return "-" if place is None else f"{place[0]}:{place[1]}"


def _number_word(number: int | float) -> str:
    """Return the word from which `_step` reads the same number; -0.0 is not 0.0."""
    return repr(float(number)) if isinstance(number, float) else str(int(number))


def _step(line: str, floats: np.ndarray) -> DescribedStep:
    if not line.isascii():
        raise ValueError(f"a step must be ASCII, got {line[:80]!r}")
    op, x, y, residual, *words = line.split(" ")
    geometry: dict[str, int | float] = {}
    weights, layout = {}, None
    for word in words:
        field, _, value = word.partition("=")
        count, at, start = value.partition("@")
        if field in geometry or field in weights:
            raise ValueError(f"{field[:40]!r} is there twice")
        if at:
            weights[field] = _part(floats, field, number(start, field), number(count, field))
        elif field == "layout":
            layout = _layout(value)
        elif value.lstrip("-").isdigit():
            geometry[field] = int(value)
        else:
            geometry[field] = float(value)
    return DescribedStep(op, geometry, _place(x), _place(y), _place(residual), weights, layout)


def _part(floats: np.ndarray, field: str, start: int, count: int) -> np.ndarray:
    if start + count > len(floats):
        raise ValueError(
            f"{field[:40]} is floats {start} to {start + count}, but there are {len(floats)}"
        )
    return floats[start : start + count]


def _place(word: str) -> Place | None:
    if word == "-":
        return None
    array, _, offset = word.partition(":")
    return int(array), int(offset)


def _layout(text: str) -> tuple[Any, ...]:
    numbers = tuple(map(int, text.split(",", 3 * _AXES + 2)))
    if len(numbers) != 3 * _AXES + 2:
        raise ValueError(f"layout must have {3 * _AXES + 2} numbers")
    sizes, x, y, shifts = (numbers[i : i + _AXES] for i in range(0, 4 * _AXES, _AXES))
    return sizes, x, y, *shifts
