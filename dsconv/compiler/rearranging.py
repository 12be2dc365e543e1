"""Steps of the layers that only move numbers: strided copies (src/elementwise/rearrange.pxi)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv.compiler.layout import Place
from dsconv.kernels import steps
from dsconv.layers import Shape

if TYPE_CHECKING:
    from dsconv.compiler.lowering import Emitter

MOST_COPIES = 1 << 14  # steps of one layer


def copy_step(
    kernels: ModuleType, size: int, out_size: int, x: Place, y: Place,
    sizes: Sequence[int], strides: Sequence[int], to: Sequence[int], shift: int = 0, to_shift: int = 0,
) -> Any:  # fmt: skip
    """y[i . to + to_shift] = x[i . strides + shift] for all i < sizes; at most five axes."""
    fill = 5 - len(sizes)
    if fill and len(sizes) > 1:  # the first axis is shared among threads, the last is a run
        middle = (1,) * fill, (0,) * fill
        sizes, strides, to = (
            (*axes[:1], *middle[i], *axes[1:]) for axes, i in ((sizes, 0), (strides, 1), (to, 1))
        )
    elif fill:
        sizes, strides, to = (
            (1,) * 4 + tuple(sizes),
            (0,) * 4 + tuple(strides),
            (0,) * 4 + tuple(to),
        )
    layout = tuple(sizes), tuple(strides), tuple(to), shift, to_shift
    return kernels.Step(
        "copy", steps.geometry((1, 1, size), (1, 1, out_size)), x, y, None, None, layout
    )


def _joined(emit: Emitter, whole: Shape, parts: Sequence[Shape], split: bool) -> list[Any]:
    """Concat and split: each part is a run of every row of the whole."""
    if len(parts) > MOST_COPIES:
        raise ValueError(f"layer {emit.node.name!r}: {len(parts)} parts; at most {MOST_COPIES}")
    axis = vars(emit.layer)["axis"] % len(whole)
    outer, row = math.prod(whole[:axis]), math.prod(whole[axis:])
    steps, start = [], 0
    for index, part in enumerate(parts):
        run, size = math.prod(part[axis:]), math.prod(part)
        total = math.prod(whole)
        if split:
            sides = total, size, emit.inputs[0], emit.outputs[index]
            step = copy_step(emit.kernels, *sides, (outer, run), (row, 1), (run, 1), shift=start)
        else:
            sides = size, total, emit.inputs[index], emit.outputs[0]
            step = copy_step(emit.kernels, *sides, (outer, run), (run, 1), (row, 1), to_shift=start)
        steps.append(step)
        start += run
    return steps


def concat(emit: Emitter) -> list[Any]:
    return _joined(emit, emit.output_shapes[0], emit.shapes, split=False)


def split(emit: Emitter) -> list[Any]:
    return _joined(emit, emit.shapes[0], emit.output_shapes, split=True)


def _move(
    emit: Emitter,
    sizes: Sequence[int],
    strides: Sequence[int],
    to: Sequence[int],
    to_shift: int = 0,
) -> Any:
    totals = math.prod(emit.shapes[0]), math.prod(emit.output_shapes[0])
    return copy_step(
        emit.kernels, *totals, emit.inputs[0], emit.outputs[0], sizes, strides, to, 0, to_shift
    )


def channel_shuffle(emit: Emitter) -> list[Any]:
    height, width, channels = emit.shapes[0]
    groups = vars(emit.layer)["groups"]
    each = channels // groups
    return [_move(emit, (height * width, each, groups), (channels, 1, each), (channels, groups, 1))]


def space_to_depth(emit: Emitter) -> list[Any]:
    _, width, channels = emit.shapes[0]
    rows, columns, deep = emit.output_shapes[0]
    block = vars(emit.layer)["block"]
    run = block * channels
    strides = block * width * channels, run, width * channels, 1
    return [_move(emit, (rows, columns, block, run), strides, (columns * deep, deep, run, 1))]


def transpose(emit: Emitter) -> list[Any]:
    strides = _strides(emit.shapes[0])
    return _strided(emit, [strides[axis] for axis in vars(emit.layer)["permutation"]])


def slice_axes(emit: Emitter) -> list[Any]:
    layer, strides = vars(emit.layer), _strides(emit.shapes[0])
    start = sum(first * stride for first, stride in zip(layer["starts"], strides, strict=True))
    steps = layer["steps"]
    return _strided(emit, [k * stride for k, stride in zip(steps, strides, strict=True)], start)


def broadcast(emit: Emitter) -> list[Any]:
    shape = emit.shapes[0]
    return _strided(emit, [s * (n > 1) for s, n in zip(_strides(shape), shape, strict=True)])


def _strides(shape: Shape) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _strided(emit: Emitter, strides: Sequence[int], start: int = 0) -> list[Any]:
    """The output read from x at `strides`; one copy for every index of the axes beyond five."""
    out = emit.output_shapes[0]
    to, extra = _strides(out), max(len(out) - 5, 0)
    if math.prod(out[:extra]) > MOST_COPIES:
        raise ValueError(
            f"layer {emit.node.name!r}: the axes before the last five of {out} have more than "
            f"{MOST_COPIES} places"
        )
    sides = math.prod(emit.shapes[0]), math.prod(out), emit.inputs[0], emit.outputs[0]
    steps = []
    for index in np.ndindex(*out[:extra]):
        shift, to_shift = (
            sum(i * stride for i, stride in zip(index, s, strict=False)) for s in (strides, to)
        )
        axes = out[extra:], strides[extra:], to[extra:]
        steps.append(copy_step(emit.kernels, *sides, *axes, start + shift, to_shift))
    return steps


def pad(emit: Emitter) -> list[Any]:
    height, width, channels = emit.shapes[0]
    (top, _), (left, _) = emit.layer.pixels  # type: ignore[attr-defined]
    row = emit.output_shapes[0][1] * channels
    run = width * channels
    copy = _move(emit, (height, run), (run, 1), (row, 1), top * row + left * channels)
    return [emit.step("zero"), copy]
