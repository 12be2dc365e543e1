"""Check the inputs and attributes of one node, for the functions that translate it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dsconv.layers import Shape
from dsconv.onnx.reading.file import FileNode
from dsconv.onnx.reading.graph_builder import GraphBuilder
from dsconv.onnx.reading.values import BATCH, Constant, SquareSum, Tensor, Value

Result = Value | list[Value]


class Call:
    """A node with the values of its inputs.

    Attributes
    ----------
    node : FileNode
        The node, for its attributes.
    values : list of Value or None
        The inputs; None for one that is left out. None of them is `Missing`.
    build : GraphBuilder
    opset : int
    batch : int or None
        The batch size if the file fixes it.
    """

    def __init__(
        self,
        node: FileNode,
        values: list[Value | None],
        build: GraphBuilder,
        opset: int,
        batch: int | None,
    ) -> None:
        self.node, self.values, self.build = node, values, build
        self.opset, self.batch = opset, batch

    def arity(self, least: int, most: int | None = None) -> None:
        """Check the number of inputs, and that the first `least` are there."""
        if len(self.values) < least or None in self.values[:least]:
            raise ValueError(f"needs {least} inputs, got {self.node.inputs}")
        if len(self.values) > (least if most is None else most):
            raise ValueError(f"takes at most {most or least} inputs, got {len(self.values)}")

    def given(self, index: int) -> bool:
        """Tell whether an optional input is there."""
        return index < len(self.values) and self.values[index] is not None

    def tensor(self, index: int = 0) -> Tensor:
        """Return an input that is computed when the model runs."""
        value = self.values[index]
        if isinstance(value, SquareSum):
            raise ValueError(
                "a sum of squares is supported only in x / sqrt(sum of x^2 + epsilon) over an axis"
            )
        if not isinstance(value, Tensor):
            raise ValueError(f"{self._input(index)} must be computed from the network's input")
        return value

    def constant(self, index: int) -> Constant:
        """Return an input that is known when the file is loaded."""
        value = self.values[index]
        if not isinstance(value, Constant):
            raise ValueError(f"{self._input(index)} must be a constant, but it is computed")
        return value

    def weight(self, index: int, rank: int | None = None) -> Constant:
        """Return a constant input of float32; if `rank` is given, of so many axes."""
        constant = self.constant(index)
        if constant.dtype != np.float32:
            if constant.dtype.kind == "V":
                return Constant.of(constant.array, constant.what)  # reading it raises
            raise ValueError(
                f"{self._input(index)}, {constant.what}, is {constant.dtype}; only float32 is "
                "supported; save the network in float32"
            )
        if rank is not None and len(constant.shape) != rank:
            raise ValueError(
                f"{self._input(index)} must have {rank} axes, got the shape {constant.shape}"
            )
        return constant

    def scalar(self, index: int, default: float) -> float:
        """Return a constant number of float32, or `default` if the input is left out."""
        if not self.given(index):
            return default
        constant = self.weight(index)
        if np.prod(constant.shape) != 1:
            raise ValueError(f"{self._input(index)} must be one number, got {constant.shape}")
        return float(constant.array.reshape(()))

    def integers(self, index: int) -> list[Any]:
        """Return a constant list of integers, some of which may be `BATCH`."""
        constant = self.constant(index)
        if constant.dtype.kind not in "iO" or len(constant.shape) > 1:
            raise ValueError(
                f"{self._input(index)} must be a list of integers, got {constant.dtype} of the "
                f"shape {constant.shape}"
            )
        if np.prod(constant.shape) > 64:
            raise ValueError(
                f"{self._input(index)} has the shape {constant.shape}; at most 64 integers are allowed"
            )
        return [n if n is BATCH else int(n) for n in constant.array.reshape(-1)]

    def plain_integers(self, index: int) -> list[int]:
        """Return a constant list of integers, none of which is `BATCH`."""
        numbers = self.integers(index)
        if any(n is BATCH for n in numbers):
            raise ValueError(f"{self._input(index)} must not depend on the batch size")
        return numbers

    def list_of(self, name: str, index: int, since: int) -> list[int] | None:
        """Return a list that is an attribute before opset `since`, and an input from then on."""
        if self.opset < since:
            return self.node.integers(name)
        return self.plain_integers(index) if self.given(index) else None

    def axis(self, axis: int, rank: int) -> int:
        """Convert an axis of the file to an axis of `Tensor.shape`, which leaves out the batch."""
        if not -rank - 1 <= axis <= rank:
            raise ValueError(f"axis {axis} is out of range for {rank + 1} axes")
        axis %= rank + 1
        if axis == 0:
            raise ValueError("axis 0, the batch, is not supported")
        return axis - 1

    def without_batch(self, sizes: Sequence[Any], values: int) -> Shape:
        """Check that a shape of the file keeps the batch first, and return the rest of it.

        Parameters
        ----------
        sizes : sequence
            The shape with the batch; one size may be -1.
        values : int
            The number of values for each image.
        """
        if not sizes:
            raise ValueError(f"the shape {tuple(sizes)} drops the batch axis")
        first, rest = sizes[0], list(sizes[1:])
        if any(size is BATCH for size in rest):
            raise ValueError(f"the shape {tuple(sizes)} has the batch not first")
        if any(size < -1 or size == 0 for size in rest) or rest.count(-1) > 1:
            raise ValueError(f"the shape {tuple(sizes)} is not supported")
        known = int(np.prod([size for size in rest if size != -1], dtype=object))
        if -1 in rest and first != -1 and values % known == 0:
            rest[rest.index(-1)] = values // known
            known = values
        if (
            known != values
            or -1 in rest
            or not (first is BATCH or first == -1 or first == self.batch)
        ):
            raise ValueError(
                f"the shape {tuple(sizes)} does not keep the batch axis of {values} values for "
                "each image"
            )
        return tuple(rest)

    def _input(self, index: int) -> str:
        return f"input {index + 1} ({self.node.inputs[index]!r})"
