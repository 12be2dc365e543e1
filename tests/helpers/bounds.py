"""Bound how far any float32 evaluation of a layer can be from its exact result.

Notation: u = 2**-24 is the unit roundoff of float32 and gamma(n) = n u / (1 - n u). A value that
has passed through n roundings, divisions by them included, is off by a factor within 1 +- gamma(n)
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., lemma 3.1). Every float32 input
x' of a layer is within e of the exact x, and |x'| <= |x| + e. Dashes mark float32 values.

**Sums.** y = sum w x + b over T terms, in any order, with fused multiply-adds or without: every
term meets one product and at most T additions, hence

    |y' - y| <= sum |w| e + gamma(T + 1) (sum |w| (|x| + e) + |b|).

The first part is `carried`, the sum in brackets is `magnitude`, and T + 1 is `roundings`.

**Batch norm**, y = s (x - mean) + beta with s = gamma / sqrt(variance + epsilon). Behind a
convolution it may be folded: w s and (b - mean) s + beta are rounded to float32 first, and the
new bias takes part in all T additions. So the parts of the convolution's bound become

    |s| carried,  |s| (magnitude + |mean|) + |beta|,  roundings + 8:

s takes five (epsilon, +, sqrt, /, the product), (b - mean) s + beta two more and its sum with the
terms one, folded or not. That bounds both evaluations, since |y| of the convolution is at most
its magnitude, and it holds again for a batch norm of a batch norm.

**Additions** may likewise start or end the sum of either input: everything adds up.

**Other layers** take the bound of the inputs through their Lipschitz constant and add their own
roundings; each rule below says which. `exp`, `pow` and `tanh` count as `ELEMENTARY` roundings.

Underflow: a number below 2**-126 may count as zero. A result that does adds `TINY` per operation;
an input of the graph that does is off by its size. Overflow is not covered, nor are weights that
underflow, be it when a batch norm is folded into them. The exact
values are themselves computed, in double precision: that error, n 2**-53 per unit of magnitude, is
well below n (n + 1) u**2 / 2, by which gamma(n) exceeds (1 + u)**n - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dsconv import layers
from dsconv.interpreter import checked_inputs, run_layers
from dsconv.interpreter.values import (
    Array,
    Weights,
    batch_axis,
    between,
    broadcast,
    channel_sums,
    evaluate,
)
from dsconv.layers import Layer
from dsconv.network.structure import Structure

UNIT_ROUNDOFF = 2.0**-24
TINY = 2.0**-126  # the smallest normal float32
ELEMENTARY = 8  # roundings that an elementary function of float32 may cost: four ulp


class Sum(NamedTuple):
    """A sum of products that a batch norm or an addition may still become a part of."""

    carried: Array
    magnitude: Array
    roundings: int

    @property
    def error(self) -> Array:
        return self.carried + rounded(self.roundings, self.magnitude)


class Tensor(NamedTuple):
    """Exact values, and a bound on the error of the float32 ones."""

    value: Array
    error: Array
    sum: Sum | None = None  # what `error` is made of, if this is a sum

    @property
    def largest(self) -> Array:
        """Return the largest absolute value that the float32 one can have."""
        return np.abs(self.value) + self.error


def interpret_with_bounds(
    graph: Structure, weights: Mapping[str, Any], x: Any
) -> tuple[tuple[Array, Array], ...]:
    """Return the outputs of a graph, and how far those of a float32 evaluation can be from them.

    The bound holds for each element, whatever the order of summation in a layer, with fused
    multiply-adds or without, with batch norms folded into the convolutions or dense layers before
    them or left apart, and with additions fused into these. One convolution y = sum w x + b over
    T terms turns a bound e of its input into

        sum |w| e + gamma(T + 1) (sum |w| (|x| + e) + |b|),  gamma(n) = n u / (1 - n u),  u = 2**-24

    (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). The top of this file
    derives this and the rule of every other layer. A float64 input counts as rounded to float32
    first. Values must be finite and within the range of float32 throughout.

    Each layer multiplies the worst case by sum |w|, while real errors mostly cancel: the bound is
    sharp for a layer, useful for some ten, and says nothing about the end of a whole MobileNet.
    Compare deep networks block by block, each from an input of its own.

    Parameters, errors: those of `interpret`.

    Returns
    -------
    tuple of (value, bound)
        Two float64 batches for each of `graph.outputs`.
    """
    inputs = {
        name: Tensor(value, np.abs(value - _flushed(value.astype(np.float32))))
        for name, value in checked_inputs(graph, x).items()
    }
    outputs = run_layers(graph, weights, inputs, evaluate_with_bounds)
    return tuple((tensor.value, tensor.error) for tensor in outputs)


def _flushed(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < TINY, 0, x)


def evaluate_with_bounds(layer: Layer, weights: Weights, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs of one layer with bounds; `weights` as `values.evaluate` takes them."""
    values = evaluate(layer, weights, *(x.value for x in inputs))
    if isinstance(layer, _MOVES):
        errors = evaluate(layer, weights, *(x.error for x in inputs))
        return tuple(map(Tensor, values, errors))
    bound = _BOUNDS[type(layer)](layer, weights, values[0], *inputs)
    both = (bound.error, bound) if isinstance(bound, Sum) else (bound,)
    return (Tensor(values[0], *both),)


