"""Bounds on the distance of float32 results from the float64 reference, derived by operation.

One operation in floating point returns the exact result times (1 + d), |d| <= u, with u = 2^-24 in
float32 (2^-53 in float64). A term that passes through n operations is therefore off by at most the
factor gamma(n) = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).

Convolutions, dense layers. y = bias + sum of n products x w, in any order, fused or not: no term
passes through more than n additions and one multiplication, so

    |y32 - y| <= gamma(n + 1) * (|bias| + sum |x| |w|).

The sum on the right is the operation itself on absolute values, hence the reference runs twice. Its
own rounding, gamma(n + 1) in float64, is added. The kernels take numbers below the normal range for
zero. Operands of this kind are zero for the reference too; each operation whose result is one is off
by less than 2^-126.

Activations are clamps, and a clamp brings numbers nearer to each other: |clamp(a) - clamp(b)| <=
|a - b|. Their bounds in the tests are float32 numbers. So the tolerance stays as it is.

Depthwise, then pointwise. If the depthwise result m is off by at most e, the pointwise sum moves by
at most sum e |w|, and its own rounding is relative to sum (|m| + e) |w| + |bias|.

Average over n pixels: n - 1 additions and one division, gamma(n) * (sum |x|) / n.

Batch norm. y = x f + s with f = gamma / sqrt(variance + epsilon) and s = beta - mean f, both rounded
from float64 once: with the multiplication and the addition, three operations for each term, so
gamma(3) * (|x f| + |beta| + |mean f|), which is batch norm of |x|, |gamma|, |beta|, -|mean|.

Softmax. With d = x - max(x), rounded once, exp(d) is off by the factor 1 + r, r = e^(|d| u) - 1 plus
the error of NumPy's float32 exp, three units in the last place (6 u; its own tests allow no more).
The quotient is off by its numerator's r, its denominator's (the mean of all r, weighted with y, and
gamma(n) for the sum), and one rounding. Numerators below the normal range are off by up to 3 * 2^-126.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from calls import Call

from dsconv import reference

NORMAL = 2.0**-126  # the smallest normal float32
Compute = Callable[[Call], np.ndarray]


def gamma(n: int, unit: float = 2.0**-24) -> float:
    """Bound on the relative error of a term that passes through n operations."""
    return n * unit / (1 - n * unit)


def rounding(operations: int, magnitude: np.ndarray) -> np.ndarray:
    """Error of a float32 sum of magnitudes `magnitude`, and of the float64 sum beside it."""
    relative = gamma(operations) + 2 * gamma(operations, 2.0**-53)
    return relative * magnitude + operations * NORMAL


def flushed(x: np.ndarray) -> np.ndarray:
    """Return x with zeros of the same sign for numbers below the normal range."""
    return np.where(np.abs(x) < NORMAL, np.copysign(np.float32(0), x), x)


def naive(call: Call) -> np.ndarray:
    return call(reference)[0]


def expected(call: Call, compute: Compute = naive) -> tuple[np.ndarray, np.ndarray]:
    """Compute a call in float64 with `compute`, and the tolerance of each element."""
    arrays = {name: a if a is None else flushed(a) for name, a in call.arrays.items()}
    call = call._replace(arrays=arrays)
    if call.operation == "separable_conv2d":
        return _separable(call, compute)
    operations, magnitudes = _RULES[call.operation](**call.arrays)
    absolute = Call(call.operation, magnitudes, {**call.options, "activation": None})
    return compute(call), rounding(operations, compute(absolute))


def assert_within(actual: np.ndarray, call: Call, compute: Compute = naive) -> None:
    """Check dtype and shape of `actual`, and each element against its tolerance."""
    assert_close(actual, *expected(call, compute))


def assert_close(actual: np.ndarray, y: np.ndarray, allowed: np.ndarray) -> None:
    assert isinstance(actual, np.ndarray) and actual.dtype == np.float32
    assert actual.shape == y.shape
    excess = np.abs(actual - y) - allowed
    if not (excess <= 0).all():  # NaN fails, too
        worst = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), y.shape)
        raise AssertionError(
            f"{(~(excess <= 0)).sum()} of {y.size} elements are off; at {worst} got "
            f"{actual[worst]!r}, expected {y[worst]!r} +- {allowed[worst]!r}"
        )


def _absolute(**arrays: np.ndarray | None) -> dict[str, np.ndarray | None]:
    return {name: a if a is None else np.abs(a) for name, a in arrays.items()}


def _convolution(x: Any, weight: np.ndarray, bias: Any = None) -> tuple[int, dict[str, Any]]:
    products = weight.size // weight.shape[-1]
    return products + 1, _absolute(x=x, weight=weight, bias=bias)


def _depthwise(x: Any, weight: np.ndarray, bias: Any = None) -> tuple[int, dict[str, Any]]:
    products = weight.shape[0] * weight.shape[1]
    return products + 1, _absolute(x=x, weight=weight, bias=bias)


def _batch_norm(mean: np.ndarray, variance: np.ndarray, **rest: Any) -> tuple[int, dict[str, Any]]:
    return 3, _absolute(**rest) | {"mean": -np.abs(mean), "variance": variance}


_RULES = {
    "conv2d": _convolution,
    "depthwise_conv2d": _depthwise,
    "pointwise_conv2d": _convolution,
    "dense": _convolution,
    "batch_norm": _batch_norm,
}


def _separable(call: Call, compute: Compute) -> tuple[np.ndarray, np.ndarray]:
    a, options = call.arrays, dict(call.options)
    activation, between = options.pop("activation"), options.pop("depthwise_activation")
    first = {"x": a["x"], "weight": a["depthwise_weight"], "bias": a["depthwise_bias"]}
    options["activation"] = between
    middle, error = expected(Call("depthwise_conv2d", first, options), compute)

    def pointwise(x: np.ndarray, weight: np.ndarray, bias: Any, clamp: Any = None) -> np.ndarray:
        second = {"x": x, "weight": weight, "bias": bias}
        return compute(Call("pointwise_conv2d", second, {"stride": 1, "activation": clamp}))

    matrix = a["pointwise_weight"]
    operations, absolute = _convolution(np.abs(middle) + error, matrix, a["bias"])
    allowed = rounding(operations, pointwise(**absolute)) + pointwise(error, np.abs(matrix), None)
    return pointwise(middle, matrix, a["bias"], activation), allowed


def average(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return expected result and tolerance of `global_average_pool`."""
    pixels = x.shape[-3] * x.shape[-2]
    magnitude, _ = reference.global_average_pool(np.abs(x))
    return reference.global_average_pool(x)[0], rounding(pixels, magnitude)


def softmax(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return expected result and tolerance of `softmax`."""
    unit = 2.0**-24
    y, _ = reference.softmax(x, axis)
    d = x.astype(float) - x.max(axis, keepdims=True).astype(float)
    power = np.exp(d) * np.expm1(-d * unit) + np.exp(d) * 6 * unit  # absolute error of exp(d)
    power += 3 * NORMAL
    total = np.exp(d).sum(axis, keepdims=True)
    off = power.sum(axis, keepdims=True)
    off += gamma(x.shape[axis]) * (total + off)
    quotient = (np.exp(d) + power) / (total - off)  # the largest that it can be
    double = gamma(x.shape[axis] + 4, 2.0**-53)  # the reference's own rounding; y is at most 1
    return y, quotient - y + unit * quotient + NORMAL + double
