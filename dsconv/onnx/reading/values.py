"""The values that a tensor name of an ONNX file can mean while the file is translated.

A `Tensor` is computed when the model runs, a `Constant` is known at load. ONNX shapes begin with
the batch, and ours leave it out. A constant that contains the batch size (the result of a Shape
node) has `BATCH` in its place, so that a network never depends on one batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dsconv.layers import Shape


class Tensor(NamedTuple):
    """A tensor of the graph, with the order of its axes there.

    Attributes
    ----------
    name : str
        The name in the graph.
    shape : tuple of int
        The shape in the file, without the batch: (C, H, W) for a map.
    order : tuple of int
        Axis i of the graph's tensor is axis order[i] of `shape`: (1, 2, 0) for a map that is stored
        as (H, W, C). A Transpose only changes the order; nothing moves until an operator needs
        another one.
    """

    name: str
    shape: Shape
    order: tuple[int, ...]

    def transposed(self, axes: Sequence[int]) -> Tensor:
        """Renumber the axes, so that axis i of the result is axis axes[i]. Nothing moves."""
        shape = tuple(self.shape[axis] for axis in axes)
        return Tensor(self.name, shape, tuple(map(list(axes).index, self.order)))

    @property
    def inside(self) -> Shape:
        """Return the shape in the graph, where one number for each image is a vector of one."""
        return tuple(self.shape[axis] for axis in self.order) or (1,)


class Constant:
    """An array that is known at load. If it is one of the file's, `array` reads it at each use.

    Attributes
    ----------
    what : str
        Its name in messages.
    shape : tuple of int
    dtype : numpy.dtype
        `object` if the batch size is among the numbers.
    """

    def __init__(
        self, what: str, shape: Shape, dtype: np.dtype, read: Callable[[], np.ndarray]
    ) -> None:
        self.what, self.shape, self.dtype, self._read = what, shape, dtype, read

    @classmethod
    def of(cls, array: np.ndarray, what: str) -> Constant:
        return cls(what, array.shape, array.dtype, lambda: array)

    @property
    def array(self) -> np.ndarray:
        return self._read()


class Missing(NamedTuple):
    """An output that we do not compute. A node that reads it is refused."""

    why: str


class SquareSum(NamedTuple):
    """A sum of x^2 over one axis, plus epsilon, or its root: a part of an L2 normalisation."""

    x: Tensor
    axis: int
    epsilon: float = 0.0
    root: bool = False


Value = Tensor | Constant | Missing | SquareSum


class _Batch:
    """A stand-in for the batch size, which is known only when the model runs."""

    def __repr__(self) -> str:
        return "N"


BATCH: Any = _Batch()
