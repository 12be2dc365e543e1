"""What stands behind a tensor name of an ONNX file while it is translated.

A `Tensor` is computed when the model runs, a `Constant` is known at load. ONNX shapes begin with
the batch; ours leave it out, and a constant that holds it (the result of a Shape) holds `BATCH`
in its place, so that a network never depends on one batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dsconv.layers import Shape


class Tensor(NamedTuple):
    """A tensor of the graph, and how it lies there.

    Attributes
    ----------
    name : str
        In the graph.
    shape : tuple of int
        As the file sees it, without the batch: (C, H, W) for a map.
    order : tuple of int
        Axis i of the graph's tensor is axis order[i] of `shape`: (1, 2, 0) for a map that lies as
        (H, W, C). Transposing is a matter of renaming axes until something needs an order.
    """

    name: str
    shape: Shape
    order: tuple[int, ...]

    def transposed(self, axes: Sequence[int]) -> Tensor:
        """Axis i of the result is axis axes[i]; nothing moves, the axes get other numbers."""
        shape = tuple(self.shape[axis] for axis in axes)
        return Tensor(self.name, shape, tuple(map(list(axes).index, self.order)))

    @property
    def inside(self) -> Shape:
        """The shape of the graph's tensor; a single number for each image is a vector of one."""
        return tuple(self.shape[axis] for axis in self.order) or (1,)


class Constant:
    """An array that is known at load; `array` reads it, each time anew for one out of the file.

    Attributes
    ----------
    what : str
        How messages call it.
    shape : tuple of int
    dtype : numpy.dtype
        `object` where the batch size is among the numbers.
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
    """An output that the operator has, but not here; an error where something reads it."""

    why: str


class SquareSum(NamedTuple):
    """A sum of x^2 over an axis, + epsilon, or its root: a part of an L2 normalisation of x."""

    x: Tensor
    axis: int
    epsilon: float = 0.0
    root: bool = False


Value = Tensor | Constant | Missing | SquareSum


class _Batch:
    """The size of the batch, whatever it will be."""

    def __repr__(self) -> str:
        return "N"


BATCH: Any = _Batch()


class Budget:
    """Bytes that a file may make us allocate beyond its own arrays.

    Parameters
    ----------
    file_bytes : int
        Length of the file: a longer one may take more.
    """

    def __init__(self, file_bytes: int) -> None:
        self._left = max(64 * 2**20, 16 * file_bytes)

    def take(self, size: int, what: str) -> None:
        """Allow `size` bytes, or raise a ValueError that says for what they were wanted."""
        if size > self._left:
            raise ValueError(
                f"{what} would take {size} bytes, which this file does not account for"
            )
        self._left -= size
