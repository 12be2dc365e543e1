"""Translate sums, products and limits of tensors, and of tensors with constants."""

from __future__ import annotations

import math

import numpy as np

from dsconv.layers import Add, Clip, Mul
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.operators.call import Call, Result
from dsconv.onnx.reading.operators.normalization import l2_normalize
from dsconv.onnx.reading.values import Constant, SquareSum, Tensor


def add(call: Call) -> Result:
    call.arity(2)
    for i in (0, 1):
        squares = call.values[i]
        if isinstance(squares, SquareSum) and not squares.root:
            return squares._replace(epsilon=squares.epsilon + call.scalar(1 - i, 0.0))
    x, constant = _operands(call)
    if constant is not None:
        return call.build.scale_shift(x, 1.0, constant)
    return _combine(call, Add(), x, call.tensor(1))


def sub(call: Call) -> Tensor:
    call.arity(2)
    x, constant = _operands(call)
    if constant is None:
        negative = call.build.scale_shift(call.tensor(1), -1.0, 0.0, "negative")
        return _combine(call, Add(), x, negative)
    if isinstance(call.values[0], Constant):
        return call.build.scale_shift(x, -1.0, constant)
    return call.build.scale_shift(x, 1.0, -constant)


def mul(call: Call) -> Tensor:
    call.arity(2)
    x, constant = _operands(call)
    if constant is not None:
        return call.build.scale_shift(x, constant, 0.0)
    return _combine(call, Mul(), x, call.tensor(1))


def div(call: Call) -> Tensor:
    """Translate a division by a constant, or by the length of the vector (L2 normalisation)."""
    call.arity(2)
    length = call.values[1]
    if isinstance(length, SquareSum) and length.root and length.x == call.values[0]:
        return l2_normalize(call, length)
    if not isinstance(call.values[1], Constant):
        raise ValueError("only division by a constant is supported")
    x, constant = _operands(call)
    assert constant is not None
    with np.errstate(all="ignore"):  # scale_shift refuses 1 / 0
        return call.build.scale_shift(x, 1 / constant.astype(np.float64), 0.0)


def sum_of(call: Call) -> Tensor:
    """Translate the sum of any number of tensors."""
    call.arity(1, len(call.values))
    total = call.tensor(0)
    for index in range(1, len(call.values)):
        total = _combine(call, Add(), total, call.tensor(index))
    return total


def limit(call: Call, upper: bool) -> Tensor:
    """Translate the minimum or the maximum of a tensor and one number."""
    call.arity(2)
    first_is_constant = isinstance(call.values[0], Constant)
    x, number = call.tensor(int(first_is_constant)), call.scalar(int(not first_is_constant), 0.0)
    layer = Clip(-math.inf, number) if upper else Clip(number, math.inf)
    return x._replace(name=call.build.add(layer, x.name))


def _operands(call: Call) -> tuple[Tensor, np.ndarray | None]:
    """Return the tensor and the constant of a node, in either order.

    The constant keeps its shape, but for a batch axis of size 1. Without a constant, return the
    first tensor and None.
    """
    constants = [i for i in (0, 1) if isinstance(call.values[i], Constant)]
    if not constants:
        return call.tensor(0), None
    (index,) = constants
    x, constant = call.tensor(1 - index), call.weight(index)
    shape, rank = constant.shape, len(x.shape)
    if len(shape) > rank:
        if len(shape) > rank + 1 or shape[0] != 1:
            raise ValueError(
                f"a constant of the shape {shape} beside {shown(x.shape)} differs along the batch"
            )
        shape = shape[1:]
    if 0 in shape:
        raise ValueError(f"a constant of the shape {constant.shape} is empty")
    return x, constant.array.reshape(shape)


def _combine(call: Call, layer: Add | Mul, a: Tensor, b: Tensor) -> Tensor:
    """Add or multiply two tensors. Each is repeated along its axes of size 1."""
    if len(a.shape) != len(b.shape):
        raise ValueError(f"{shown(a.shape)} and {shown(b.shape)} have the batch on different axes")
    shape = np.broadcast_shapes(a.shape, b.shape)
    order = a.order if a.shape == shape else b.order
    a, b = call.build.ordered(a, order), call.build.ordered(b, order)
    big, small = (a, b) if a.shape == shape else (b, a)
    gate = len(order) == 3 and small.inside == (1, 1, big.inside[-1])
    if not (isinstance(layer, Mul) and gate and big.shape == shape):
        a, b = call.build.broadcast(a, shape), call.build.broadcast(b, shape)
    return Tensor(call.build.add(layer, a.name, b.name), shape, order)


OPERATORS = {
    "Add": add,
    "Sub": sub,
    "Mul": mul,
    "Div": div,
    "Sum": sum_of,
    "Min": lambda call: limit(call, upper=True),
    "Max": lambda call: limit(call, upper=False),
}
