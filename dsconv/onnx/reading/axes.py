"""Compare the axes of a tensor before and after: which of them stay together, split or join."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv.layers import Shape
from dsconv.onnx.reading.values import Tensor


def shown(shape: Sequence[object]) -> str:
    """Return a shape of the file as text for messages, with N for the batch."""
    return f"({', '.join(map(str, ('N', *shape)))})"


def runs(x: Tensor, order: Sequence[int]) -> tuple[list[int], list[int]]:
    """Join the axes of x that stay neighbours when x is brought into another order.

    Returns
    -------
    sizes : list of int
        The sizes of the joined axes, as they lie now.
    wanted : list of int
        The order in which these must lie.
    """
    axes = [axis for axis in x.order if x.shape[axis] != 1]
    target = [axis for axis in order if x.shape[axis] != 1]
    follows = dict(zip(target, target[1:], strict=False))
    sizes: list[int] = []
    run_of: dict[int, int] = {}
    for i, axis in enumerate(axes):
        if i and follows.get(axes[i - 1]) == axis:
            sizes[-1] *= x.shape[axis]
        else:
            sizes.append(x.shape[axis])
        run_of[axis] = len(sizes) - 1
    wanted = list(dict.fromkeys(run_of[axis] for axis in target))
    return sizes, wanted


def groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Pair the smallest groups of axes with the axes that hold the same numbers after a reshape."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    found = []
    while left:
        group: tuple[list[int], list[int]] = [left.pop(0)], [right.pop(0)]
        a, b = before[group[0][0]], after[group[1][0]]
        while a != b:
            if a < b:
                a *= before[left[0]]
                group[0].append(left.pop(0))
            else:
                b *= after[right[0]]
                group[1].append(right.pop(0))
        found.append(group)
    return found


def merged(before: Shape, after: Shape) -> tuple[Shape, Shape]:
    """Join neighbouring axes if a broadcast repeats all of them, or none of them."""
    old: list[int] = []
    new: list[int] = []
    kinds: list[bool] = []
    for a, b in zip(before, after, strict=True):
        if b == 1:
            continue
        if kinds and kinds[-1] == (a != b):
            old[-1], new[-1] = old[-1] * a, new[-1] * b
        else:
            old.append(a)
            new.append(b)
            kinds.append(a != b)
    return tuple(old), tuple(new)
