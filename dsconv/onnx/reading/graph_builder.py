"""Build the graph: add layers with names and weights, and bring tensors into the order they need.

ONNX stores the channels before the pixels, our maps store them last. `Tensor.order` says in which
order the axes of a tensor are stored; `ordered` and `reshape` move numbers only if they must.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from types import MappingProxyType

import numpy as np

from dsconv import layers
from dsconv.graph import Graph
from dsconv.layers import Layer, Shape
from dsconv.onnx.reading.axes import groups, merged, runs, shown
from dsconv.onnx.reading.budget import Budget
from dsconv.onnx.reading.values import Tensor

MAP_ORDER = (1, 2, 0)  # a map (C, H, W) that is stored as (H, W, C)
Read = Callable[[], np.ndarray]
NOTHING: Mapping[str, Read] = MappingProxyType({})


class GraphBuilder:
    """A graph to which layers are added.

    Parameters
    ----------
    name : str
        The name of the graph.
    budget : Budget
        The memory for weights that are not in the file.
    """

    def __init__(self, name: str, budget: Budget) -> None:
        self.graph = Graph(legal(name) or "onnx")
        self.reads: dict[str, Read] = {}
        self.budget = budget
        self.hint = ""  # the name for the next layer
        self._taken: set[str] = set()
        self._counters: dict[str, Iterator[int]] = {}
        self._ordered: dict[tuple[Tensor, tuple[int, ...]], Tensor] = {}

    def input(self, name: str, shape: Shape) -> Tensor:
        """Add an input in the order of the caller's array, which is the order of the file."""
        self.graph.input(shape or (1,), name=name)
        return Tensor(name, shape, tuple(range(len(shape))))

    def add(
        self, layer: Layer, *inputs: str, part: str = "", weights: Mapping[str, Read] = NOTHING
    ) -> str:
        """Add a layer with one output, named as the node, or node/part."""
        (output,) = self.add_many(layer, *inputs, part=part, weights=weights)
        return output

    def add_many(
        self, layer: Layer, *inputs: str, part: str = "", weights: Mapping[str, Read] = NOTHING
    ) -> tuple[str, ...]:
        """Add a layer with any number of outputs."""
        name = self.unique_name(f"{self.hint}/{part}" if part else self.hint)
        self.graph.add(layer, *inputs, name=name)
        self.reads.update((f"{name}/{parameter}", read) for parameter, read in weights.items())
        return self.graph.tensors(name)

    def map(self, x: Tensor) -> str:
        """Return the name of a tensor (C, H, W) that is stored as a map (H, W, C)."""
        if len(x.shape) != 3:
            raise ValueError(f"the input must be (N, C, H, W), got {shown(x.shape)}")
        return self.ordered(x, MAP_ORDER).name

    def from_map(self, name: str) -> Tensor:
        """Return a map (H, W, C) of the graph as a tensor (C, H, W)."""
        height, width, channels = self.graph.shape(name)
        return Tensor(name, (channels, height, width), MAP_ORDER)

    def plain(self, x: Tensor) -> str:
        """Return the name of a tensor that is stored in the order of the file."""
        return self.ordered(x, tuple(range(len(x.shape)))).name

    def ordered(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """Store a tensor with its axes in another order."""
        order = tuple(order)
        if order == x.order:
            return x
        key = x, order
        if key not in self._ordered:
            self._ordered[key] = self._reordered(x, order)
        return self._ordered[key]

    def last(self, x: Tensor, axis: int) -> Tensor:
        """Store a tensor with one axis last, where layers expect the channels."""
        return self.ordered(x, [a for a in x.order if a != axis] + [axis])

    def _reordered(self, x: Tensor, order: tuple[int, ...]) -> Tensor:
        goal = Tensor(x.name, x.shape, order)
        sizes, wanted = runs(x, order)
        if wanted == sorted(wanted):
            return goal._replace(name=self.view(x.name, goal.inside))
        if len(order) <= 5:
            places = tuple(x.order.index(axis) for axis in order)
            return goal._replace(name=self.add(layers.Transpose(places), x.name, part="transpose"))
        if len(sizes) > 5:
            raise ValueError(f"transposing {shown(x.shape)} needs more than five axes")
        name = self.view(x.name, tuple(sizes))
        name = self.add(layers.Transpose(tuple(wanted)), name, part="transpose")
        return goal._replace(name=self.view(name, goal.inside))

    def view(self, name: str, shape: Shape) -> str:
        """Reshape a tensor of the graph, in the order in which it is stored."""
        if self.graph.shape(name) == shape:
            return name
        return self.add(layers.Reshape(shape), name, part="reshape")

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """Reshape a tensor of the file, whose numbers are counted in the file's order.

        Nothing moves if the axes that are split or joined are stored side by side and in order.
        """
        if math.prod(shape) != math.prod(x.shape):
            raise ValueError(
                f"the shape {shown(x.shape)} cannot become {shown(shape)}: it has "
                f"{math.prod(x.shape)} values for each image, and not {math.prod(shape)}"
            )
        pairs = groups(x.shape, shape)
        place = {axis: i for i, axis in enumerate(a for a in x.order if x.shape[a] != 1)}
        pairs.sort(key=lambda pair: min(place[axis] for axis in pair[0]))
        before = [axis for pair in pairs for axis in pair[0]]
        if before != sorted(before, key=place.__getitem__):
            ones = [axis for axis in range(len(x.shape)) if x.shape[axis] == 1]
            x = self.ordered(x, ones + before)
        order = [axis for axis in range(len(shape)) if shape[axis] == 1]
        order += [axis for pair in pairs for axis in pair[1]]
        result = Tensor(x.name, shape, tuple(order))
        return result._replace(name=self.view(x.name, result.inside))

    def scale_shift(
        self, x: Tensor, scale: float | np.ndarray, shift: float | np.ndarray, part: str = ""
    ) -> Tensor:
        """Compute x * scale + shift by a batch norm. Both arrays broadcast to the shape of x."""
        scale, shift = np.asarray(scale, np.float32), np.asarray(shift, np.float32)
        if np.isinf(scale).any():
            raise ValueError("scaling by infinity, or division by 0, is not supported")
        rank = len(x.shape)
        both = np.broadcast_shapes(scale.shape, shift.shape, (1,) * rank)
        x = self.broadcast(x, np.broadcast_shapes(x.shape, both))
        axes = [axis for axis in range(rank) if both[axis] != 1]
        if not axes and rank:
            axes = [x.order[-1]]
        if set(x.order[rank - len(axes) :]) != set(axes):
            x = self.ordered(x, [a for a in x.order if a not in axes] + axes)
        last = x.order[rank - len(axes) :]
        channels = math.prod(x.shape[axis] for axis in last)
        self.budget.take(20 * channels, "the factors of a scaling")
        target = [x.shape[axis] if axis in last else 1 for axis in range(rank)]

        def along(value: np.ndarray) -> np.ndarray:
            value = value.reshape((1,) * (rank - value.ndim) + value.shape)
            value = np.broadcast_to(value, target).transpose(x.order)
            return np.ascontiguousarray(value.reshape(channels))

        name = x.name
        if len(last) > 1:
            name = self.view(name, (*x.inside[: rank - len(last)], channels))
        constants = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        gamma, beta = along(scale), along(shift)
        weights = {
            "gamma": lambda: gamma,
            "beta": lambda: beta,
            "mean": lambda: constants[0],
            "variance": lambda: constants[1],
        }
        name = self.add(layers.BatchNorm(0.0), name, part=part, weights=weights)
        return x._replace(name=self.view(name, x.inside))

    def broadcast(self, x: Tensor, shape: Shape) -> Tensor:
        """Repeat the axes of size 1 so that x gets `shape`, which has as many axes."""
        if shape == x.shape:
            return x
        goal = Tensor(x.name, shape, x.order)
        before, after = x.inside, goal.inside
        if len(before) > 5:  # a Broadcast layer has at most five axes
            before, after = merged(before, after)
        if len(before) > 5:
            raise ValueError(
                f"repeating {shown(x.shape)} to {shown(shape)} needs {len(before)} axes; at most 5 "
                "are supported"
            )
        name = self.view(x.name, before)
        name = self.add(layers.Broadcast(after), name, part="broadcast")
        return goal._replace(name=self.view(name, goal.inside))

    def pad(self, x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
        """Add zeros before and after the numbers of each axis."""
        padded = [axis for axis in range(len(x.shape)) if before[axis] or after[axis]]
        if len(x.shape) == 3 and 0 not in padded and padded:
            pixels = ((before[1], after[1]), (before[2], after[2]))
            return self.from_map(self.add(layers.Pad(pixels), self.map(x)))
        for axis in padded:
            place = x.order.index(axis)
            inside = x.inside
            outer, inner = math.prod(inside[:place]), math.prod(inside[place + 1 :])
            pixels = ((0, 0), (before[axis], after[axis]))
            name = self.view(x.name, (outer, inside[place], inner))
            name = self.add(layers.Pad(pixels), name)
            size = x.shape[axis] + before[axis] + after[axis]
            x = x._replace(shape=(*x.shape[:axis], size, *x.shape[axis + 1 :]))
            x = x._replace(name=self.view(name, x.inside))
        return x

    def slice(
        self, x: Tensor, starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int]
    ) -> Tensor:
        """Take, on each axis, `sizes` numbers from `starts` on, `steps` apart."""
        if tuple(sizes) == x.shape and set(steps) <= {1}:
            return x
        if len(x.shape) > 5:
            raise ValueError(f"slicing {shown(x.shape)} needs more than five axes")
        first, count, step = (tuple(of[a] for a in x.order) for of in (starts, sizes, steps))
        name, node = x.name, self.graph.nodes.get(x.name)
        if node is not None and isinstance(node.layer, layers.Slice):  # join both slices
            old = node.layer
            first = tuple(a + b * c for a, b, c in zip(old.starts, old.steps, first, strict=True))
            step = tuple(a * b for a, b in zip(old.steps, step, strict=True))
            (name,) = node.inputs
        return Tensor(self.add(layers.Slice(first, count, step), name), tuple(sizes), x.order)

    def unique_name(self, hint: str) -> str:
        """Return a name like `hint` that a graph allows and that is not returned again."""
        base = legal(hint) or "tensor"
        if base in self._taken:
            counter = self._counters.setdefault(base, count(2))
            base = next(n for i in counter if (n := f"{base}_{i}") not in self._taken)
        self._taken.add(base)
        return base


def legal(name: str) -> str:
    """Replace the characters that names of a graph may not have."""
    return "".join(c if c.isprintable() and c != ":" else "_" for c in name[:200])
