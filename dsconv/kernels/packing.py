"""Put weights in the order in which the kernels read them, and take them out again.

A weight is a matrix, or some side by side: one of each group of a convolution or of Winograd's
algorithm. It is packed in panels of `block` columns, one after the other, row by row:

        columns ->                              packed
      +---------+---------+-----+             +---------+---------+-----+
    r | panel 0 | panel 1 | rest|     ->      | panel 0 | panel 1 | rest|    the next matrix ...
    o |         |         |     |             +---------+---------+-----+
    w +---------+---------+-----+

    panels   (..., N): the rest is filled up to whole vecs        (src/microkernels/gemm.pxi)
    blocks   (KH, KW, C, M): C * M columns, filled up to a block  (src/microkernels/depthwise.pxi)

A bias has one row. Packed weights depend on two widths of a kernel module, `lanes` and `block`. The
op and the geometry of a step tell the rest, so weights that are packed for one instruction set can
be packed again for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np

Views = tuple[np.ndarray, np.ndarray]  # of the plain and of the packed array


class Widths(NamedTuple):
    """Floats of a vec, and of a panel or a depthwise block, of one kernel module."""

    lanes: int
    block: int

    @classmethod
    def of(cls, kernels: ModuleType) -> Widths:
        """Return the widths of a kernel module."""
        return cls(kernels.lanes, kernels.block)


class Packing:
    """The form, shape and groups of one weight of a step.

    Attributes
    ----------
    form : str
        "panels" or "blocks".
    shape : tuple of int
        Shape of the plain array.
    groups : int
    matrix : (int, int)
        Rows and columns of the plain array as one matrix, all groups side by side.
    """

    __slots__ = ("form", "shape", "groups", "matrix")

    def __init__(self, form: str, shape: tuple[int, ...], groups: int = 1) -> None:
        self.form, self.shape, self.groups = form, shape, groups
        first = 2 if form == "blocks" else -1  # of the axes that are columns
        self.matrix = math.prod(shape[:first]), math.prod(shape[first:])

    def bias(self) -> Packing:
        """Return how the bias of a convolution with this weight is packed."""
        shape = (1, 1) if self.form == "blocks" else ()
        return Packing(self.form, (*shape, self.matrix[1]), self.groups)

    def floats(self, widths: Widths) -> int:
        """Return the size of the packed weight."""
        rows, columns = self.matrix
        fill = widths.block if self.form == "blocks" else widths.lanes
        return self.groups * rows * round_up(columns // self.groups, fill)

    def pack(self, array: np.ndarray | None, data: np.ndarray, widths: Widths) -> None:
        """Write the plain array, or zeros for None, into `data`, which has `floats` values."""
        if array is None:
            data[...] = 0
            return
        (plain, panels), (last, rest) = self._parts(array, data, widths)
        if plain.strides[3] == plain.itemsize:  # copied a row of a panel at a time
            wide = np.dtype((np.void, widths.block * plain.itemsize))
            plain, panels = plain.view(wide), panels.view(wide)
        panels[...] = plain
        columns = last.shape[2]
        rest[:, :, :columns] = last
        rest[:, :, columns:] = 0

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
        (plain, panels), (last, rest) = self._parts(array, data, widths)
        plain[...] = panels
        last[...] = rest[:, :, : last.shape[2]]
        return array

    def _parts(self, array: np.ndarray, data: np.ndarray, widths: Widths) -> tuple[Views, Views]:
        """Return views of the whole panels, and of the rest, of the plain and the packed array."""
        (rows, columns), groups, block = self.matrix, self.groups, widths.block
        whole = columns // groups // block * block
        plain = array.reshape(rows, groups, -1).swapaxes(0, 1)  # (groups, rows, columns)
        packed = data.reshape(groups, -1)
        panels = packed[:, : rows * whole].reshape(groups, -1, rows, block)
        rest = packed[:, rows * whole :].reshape(groups, rows, -1)
        tall = plain[:, :, :whole].reshape(groups, rows, -1, block).swapaxes(1, 2)
        return (tall, panels), (plain[:, :, whole:], rest)


def round_up(number: int, step: int) -> int:
    """Return the next multiple of `step`."""
    return -(-number // step) * step


Sizes = Mapping[str, int]


def _convolution(g: Sizes) -> dict[str, Packing]:
    kernel, depth = (g["kh"], g["kw"]), g["c"] // max(g["groups"], 1)
    return _with_biases(Packing("panels", (*kernel, depth, g["oc"]), g["groups"]))


def _winograd(g: Sizes) -> dict[str, Packing]:
    matrices, oc = (g["tile"] + 2) ** 2, g["oc"]
    weight = Packing("panels", (g["c"], matrices * oc), matrices)
    return {"weight": weight, "bias": Packing("panels", (oc,))}


def _filters(g: Sizes) -> Packing:
    return Packing("blocks", (g["kh"], g["kw"], g["c"], g["multiplier"]))


def _depthwise(g: Sizes) -> dict[str, Packing]:
    return _with_biases(_filters(g))


def _separable(g: Sizes) -> dict[str, Packing]:
    last = Packing("panels", (g["c"] * g["multiplier"], g["oc"]))
    return _with_biases(last, _filters(g))


def _inverted_residual(g: Sizes) -> dict[str, Packing]:
    hidden = g["hidden"]
    middle = Packing("blocks", (g["kh"], g["kw"], hidden, 1))
    first, last = Packing("panels", (g["c"], hidden)), Packing("panels", (hidden, g["oc"]))
    return _with_biases(last, middle, first)


def _scale(g: Sizes) -> dict[str, Packing]:
    return _with_biases(Packing("panels", (g["c"],)))


def _l2(g: Sizes) -> dict[str, Packing]:
    return {"weight": Packing("panels", (g["c"],))}


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