def gamma(n: int) -> float:
    """Return n u / (1 - n u); infinite where n u reaches 1."""
    return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF) if n * UNIT_ROUNDOFF < 1 else math.inf


def rounded(n: int, magnitude: Array) -> Array:
    """Error of n roundings on terms whose absolute values add up to `magnitude`."""
    return gamma(n) * magnitude + n * TINY


def _convolution(layer: Any, weights: Weights, y: Array, x: Tensor) -> Array | Sum:
    """Apply the rule for sums to Conv2D, DepthwiseConv2D and Dense."""
    weight = np.abs(weights["weight"])
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    terms = math.prod(weight.shape[:2] if depthwise else weight.shape[:-1])
    plain = replace(layer, clip=None)
    (carried,) = evaluate(plain, {"weight": weight}, x.error)
    (magnitude,) = evaluate(plain, {"weight": weight}, x.largest)
    total = Sum(carried, magnitude + np.abs(weights.get("bias", 0.0)), terms + 1)
    return total if layer.clip is None else total.error + _constants(*layer.clip)


def _batch_norm(layer: layers.BatchNorm, weights: Weights, y: Array, x: Tensor) -> Sum:
    """Apply the rule for batch norm. A variance below 0 makes its sum with epsilon inexact."""
    variance = weights["variance"]
    scale = np.abs(weights["gamma"]) / np.sqrt(variance + layer.epsilon)
    cancelled = np.where(variance < 0, layer.epsilon / (variance + layer.epsilon), 0.0)
    carried, magnitude, roundings = _terms(x)
    return Sum(
        scale * carried,
        scale * (magnitude + np.abs(weights["mean"])) + np.abs(weights["beta"]),
        roundings + 8 + math.ceil(cancelled.max()),
    )


def _add(layer: layers.Add, weights: Weights, y: Array, a: Tensor, b: Tensor) -> Array:
    """Take both sums as one; what follows takes the result as it is."""
    left, right = _terms(a), _terms(b)
    roundings = left.roundings + right.roundings + 1
    total = Sum(left.carried + right.carried, left.magnitude + right.magnitude, roundings)
    return total.error if layer.clip is None else total.error + _constants(*layer.clip)


def _terms(x: Tensor) -> Sum:
    return x.sum or Sum(x.error, x.largest, 0)


def _mul(layer: Layer, weights: Weights, y: Array, a: Tensor, b: Tensor) -> Array:
    """Bound a'b' - ab = a (b' - b) + b (a' - a) + (a' - a)(b' - b), and one product."""
    left, right = broadcast(np.abs(a.value), np.abs(b.value))
    e, f = broadcast(a.error, b.error)
    return left * f + right * e + e * f + rounded(1, (left + e) * (right + f))


