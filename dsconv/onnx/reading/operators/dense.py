"""Translate Gemm and MatMul, the products with a constant matrix."""

from __future__ import annotations

import numpy as np

from dsconv.layers import Conv2D, Dense
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.graph_builder import Read
from dsconv.onnx.reading.operators.call import Call
from dsconv.onnx.reading.values import Tensor


def gemm(call: Call) -> Tensor:
    """Translate alpha * x @ B + beta * C, where B and C are constants."""
    call.arity(2, 3)
    x, b = call.tensor(), call.weight(1, 2)
    alpha, beta = call.node.number("alpha", 1.0), call.node.number("beta", 1.0)
    if call.node.integer("transA", 0):
        raise ValueError("the attribute 'transA' moves the batch, which is not supported")
    transposed = bool(call.node.integer("transB", 0))
    if len(x.shape) != 1:
        raise ValueError(f"the input must be (N, C), got {shown(x.shape)}")
    inputs, units = b.shape[::-1] if transposed else b.shape
    if x.shape != (inputs,) or units < 1:
        raise ValueError(f"weights {b.shape} do not fit the input {shown(x.shape)}")

    def weight() -> np.ndarray:
        array = b.array.T if transposed else b.array
        return array if alpha == 1 else array * np.float32(alpha)

    weights: dict[str, Read] = {"weight": weight}
    if call.given(2):
        c = call.weight(2)
        if c.shape not in ((), (1,), (units,), (1, 1), (1, units)):
            raise ValueError(f"input 3 must have the shape {(units,)}, got {c.shape}")
        call.build.budget.take(4 * units, "a bias")

        def bias() -> np.ndarray:
            return np.broadcast_to(c.array.reshape(-1), (units,)) * np.float32(beta)

        weights["bias"] = bias
    name = call.build.add(Dense(units, bias=call.given(2)), x.name, weights=weights)
    return Tensor(name, (units,), (0,))


def matmul(call: Call) -> Tensor:
    """Translate x @ B, where B is a constant, to a pointwise convolution over the last axis."""
    call.arity(2)
    x, b = call.tensor(), call.weight(1, 2)
    inputs, units = b.shape
    if not x.shape or x.shape[-1] != inputs or units < 1:
        raise ValueError(f"weights {b.shape} do not fit the input {shown(x.shape)}")
    rank = len(x.shape)
    if rank == 1:
        name = call.build.add(Dense(units, bias=False), x.name, weights={"weight": lambda: b.array})
        return Tensor(name, (units,), (0,))
    x = call.build.last(x, rank - 1)
    result = x._replace(shape=(*x.shape[:-1], units))
    rows = int(np.prod(x.shape[:-1], dtype=object))
    name = call.build.view(x.name, (1, rows, inputs))
    name = call.build.add(
        Conv2D(units, bias=False),
        name,
        weights={"weight": lambda: b.array.reshape(1, 1, inputs, units)},
    )
    return result._replace(name=call.build.view(name, result.inside))


OPERATORS = {"Gemm": gemm, "MatMul": matmul}
