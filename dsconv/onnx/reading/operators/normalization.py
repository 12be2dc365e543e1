"""Translate batch norm, local response norm, and L2 normalisation, which is made of four operators.

ONNX has no operator for L2 normalisation, x / sqrt(sum of x^2 + epsilon). ReduceSumSquare or
ReduceL2, Add and Sqrt therefore return a `SquareSum`, and Div makes the layer of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dsconv.layers import BatchNorm, L2Normalize, LocalResponseNorm
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.operators.call import Call, Result
from dsconv.onnx.reading.values import SquareSum, Tensor


def batch_normalization(call: Call) -> Tensor:
    call.arity(5)
    x = call.tensor()
    epsilon = call.node.number("epsilon", 1e-5)
    call.node.ignore("momentum")
    if call.node.integer("training_mode", 0):
        raise ValueError("the attribute 'training_mode' is 1, only inference is supported")
    if not call.node.integer("spatial", 1):
        raise ValueError("the attribute 'spatial' is 0, which is not supported")
    if not x.shape:
        raise ValueError(f"the input must be (N, C, ...), got {shown(x.shape)}")
    constants = [call.weight(index, 1) for index in range(1, 5)]
    for index, constant in enumerate(constants):
        if constant.shape != (x.shape[0],):
            raise ValueError(
                f"input {index + 2} must have the shape {(x.shape[0],)}, got {constant.shape}"
            )
    scale, shift, mean, variance = constants
    x = call.build.last(x, 0)
    weights = {
        "gamma": lambda: scale.array,
        "beta": lambda: shift.array,
        "mean": lambda: mean.array,
        "variance": lambda: variance.array,
    }
    return x._replace(name=call.build.add(BatchNorm(epsilon), x.name, weights=weights))


def local_response_norm(call: Call) -> Tensor:
    """Translate LRN, whose alpha ONNX divides by the size of the window."""
    call.arity(1)
    size = call.node.integer("size")
    if size is None or size < 1 or size % 2 == 0:
        raise ValueError(f"the attribute 'size' must be odd, got {size}")
    layer = LocalResponseNorm(
        size,
        call.node.number("alpha", 1e-4) / size,
        call.node.number("beta", 0.75),
        call.node.number("bias", 1.0),
    )
    return call.build.from_map(call.build.add(layer, call.build.map(call.tensor())))


def square_sum(call: Call, root: bool) -> SquareSum:
    """Return the sum of squares, or its root, for the Div of an L2 normalisation."""
    call.arity(1, 2)
    x = call.tensor()
    axes = call.list_of("axes", 1, since=18) or []
    if len(axes) != 1 or not call.node.integer("keepdims", 1):
        raise ValueError("supported over one axis that is kept, as a part of L2 normalisation")
    call.node.ignore("noop_with_empty_axes")
    return SquareSum(x, call.axis(axes[0], len(x.shape)), root=root)


def square_root(call: Call) -> SquareSum:
    call.arity(1)
    squares = call.values[0]
    if not isinstance(squares, SquareSum) or squares.root:
        raise ValueError("supported only as a part of L2 normalisation")
    return squares._replace(root=True)


def l2_normalize(call: Call, length: SquareSum) -> Tensor:
    """Divide a tensor by its length along one axis."""
    axis = length.axis
    x = call.build.last(length.x, axis)
    channels = x.shape[axis]
    call.build.budget.take(4 * channels, "the scale of an L2 normalisation")
    name = call.build.add(
        L2Normalize(length.epsilon),
        x.name,
        weights={"scale": lambda: np.ones(channels, np.float32)},
    )
    return x._replace(name=name)


OPERATORS: dict[str, Callable[[Call], Result]] = {
    "BatchNormalization": batch_normalization,
    "LRN": local_response_norm,
    "ReduceSumSquare": lambda call: square_sum(call, root=False),
    "ReduceL2": lambda call: square_sum(call, root=True),
    "Sqrt": square_root,
}