def _mean(layer: Any, weights: Weights, y: Array, x: Tensor) -> Array:
    """Average pooling, of windows or whole maps: a sum, and a quotient or a rounded reciprocal."""
    whole = isinstance(layer, layers.GlobalAveragePool)
    shape = x.value.shape[1:]
    pixels = math.prod(shape[:2] if whole else layer.window([shape]).kernel)
    (carried,), (magnitude,) = (evaluate(layer, {}, part) for part in (x.error, x.largest))
    return carried + rounded(pixels + 2, magnitude)


def _resize(layer: layers.Resize, weights: Weights, y: Array, x: Tensor) -> Array:
    """Add up two or four neighbours in any of the usual forms, such as a + f (b - a).

    The interpolation weights, which depend on the shapes alone, are taken to be rounded once.
    """
    (carried,) = evaluate(layer, {}, x.error)
    neighbours = x.largest
    for axis, size in ((1, layer.height), (2, layer.width)):
        low, high, fraction = between(neighbours.shape[axis], size, layer.mode)
        used = (fraction > 0).reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        neighbours = neighbours.take(low, axis) + neighbours.take(high, axis) * used
    return carried + rounded(10, neighbours)


def _clip(layer: layers.Clip, weights: Weights, y: Array, x: Tensor) -> Array:
    return _inside(x.value, x.error, layer.low, layer.high) + _constants(layer.low, layer.high)


def _inside(x: Array, error: Array, low: float, high: float) -> Array:
    """Return the error of a clipped x: none where x is beyond a limit by more than it."""
    outside = (x + error <= low) | (x - error >= high)
    return np.where(outside, 0.0, np.minimum(error, high - low if low < high else 0.0))


def _constants(*numbers: float) -> float:
    """Return the largest error of rounding these to float32, unless they are out of range."""
    largest = float(np.finfo(np.float32).max)
    return max((abs(v - float(np.float32(v))) for v in numbers if abs(v) <= largest), default=0.0)


def _leaky_relu(layer: layers.LeakyReLU, weights: Weights, y: Array, x: Tensor) -> Array:
    """Lipschitz constant |slope| below 0, 1 above; below, slope and product are rounded."""
    slope = abs(layer.slope)
    negative, positive = x.value - x.error < 0, x.value + x.error > 0
    steepest = np.where(negative & positive, max(slope, 1.0), np.where(negative, slope, 1.0))
    return steepest * x.error + negative * rounded(2, slope * x.largest)


def _hard_sigmoid(layer: Layer, weights: Weights, y: Array, x: Tensor) -> Array:
    """Bound a clipped sum of Lipschitz constant 1/6: relu6(x + 3) / 6, clip(x / 6 + 1/2, 0, 1)."""
    error = _inside(x.value, x.error + rounded(3, x.largest + 3), -3, 3) / 6
    return error + rounded(2, y + error)


def _hard_swish(layer: Layer, weights: Weights, y: Array, x: Tensor) -> Array:
    """Multiply x by its hard sigmoid; two roundings more allow for x relu6(x + 3) first."""
    gate = evaluate_with_bounds(layers.HardSigmoid(), {}, x)[0]
    return _mul(layer, {}, y, x, gate) + rounded(2, x.largest * gate.largest)


def _sigmoid(layer: Layer, weights: Weights, y: Array, x: Tensor) -> Array:
    """Lipschitz constant 1/4; roundings relative to 1, as in (1 + tanh(x / 2)) / 2."""
    return np.minimum(x.error / 4, 1.0) + rounded(ELEMENTARY + 2, np.ones_like(y))


