"""Translate activations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dsconv.layers import Clip, HardSigmoid, HardSwish, Layer, LeakyReLU, Sigmoid, Softmax
from dsconv.onnx.reading.operators.call import Call
from dsconv.onnx.reading.values import Tensor


def _unary(layer: Callable[[], Layer]) -> Callable[[Call], Tensor]:
    def translate(call: Call) -> Tensor:
        call.arity(1)
        return _elementwise(call, call.tensor(), layer())

    return translate


def _elementwise(call: Call, x: Tensor, layer: Layer, part: str = "") -> Tensor:
    return x._replace(name=call.build.add(layer, x.name, part=part))


def clip(call: Call) -> Tensor:
    """Translate min(max(x, low), high). The limits are attributes before opset 11, then inputs."""
    call.arity(1, 3 if call.opset >= 11 else 1)
    if call.opset >= 11:
        low, high = call.scalar(1, -math.inf), call.scalar(2, math.inf)
    else:
        largest = float(np.finfo(np.float32).max)
        low, high = call.node.number("min", -largest), call.node.number("max", largest)
        low, high = (math.copysign(math.inf, v) if abs(v) >= largest else v for v in (low, high))
    return _elementwise(call, call.tensor(), Clip(min(low, high), high))  # `high` wins over `low`


def leaky_relu(call: Call) -> Tensor:
    call.arity(1)
    return _elementwise(call, call.tensor(), LeakyReLU(call.node.number("alpha", 0.01)))


def hard_sigmoid(call: Call) -> Tensor:
    """Translate max(0, min(1, alpha * x + beta)); MobileNetV3 has alpha 1/6 and beta 1/2."""
    call.arity(1)
    x = call.tensor()
    alpha, beta = call.node.number("alpha", 0.2), call.node.number("beta", 0.5)
    if np.float32(alpha) == np.float32(1 / 6) and beta == 0.5:
        return _elementwise(call, x, HardSigmoid())
    return _elementwise(call, call.build.scale_shift(x, alpha, beta, "linear"), Clip(0.0, 1.0))


def softmax(call: Call) -> Tensor:
    """Translate a softmax over one axis, or, before opset 13, over all axes from `axis` on."""
    call.arity(1)
    x, rank = call.tensor(), len(call.tensor().shape)
    axis = call.axis(call.node.integer("axis", -1 if call.opset >= 13 else 1), rank)
    if call.opset >= 13 or axis == rank - 1:
        return _elementwise(call, x, Softmax(x.order.index(axis)))
    flat = call.build.reshape(x, (*x.shape[:axis], math.prod(x.shape[axis:])))
    flat = _elementwise(call, flat, Softmax(flat.order.index(axis)))
    return call.build.reshape(flat, x.shape)


OPERATORS: dict[str, Callable[[Call], Tensor]] = {
    "Relu": _unary(lambda: Clip(0.0, math.inf)),
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": _unary(HardSwish),
    "Sigmoid": _unary(Sigmoid),
    "Softmax": softmax,
}
