"""Conv, Gemm and MatMul: the operators with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv.arguments.window import padding_pixels
from dsconv.layers import Conv2D, Dense, DepthwiseConv2D, Pad
from dsconv.onnx.reading.building import Read
from dsconv.onnx.reading.operators.call import Call, Tensor, shown
from dsconv.onnx.reading.operators.window import paddings


def conv(call: Call) -> Tensor:
    """Weights (O, C / groups, KH, KW); as many groups as channels is a depthwise convolution."""
    call.arity(2, 3)
    x, weight = call.tensor(), call.weight(1)
    if len(x.shape) != 3 or len(weight.shape) != 4:
        raise ValueError(
            f"only convolutions of maps (N, C, H, W) are supported, got {shown(x.shape)} and "
            f"weights {weight.shape}"
        )
    filters, depth, height, width = weight.shape
    groups = call.node.integer("group", 1)
    if groups < 1 or filters < 1 or depth * groups != x.shape[0] or filters % groups:
        raise ValueError(
            f"weights {weight.shape} in {groups} groups do not fit the input {shown(x.shape)}"
        )
    if call.node.integers("kernel_shape", [height, width]) != [height, width]:
        raise ValueError(f"the attribute 'kernel_shape' does not fit the weights {weight.shape}")
    name, window = _placed(call, x, (height, width))
    weights: dict[str, Read] = {}
    if call.given(2):
        bias = call.weight(2, 1)
        if bias.shape != (filters,):
            raise ValueError(f"the bias must have the shape {(filters,)}, got {bias.shape}")
        weights["bias"] = lambda: bias.array
    window["bias"] = call.given(2)
    layer: Conv2D | DepthwiseConv2D
    if groups > 1 and depth == 1:
        layer = DepthwiseConv2D(multiplier=filters // groups, **window)
        shape = groups, filters // groups, height, width
        weights["weight"] = lambda: weight.array.reshape(shape).transpose(2, 3, 0, 1)
    else:
        layer = Conv2D(filters, groups=groups, **window)
        weights["weight"] = lambda: weight.array.transpose(2, 3, 1, 0)
    return call.build.from_map(call.build.add(layer, name, weights=weights))


def _placed(call: Call, x: Tensor, kernel: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """The map that a kernel slides over, and how; zeros around it count as padding."""
    name = call.build.map(x)
    stride, dilation, padding = paddings(call, x, kernel)
    node = call.build.graph.nodes.get(name)
    if node is not None and isinstance(node.layer, Pad):
        rows, columns = padding_pixels(padding, (x.shape[1], x.shape[2]), kernel, stride, dilation)
        outer = node.layer.pixels
        padding = (
            (outer[0][0] + rows[0], outer[0][1] + rows[1]),
            (outer[1][0] + columns[0], outer[1][1] + columns[1]),
        )
        (name,) = node.inputs
    return name, {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def gemm(call: Call) -> Tensor:
    """alpha * x @ B + beta * C with constant B and C."""
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
    """x @ B with constant B over the last axis of x: a pointwise convolution."""
    call.arity(2)
    x, b = call.tensor(), call.weight(1, 2)
    inputs, units = b.shape
    if not x.shape or x.shape[-1] != inputs or units < 1:
        raise ValueError(f"weights {b.shape} do not fit the input {shown(x.shape)}")
    rank = len(x.shape)
    if rank == 1:
        name = call.build.add(Dense(units, bias=False), x.name, weights={"weight": lambda: b.array})
        return Tensor(name, (units,), (0,))
    if x.order[-1] != rank - 1:
        x = call.build.ordered(x, [a for a in x.order if a != rank - 1] + [rank - 1])
    result = x._replace(shape=(*x.shape[:-1], units))
    rows = int(np.prod(x.shape[:-1], dtype=object))
    name = call.build.view(x.name, (1, rows, inputs))
    name = call.build.add(
        Conv2D(units, bias=False),
        name,
        weights={"weight": lambda: b.array.reshape(1, 1, inputs, units)},
    )
    return result._replace(name=call.build.view(name, result.inside))


OPERATORS = {"Conv": conv, "Gemm": gemm, "MatMul": matmul}