def _softmax(layer: layers.Softmax, weights: Weights, y: Array, x: Tensor) -> Array:
    """Bound y[i], which an error up to e[j] in each x[j] changes within exp(+-d[i]).

    d[i] = e[i] + log sum_j y[j] exp(e[j]): numerator and denominator at their worst. The rounded
    x[j] - max x is part of e. No result is above 1, its own roundings apart.
    """
    axis = batch_axis(layer.axis, x.value)
    below = x.value.max(axis=axis, keepdims=True) - x.value
    e = x.error + rounded(1, below + 2 * x.error.max(axis=axis, keepdims=True))
    e = np.minimum(e, _HUGE)
    d = e + np.log((y * np.exp(e)).sum(axis=axis, keepdims=True))
    n = y.shape[axis] + 2 * ELEMENTARY
    change = np.expm1(np.minimum(d, _HUGE))
    error = y * change + rounded(n, y * (1 + change))
    return np.where(d < 30, np.minimum(error, 1 + gamma(n)), 1 + gamma(n))


def _local_response_norm(
    layer: layers.LocalResponseNorm, weights: Weights, y: Array, x: Tensor
) -> Array:
    """Bound x times d**-beta with d = bias + alpha S, S a sum of squares: d' >= bias > 0.

    log d changes by at most |d' - d| / min(d, d'); pow(d) multiplies that by beta, and is rounded
    in its result and, where it is exp(-beta log d), in its exponent.
    """
    size, beta = min(layer.size, x.value.shape[-1]), abs(layer.beta)
    largest = channel_sums(x.largest**2, layer.size)
    squares_error = channel_sums((np.abs(x.value) + x.largest) * x.error, layer.size)
    squares_error += rounded(size, largest)
    d = layer.bias + layer.alpha * channel_sums(x.value**2, layer.size)
    error = layer.alpha * squares_error + rounded(4, layer.bias + layer.alpha * largest)
    moved = error / np.maximum(d - error, layer.bias * (1 - gamma(2)))
    exponent = beta * (np.abs(np.log(d)) + moved)
    doubt = beta * moved + gamma(2 * ELEMENTARY + 2) * (1 + exponent)
    return d**-layer.beta * _scaled(x, doubt) + TINY


def _l2_normalize(layer: layers.L2Normalize, weights: Weights, y: Array, x: Tensor) -> Array:
    """Bound x times scale / r with r the length of the vector (x, sqrt(epsilon)).

    By the triangle inequality r changes by at most the length of the errors; squares that
    underflow count as errors of sqrt(TINY).
    """
    channels = x.value.shape[-1]
    r = np.sqrt((x.value**2).sum(axis=-1, keepdims=True) + layer.epsilon)
    error = np.sqrt((x.error**2).sum(axis=-1, keepdims=True)) + math.sqrt(channels * TINY)
    doubt = error / np.maximum(r - error, math.sqrt(layer.epsilon)) + gamma(channels + 8)
    return np.abs(weights["scale"]) / r * _scaled(x, doubt) + 2 * TINY


def _scaled(x: Tensor, doubt: Array) -> Array:
    """Error of x times a factor between exp(-doubt) and exp(doubt)."""
    return x.error + x.largest * np.expm1(np.minimum(doubt, _HUGE))


_HUGE = 700.0  # exp of it is near the largest double

_MOVES = (  # outputs are inputs in other places; MaxPool: |max x' - max x| <= max |x' - x|
    layers.Concat, layers.Split, layers.MaxPool, layers.ChannelShuffle, layers.SpaceToDepth,
    layers.Pad, layers.Reshape, layers.Flatten, layers.Transpose, layers.Slice, layers.Broadcast,
)  # fmt: skip

_BOUNDS: dict[type[Layer], Callable[..., Array | Sum]] = {
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.Dense: _convolution,
    layers.BatchNorm: _batch_norm,
    layers.LocalResponseNorm: _local_response_norm,
    layers.L2Normalize: _l2_normalize,
    layers.Clip: _clip,
    layers.LeakyReLU: _leaky_relu,
    layers.HardSigmoid: _hard_sigmoid,
    layers.HardSwish: _hard_swish,
    layers.Sigmoid: _sigmoid,
    layers.Softmax: _softmax,
    layers.Add: _add,
    layers.Mul: _mul,
    layers.AveragePool: _mean,
    layers.GlobalAveragePool: _mean,
    layers.Resize: _resize,
}
