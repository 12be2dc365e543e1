"""Activations and normalisations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dsconv.layers import (
    BatchNorm,
    Clip,
    HardSigmoid,
    HardSwish,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Sigmoid,
    Softmax,
)
from dsconv.onnx.reading.operators.call import Call, Result, Tensor, shown


def _unary(layer: Callable[[], Layer]) -> Callable[[Call], Tensor]:
    def translate(call: Call) -> Tensor:
        call.arity(1)
        return _elementwise(call, call.tensor(), layer())

    return translate


def _elementwise(call: Call, x: Tensor, layer: Layer, part: str = "") -> Tensor:
    return x._replace(name=call.build.add(layer, x.name, part=part))


def clip(call: Call) -> Tensor:
    """min(max(x, low), high), the limits attributes before opset 11, then inputs."""
    call.arity(1, 3 if call.opset >= 11 else 1)
    if call.opset >= 11:
        low, high = call.scalar(1, -math.inf), call.scalar(2, math.inf)
    else:
        largest = float(np.finfo(np.float32).max)
        low, high = call.node.number("min", -largest), call.node.number("max", largest)
        low, high = (math.copysign(math.inf, v) if abs(v) >= largest else v for v in (low, high))
    return _elementwise(call, call.tensor(), _clip(low, high))


def _clip(low: float, high: float) -> Clip:
    return Clip(high, high) if low > high else Clip(low, high)  # the upper limit comes last


def leaky_relu(call: Call) -> Tensor:
    call.arity(1)
    return _elementwise(call, call.tensor(), LeakyReLU(call.node.number("alpha", 0.01)))


def hard_sigmoid(call: Call) -> Tensor:
    """max(0, min(1, alpha * x + beta)); with 1/6 and 1/2 it is MobileNetV3's."""
    call.arity(1)
    x = call.tensor()
    alpha, beta = call.node.number("alpha", 0.2), call.node.number("beta", 0.5)
    if np.float32(alpha) == np.float32(1 / 6) and beta == 0.5:
        return _elementwise(call, x, HardSigmoid())
    return _elementwise(call, call.build.scale_shift(x, alpha, beta, "linear"), Clip(0.0, 1.0))


def softmax(call: Call) -> Tensor:
    """Over one axis; before opset 13 over all axes from `axis` on."""
    call.arity(1)
    x, rank = call.tensor(), len(call.tensor().shape)
    axis = call.axis(call.node.integer("axis", -1 if call.opset >= 13 else 1), rank)
    if call.opset >= 13 or axis == rank - 1:
        return _elementwise(call, x, Softmax(x.order.index(axis)))
    flat = call.build.reshape(x, (*x.shape[:axis], math.prod(x.shape[axis:])))
    flat = _elementwise(call, flat, Softmax(flat.order.index(axis)))
    return call.build.reshape(flat, x.shape)


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
    if x.order[-1] != 0:
        x = call.build.ordered(x, [axis for axis in x.order if axis] + [0])
    weights = {
        "gamma": lambda: scale.array,
        "beta": lambda: shift.array,
        "mean": lambda: mean.array,
        "variance": lambda: variance.array,
    }
    name = call.build.add(BatchNorm(epsilon), x.name, weights=weights)
    return x._replace(name=name)


def local_response_norm(call: Call) -> Tensor:
    """ONNX divides alpha by the size of the window."""
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


OPERATORS: dict[str, Callable[[Call], Result]] = {
    "Relu": _unary(lambda: Clip(0.0, math.inf)),
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": _unary(HardSwish),
    "Sigmoid": _unary(Sigmoid),
    "Softmax": softmax,
    "BatchNormalization": batch_normalization,
    "LRN": local_response_norm,
}
