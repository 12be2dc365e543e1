"""Put weights in the order in which the kernels read them, and take them out again.

A weight is a matrix, or some side by side: one of each group of a convolution or of Winograd's
algorithm. It is packed in panels, one after the other, row by row:

        columns ->                              packed
      +---------+---------+-----+             +---------+---------+-----+
    r | panel 0 | panel 1 | 2   |     ->      | panel 0 | panel 1 | 2   |    the next matrix ...
    o |         |         |     |             +---------+---------+-----+
    w +---------+---------+-----+

The columns are filled up to whole vecs, of `lanes` floats. Panels have at most `panel` columns and
share the vecs evenly, the wider ones first (src/frame/columns.pxi). The rows are what one output is the
sum of; a bias has one row. Two kinds of weights have panels of `block` columns:

- a depthwise weight, whose rows are its taps: filled up to whole blocks (src/microkernels/depthwise.pxi);
- the expansion of an inverted residual, whose tile writes what a depthwise tile reads
  (src/ops/inverted_residual.pxi).

Packed weights depend on these three widths of a kernel module. The op and the geometry of a step tell
the rest, so weights that are packed for one instruction set can be packed again for another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np


class Widths(NamedTuple):
    """Floats of a vec, of a depthwise block and of the widest panel of one kernel module."""

    lanes: int
    block: int
    panel: int

    @classmethod
    def of(cls, kernels: ModuleType) -> Widths:
        """Return the widths of a kernel module."""
        return cls(kernels.lanes, kernels.block, kernels.panel)


class Packing:
    """The kind, shape and groups of one weight of a step.

    Attributes
    ----------
    shape : tuple of int
        Shape of the plain array.
    groups : int
    depthwise : bool
        True for (KH, KW, C, M), whose columns are C * M; else the last axis has the columns.
    blocks : bool
        True if the panels are as wide as a depthwise block.
    matrix : (int, int)
        Rows and columns of the plain array as one matrix, all groups side by side.
    """

    __slots__ = ("shape", "groups", "depthwise", "blocks", "matrix")

    def __init__(
        self, shape: tuple[int, ...], groups: int = 1, *,
        depthwise: bool = False, blocks: bool = False,
    ) -> None:  # fmt: skip
        self.shape, self.groups = shape, groups
        self.depthwise, self.blocks = depthwise, blocks or depthwise
        first = 2 if depthwise else -1  # of the axes that are columns
        self.matrix = math.prod(shape[:first]), math.prod(shape[first:])

    def bias(self) -> Packing:
        """Return how the bias of a convolution with this weight is packed."""
        shape = (1, 1, self.matrix[1], 1) if self.depthwise else (self.matrix[1],)
        return Packing(shape, self.groups, depthwise=self.depthwise)

    def floats(self, widths: Widths) -> int:
        """Return the size of the packed weight."""
        rows, columns = self.matrix
        fill = widths.block if self.depthwise else widths.lanes
        return self.groups * rows * round_up(columns // self.groups, fill)

    def pack(self, array: np.ndarray | None, data: np.ndarray, widths: Widths) -> None:
        """Write the plain array, or zeros for None, into `data`, which has `floats` values."""
        if array is None:
            data[...] = 0
            return
        for plain, panel in self._panels(array, data, widths):
            columns = plain.shape[2]
            if columns == panel.shape[2] and plain.strides[2] == plain.itemsize:
                row = np.dtype((np.void, columns * plain.itemsize))  # copied a row at a time
                panel.view(row)[...] = plain.view(row)
            else:
                panel[:, :, :columns] = plain
                panel[:, :, columns:] = 0

    def packed(self, array: np.ndarray | None, widths: Widths) -> np.ndarray:
        """Return the packed array in memory of its own."""
        if array is None:
            return np.zeros(self.floats(widths), np.float32)
        data = np.empty(self.floats(widths), np.float32)
        self.pack(array, data, widths)
        return data

    def unpack(self, data: np.ndarray, widths: Widths) -> np.ndarray:
        """Return the plain array that `pack` wrote into `data`."""
        array = np.empty(self.shape, np.float32)
        for plain, panel in self._panels(array, data, widths):
            plain[...] = panel[:, :, : plain.shape[2]]
        return array

    def _panels(
        self, array: np.ndarray, data: np.ndarray, widths: Widths
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield views of each panel in the plain and in the packed array, as (groups, rows, columns)."""
        rows, groups = self.matrix[0], self.groups
        plain = array.reshape(rows, groups, -1).swapaxes(0, 1)
        packed = data.reshape(groups, -1)
        widest = widths.block if self.blocks else widths.panel
        vecs = packed.shape[1] // rows // widths.lanes
        for first, last in panels(vecs, widest // widths.lanes):
            first, last = first * widths.lanes, last * widths.lanes
            panel = packed[:, rows * first : rows * last].reshape(groups, rows, last - first)
            yield plain[:, :, first:last], panel


def panels(vecs: int, most: int) -> Iterator[tuple[int, int]]:
    """Return the first vec of each panel and of the next, if panels have at most `most` vecs."""
    count = -(-vecs // most)
    edges = [i * (vecs // count) + min(i, vecs % count) for i in range(count + 1)]
    return itertools.pairwise(edges)


def round_up(number: int, step: int) -> int:
    """Return the next multiple of `step`."""
    return -(-number // step) * step


Sizes = Mapping[str, int]


def _convolution(g: Sizes) -> dict[str, Packing]:
    kernel, depth = (g["kh"], g["kw"]), g["c"] // max(g["groups"], 1)
    return _with_biases(Packing((*kernel, depth, g["oc"]), g["groups"]))


def _winograd(g: Sizes) -> dict[str, Packing]:
    matrices, oc = (g["tile"] + 2) ** 2, g["oc"]
    weight = Packing((g["c"], matrices * oc), matrices)
    return {"weight": weight, "bias": Packing((oc,))}


def _filters(g: Sizes) -> Packing:
    return Packing((g["kh"], g["kw"], g["c"], g["multiplier"]), depthwise=True)


def _depthwise(g: Sizes) -> dict[str, Packing]:
    return _with_biases(_filters(g))


def _separable(g: Sizes) -> dict[str, Packing]:
    last = Packing((g["c"] * g["multiplier"], g["oc"]))
    return _with_biases(last, _filters(g))


def _inverted_residual(g: Sizes) -> dict[str, Packing]:
    hidden = g["hidden"]
    middle = Packing((g["kh"], g["kw"], hidden, 1), depthwise=True)
    first, last = Packing((g["c"], hidden), blocks=True), Packing((hidden, g["oc"]))
    return _with_biases(last, middle, first)


def _scale(g: Sizes) -> dict[str, Packing]:
    return _with_biases(Packing((g["c"],)))


def _l2(g: Sizes) -> dict[str, Packing]:
    return {"weight": Packing((g["c"],))}


STAGES = ("", "mid_", "in_")  # before the names of weights and clamps, from the last stage on


def _with_biases(*weights: Packing) -> dict[str, Packing]:
    """Return the packings of these weights, from the last stage on, and of their biases."""
    found: dict[str, Packing] = {}
    for prefix, weight in reversed([*zip(STAGES, weights, strict=False)]):
        found |= {f"{prefix}weight": weight, f"{prefix}bias": weight.bias()}
    return found


_WEIGHTS: dict[str, Callable[[Sizes], dict[str, Packing]]] = {
    "pointwise": _convolution,
    "standard": _convolution,
    "winograd": _winograd,
    "depthwise": _depthwise,
    "separable": _separable,
    "inverted_residual": _inverted_residual,
    "scale": _scale,
    "l2": _l2,
}


def weights_of(op: str, geometry: Sizes) -> dict[str, Packing]:
    """Return how the weights of a step are packed, by the names that `Step` gives them.

    Parameters
    ----------
    op
        One of `OPS` of the kernels.
    geometry
        All fields of the step's geometry that are whole numbers.

    Raises
    ------
    ValueError
        If a size is below 1, so that there can be no such weights.
    """
    found = _WEIGHTS[op](geometry) if op in _WEIGHTS else {}
    for field, packing in found.items():
        if min(*packing.shape, packing.groups) < 1:
            raise ValueError(f"{op}: {field} cannot have the shape {packing.shape}")
    return found
