"""Plan the layers that only move numbers, as strided copies (src/ops/copy.pxi)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dsconv.compiler.node import PlacedNode
from dsconv.kernels.named_program import Place
from dsconv.kernels.plans import StepPlan
from dsconv.kernels.steps import geometry
from dsconv.layers import Shape

MOST_COPIES = 1 << 14  # steps of one layer


def copy(
    size: int, out_size: int, x: Place, y: Place,
    sizes: Sequence[int], strides: Sequence[int], to: Sequence[int], shift: int = 0, to_shift: int = 0,
) -> StepPlan:  # fmt: skip
    """Plan y[i . to + to_shift] = x[i . strides + shift] for all i < sizes; at most five axes."""
    # The first axis is shared among threads and the last one is a run, so ones stand between.
    at = min(len(sizes) - 1, 1)
    layout = tuple(
        (*axes[:at], *(filler,) * (5 - len(axes)), *axes[at:])
        for axes, filler in ((sizes, 1), (strides, 0), (to, 0))
    )
    numbers = geometry((1, 1, size), (1, 1, out_size))
    return StepPlan("copy", numbers, x, y, layout=(*layout, shift, to_shift))


def _joined(at: PlacedNode, whole: Shape, parts: Sequence[Shape], split: bool) -> list[StepPlan]:
    """Plan a concat or split, where each part is a run of every row of the whole."""
    if len(parts) > MOST_COPIES:
        raise ValueError(f"layer {at.name!r}: {len(parts)} parts; at most {MOST_COPIES}")
    axis = vars(at.layer)["axis"] % len(whole)
    outer, row = math.prod(whole[:axis]), math.prod(whole[axis:])
    plans, start = [], 0
    for index, part in enumerate(parts):
        run, size = math.prod(part[axis:]), math.prod(part)
        total = math.prod(whole)
        if split:
            sides = total, size, at.inputs[0], at.outputs[index]
            plan = copy(*sides, (outer, run), (row, 1), (run, 1), shift=start)
        else:
            sides = size, total, at.inputs[index], at.outputs[0]
            plan = copy(*sides, (outer, run), (run, 1), (row, 1), to_shift=start)
        plans.append(plan)
        start += run
    return plans


def concat(at: PlacedNode) -> list[StepPlan]:
    return _joined(at, at.output_shapes[0], at.shapes, split=False)


def split(at: PlacedNode) -> list[StepPlan]:
    return _joined(at, at.shapes[0], at.output_shapes, split=True)


def _move(
    at: PlacedNode,
    sizes: Sequence[int],
    strides: Sequence[int],
    to: Sequence[int],
    to_shift: int = 0,
) -> StepPlan:
    totals = math.prod(at.shapes[0]), math.prod(at.output_shapes[0])
    return copy(*totals, at.inputs[0], at.outputs[0], sizes, strides, to, 0, to_shift)


def channel_shuffle(at: PlacedNode) -> list[StepPlan]:
    height, width, channels = at.shapes[0]
    groups = vars(at.layer)["groups"]
    each = channels // groups
    return [_move(at, (height * width, each, groups), (channels, 1, each), (channels, groups, 1))]


def space_to_depth(at: PlacedNode) -> list[StepPlan]:
    _, width, channels = at.shapes[0]
    rows, columns, deep = at.output_shapes[0]
    block = vars(at.layer)["block"]
    run = block * channels
    strides = block * width * channels, run, width * channels, 1
    return [_move(at, (rows, columns, block, run), strides, (columns * deep, deep, run, 1))]


def transpose(at: PlacedNode) -> list[StepPlan]:
    strides = _strides(at.shapes[0])
    return _strided(at, [strides[axis] for axis in vars(at.layer)["permutation"]])


def slice_axes(at: PlacedNode) -> list[StepPlan]:
    layer, strides = vars(at.layer), _strides(at.shapes[0])
    start = sum(first * stride for first, stride in zip(layer["starts"], strides, strict=True))
    steps = layer["steps"]
    return _strided(at, [k * stride for k, stride in zip(steps, strides, strict=True)], start)


def broadcast(at: PlacedNode) -> list[StepPlan]:
    shape = at.shapes[0]
    return _strided(at, [s * (n > 1) for s, n in zip(_strides(shape), shape, strict=True)])


def _strides(shape: Shape) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _strided(at: PlacedNode, strides: Sequence[int], start: int = 0) -> list[StepPlan]:
    """Plan to read the output from x at `strides`, with a copy for each index beyond five axes."""
    out = at.output_shapes[0]
    to, extra = _strides(out), max(len(out) - 5, 0)
    if math.prod(out[:extra]) > MOST_COPIES:
        raise ValueError(
            f"layer {at.name!r}: the axes before the last five of {out} have more than "
            f"{MOST_COPIES} places"
        )
    sides = math.prod(at.shapes[0]), math.prod(out), at.inputs[0], at.outputs[0]
    steps = []
    for index in np.ndindex(*out[:extra]):
        shift, to_shift = (
            sum(i * stride for i, stride in zip(index, s, strict=False)) for s in (strides, to)
        )
        axes = out[extra:], strides[extra:], to[extra:]
        steps.append(copy(*sides, *axes, start + shift, to_shift))
    return steps


def pad(at: PlacedNode) -> list[StepPlan]:
    height, width, channels = at.shapes[0]
    (top, _), (left, _) = at.layer.pixels  # type: ignore[attr-defined]
    row = at.output_shapes[0][1] * channels
    run = width * channels
    copy = _move(at, (height, run), (run, 1), (row, 1), top * row + left * channels)
    return [at.step("zero"), copy]
