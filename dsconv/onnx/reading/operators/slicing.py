"""Translate operators that take parts of tensors, or join them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsconv.layers import Concat, Split
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.operators.call import Call, Result
from dsconv.onnx.reading.values import BATCH, Tensor

_TO_END = 2**31 - 1  # exporters write this, or a larger number, for "to the end"
_MOST_RUNS = 64  # in the indices of a Gather, because each run becomes a layer


def slice_of(call: Call) -> Tensor:
    call.arity(1, 5 if call.opset >= 10 else 1)
    x = call.tensor()
    rank = len(x.shape)
    starts, ends, axes, steps = _limits(call, rank)
    parts = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis % (rank + 1) == 0 and -rank - 1 <= axis:
            to_end = (
                end is BATCH or end >= _TO_END or (call.batch is not None and end >= call.batch)
            )
            if start != 0 or step != 1 or not to_end:
                raise ValueError("a part of axis 0, the batch, is not supported")
            continue
        if BATCH in (start, end, step) or step == 0:
            raise ValueError(f"from {start} to {end} in steps of {step} is not supported")
        parts[call.axis(axis, rank)] = slice(start, end, step)
    ranges = [range(*p.indices(size)) for p, size in zip(parts, x.shape, strict=True)]
    if not all(ranges):
        raise ValueError(f"nothing is left of {shown(x.shape)}")
    return call.build.slice(
        x,
        [r.start for r in ranges],
        [len(r) for r in ranges],
        [r.step if len(r) > 1 else 1 for r in ranges],
    )


def _limits(call: Call, rank: int) -> tuple[list[Any], list[Any], list[int], list[int]]:
    """Return starts, ends, axes and steps, all of one length."""
    if call.opset < 10:
        starts, ends = call.node.integers("starts"), call.node.integers("ends")
        if starts is None or ends is None:
            raise ValueError("the attributes 'starts' and 'ends' are missing")
        axes, steps = call.node.integers("axes"), None
    else:
        if not call.given(1) or not call.given(2):
            raise ValueError("the inputs 'starts' and 'ends' are missing")
        starts, ends = call.integers(1), call.integers(2)
        axes = call.plain_integers(3) if call.given(3) else None
        steps = call.plain_integers(4) if call.given(4) else None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    known = {axis % (rank + 1) for axis in axes}
    if not len(starts) == len(ends) == len(axes) == len(steps) == len(known):
        raise ValueError(f"starts, ends, axes {axes[:9]} and steps do not fit each other")
    return starts, ends, axes, steps


def gather(call: Call) -> Tensor:
    """Translate Gather with constant indices. A single index drops the axis."""
    call.arity(2)
    x = call.tensor()
    axis = call.axis(call.node.integer("axis", 0), len(x.shape))
    shape = call.constant(1).shape
    if len(shape) > 1:
        raise ValueError(f"indices of the shape {shape} are not supported")
    x = take(call, x, axis, call.plain_integers(1))
    return x if shape else call.build.reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


def take(call: Call, x: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """Take entries of one axis, by a slice for each run of evenly spaced indices."""
    size = x.shape[axis]
    if not len(indices) or not all(-size <= index < size for index in indices):
        raise ValueError(f"the indices of axis {axis + 1} must be from 0 to {size - 1}")
    runs = _runs([int(index) % size for index in indices])
    if len(runs) > _MOST_RUNS:
        raise ValueError(f"indices in {len(runs)} runs, at most {_MOST_RUNS} are supported")
    parts = []
    for start, count, step in runs:
        starts, sizes, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
        starts[axis], sizes[axis], steps[axis] = start, count, step
        parts.append(call.build.slice(x, starts, sizes, steps))
    return _joined(call, parts, axis)


def _runs(indices: list[int]) -> list[tuple[int, int, int]]:
    """Cut a list of indices into the longest runs (start, count, step) whose step is not 0."""
    runs = []
    first = 0
    while first < len(indices):
        last, step = first, 1
        if first + 1 < len(indices) and indices[first + 1] != indices[first]:
            step = indices[first + 1] - indices[first]
            while last + 1 < len(indices) and indices[last + 1] - indices[last] == step:
                last += 1
        runs.append((indices[first], last - first + 1, step if last > first else 1))
        first = last + 1
    return runs


def concat(call: Call) -> Tensor:
    call.arity(1, len(call.values))
    parts = [call.tensor(index) for index in range(len(call.values))]
    rank = len(parts[0].shape)
    if call.node.integer("axis") is None:
        raise ValueError("the attribute 'axis' is missing")
    axis = call.axis(call.node.integer("axis"), rank)
    for part in parts:
        if len(part.shape) != rank:
            raise ValueError(
                f"{shown(part.shape)} and {shown(parts[0].shape)} have different numbers of axes"
            )
    return _joined(call, parts, axis)


def _joined(call: Call, parts: Sequence[Tensor], axis: int) -> Tensor:
    first = parts[0]
    if len(parts) == 1:
        return first
    names = [call.build.ordered(part, first.order).name for part in parts]
    name = call.build.add(Concat(first.order.index(axis)), *names)
    size = sum(part.shape[axis] for part in parts)
    return Tensor(name, (*first.shape[:axis], size, *first.shape[axis + 1 :]), first.order)


def split(call: Call) -> Result:
    """Translate a split into given sizes, or into as many equal parts as there are outputs."""
    call.arity(1, 2 if call.opset >= 13 else 1)
    x = call.tensor()
    axis = call.axis(call.node.integer("axis", 0), len(x.shape))
    size, outputs = x.shape[axis], len(call.node.outputs)
    sizes = call.list_of("split", 1, since=13)
    parts = call.node.integer("num_outputs", outputs)
    if parts != outputs or outputs < 1:
        raise ValueError(f"'num_outputs' is {parts}, but there are {outputs} outputs")
    if sizes is None:
        each = -(-size // outputs)
        sizes = [each] * (outputs - 1) + [size - each * (outputs - 1)]
        if call.opset < 18 and sizes[-1] != each:
            raise ValueError(f"axis {axis + 1} of size {size} does not divide into {outputs} parts")
    if len(sizes) != outputs:
        raise ValueError(f"{len(sizes)} sizes for {outputs} outputs")
    if sizes == [size]:
        return x
    names = call.build.add_many(Split(tuple(sizes), x.order.index(axis)), x.name)
    return [
        Tensor(name, (*x.shape[:axis], part, *x.shape[axis + 1 :]), x.order)
        for name, part in zip(names, sizes, strict=True)
    ]


OPERATORS = {"Slice": slice_of, "Gather": gather, "Concat": concat, "Split": split}
