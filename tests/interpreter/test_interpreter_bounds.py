"""The error bounds of bounds.py are not much too large, and hold where roundings add up.

Bounds that are too small fail the tests of the kernels, which evaluate every kind of layer and random
graphs in float32 with batch norms folded, and those of exported files in other engines.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from bounds import Tensor, evaluate_with_bounds, gamma, interpret_with_bounds
from layer_cases import LINEAR, MAP, name_of, random_weights

from dsconv import layers, reference
from dsconv.graph import Graph
from dsconv.interpreter.values import evaluate
from dsconv.layers import Layer

F, U = np.float32, 2.0**-24
Shapes = list[tuple[int, ...]]


def double(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float64) for name, array in weights.items()}


# One layer


def worst_change(layer: Layer, weights: Any, inputs: list[Tensor]) -> list[np.ndarray]:
    """Sum over all input values of |derivative| * error: what the errors can do, to first order."""
    step = 2.0**-20
    totals: list[Any] = [0.0] * len(layer.infer([x.value.shape[1:] for x in inputs]))
    for number, x in enumerate(inputs):
        values = x.value.size
        moves = (step * np.eye(values)).reshape(values, *x.value.shape[1:])
        several = [v.value.repeat(values, axis=0) for v in inputs]
        sides = []
        for sign in (1, -1):
            moved = list(several)
            moved[number] = several[number] + sign * moves
            sides.append(evaluate(layer, weights, *moved))
        for k, (up, down) in enumerate(zip(*sides, strict=True)):
            slopes = np.abs(up - down) / (2 * step)  # (input values, *output)
            totals[k] += np.tensordot(x.error.ravel(), slopes, axes=1)
    return totals


def positive_inputs(shapes: Shapes, error: float) -> list[Tensor]:
    random = np.random.default_rng(7)
    values = (random.uniform(0.5, 1.0, (1, *shape)) for shape in shapes)
    return [Tensor(v, np.full(v.shape, error)) for v in values]


@pytest.mark.parametrize("layer, shapes", LINEAR, ids=name_of)
def test_linear_layers_lose_nothing_but_roundings(layer: Layer, shapes: Shapes):
    """Compare errors of 100 with the bound, beside which gamma(60) is nothing."""
    weights = double(random_weights(layer, shapes, np.random.default_rng(3)))
    inputs = positive_inputs(shapes, 100.0)
    worst = worst_change(layer, weights, inputs)
    for change, tensor in zip(worst, evaluate_with_bounds(layer, weights, *inputs), strict=True):
        # gamma(60) of terms up to 101, against changes of 100; the derivatives are exact to 1e-6
        assert (tensor.error >= change * (1 - 1e-6)).all()
        assert (
            tensor.error <= change * (1 + 1e-6) + 4 * gamma(60) * (101 / 100 * change + 9)
        ).all()


SMOOTH = [  # factor by which the bound may exceed what errors can do, for inputs of 0.5 to 1
    (layers.LocalResponseNorm(3, 0.1, 0.75, 2.0), [MAP], 1.2),  # (1 + a) / (1 - a), a < 0.08
    (layers.L2Normalize(), [MAP], 3.0),  # 1 + sqrt(4) |x| / r against 1 - x^2 / r^2, |x| / r < 2/3
    (layers.LeakyReLU(0.1), [MAP], 1.0),
    (layers.HardSwish(), [MAP], 1.0),  # x / 6 + (x + 3) / 6, the derivative itself
    (layers.HardSigmoid(), [MAP], 1.0),
    (layers.Sigmoid(), [MAP], 1.28),  # 1/4 against s (1 - s) >= 0.196 up to x = 1
    (layers.Softmax(), [(9,)], 1.25),  # 1 / (1 - y), y < 1 / (1 + 8 exp(-1/2))
    (layers.Mul(), [MAP, (4,)], 1.0),
    (layers.Clip(-1.0, 6.0), [MAP], 1.0),
]


@pytest.mark.parametrize("layer, shapes, factor", SMOOTH, ids=name_of)
def test_other_layers_lose_a_known_factor(layer: Layer, shapes: Shapes, factor: float):
    weights = double(random_weights(layer, shapes, np.random.default_rng(3)))
    inputs = positive_inputs(shapes, 1e-3)
    (change,) = worst_change(layer, weights, inputs)
    (tensor,) = evaluate_with_bounds(layer, weights, *inputs)
    # second order: 9 inputs, second derivatives below 2; at most 40 roundings
    assert (tensor.error >= change - 9e-6 * (1 + change)).all()
    weight = np.abs(weights.get("scale", 1.0))
    assert (tensor.error <= factor * change + (9e-6 + 2 * gamma(40)) * (1 + weight)).all()


def test_largest_value_and_clip_have_the_errors_of_their_inputs():
    x = Tensor(
        np.array([[[[1.0], [2.0], [3.0], [4.0]]]]), np.array([[[[0.1], [0.2], [0.4], [0.3]]]])
    )
    (largest,) = evaluate_with_bounds(layers.MaxPool((1, 2), (1, 2)), {}, x)
    assert largest.error.ravel().tolist() == [0.2, 0.4]
    (clipped,) = evaluate_with_bounds(layers.Clip(1.5, 3.5), {}, x)
    assert clipped.error.ravel().tolist() == [0.0, 0.2, 0.4, 0.0]  # below, inside, inside, above
    (near,) = evaluate_with_bounds(layers.Clip(1.0625, 3.875), {}, x)
    assert near.error.ravel().tolist() == [0.1, 0.2, 0.4, 0.3]  # may cross the limit
    (narrow,) = evaluate_with_bounds(layers.Clip(1.75, 2.0), {}, x)
    assert narrow.error.ravel().tolist() == [0.0, 0.2, 0.0, 0.0]
    (narrow,) = evaluate_with_bounds(layers.Clip(2.75, 2.875), {}, x)
    assert narrow.error.ravel().tolist() == [0.0, 0.0, 0.125, 0.0]  # no more than there is room
    for limit in (2.0, math.inf):
        (constant,) = evaluate_with_bounds(layers.Clip(limit, limit), {}, x)
        assert not constant.error.any()


def test_limits_and_slopes_are_rounded_to_float32():
    x = Tensor(np.array([[-1.0, 9.0]]), np.zeros((1, 2)))
    (clipped,) = evaluate_with_bounds(layers.Clip(0.1, 0.7), {}, x)
    rounded = F([0.1, 0.7])
    assert (np.abs(rounded - clipped.value) <= clipped.error).all()
    assert clipped.error.max() == np.abs(rounded.astype(np.float64) - [0.1, 0.7]).max() > 0
    (leaky,) = evaluate_with_bounds(layers.LeakyReLU(0.1), {}, x)
    assert 0 < abs(float(F(-0.1)) + 0.1) <= leaky.error[0, 0] and leaky.error[0, 1] == 0
    zero = Tensor(np.zeros((1, 1)), np.zeros((1, 1)))
    fused = [
        *evaluate_with_bounds(layers.Add(clip=(0.1, 0.7)), {}, zero, zero),
        *evaluate_with_bounds(layers.Dense(1, clip=(0.1, 0.7)), {"weight": np.ones((1, 1))}, zero),
    ]
    for tensor in fused:
        assert 0 < abs(float(F(0.1)) - 0.1) <= tensor.error[0, 0]


# Sums


def sum_cases() -> list[tuple[Any, tuple[int, ...], int, Any]]:
    return [
        (layers.Conv2D(6, 3, stride=2, groups=2), (5, 4, 4), 18, reference.conv2d),
        (layers.DepthwiseConv2D(3, multiplier=2), (5, 4, 3), 9, reference.depthwise_conv2d),
        (layers.Dense(5), (7,), 7, reference.dense),
    ]


@pytest.mark.parametrize("layer, shape, terms, naive", sum_cases())
def test_one_sum_has_the_textbook_bound(layer, shape, terms, naive):
    """Check gamma(T + 1) (sum |w| |x| + |b|), with the magnitude from the reference."""
    random = np.random.default_rng(0)
    graph = Graph()
    graph.output(graph.add(layer, graph.input(shape), name="sum"))
    weights = graph.init_weights()
    x = F(random.normal(size=(1, *shape)))
    ((_, bound),) = interpret_with_bounds(graph, weights, x)
    options = {k: v for k, v in vars(layer).items() if k in ("stride", "padding", "groups")}
    absolute = (np.abs(weights[f"sum/{name}"]) for name in ("weight", "bias"))
    magnitude, _ = naive(np.abs(x), *absolute, **options)
    np.testing.assert_allclose(bound, gamma(terms + 1) * magnitude, rtol=1e-9)


def test_a_float64_input_is_rounded_first():
    graph = Graph()
    graph.output(graph.relu(graph.input((3,))))
    x = np.array([[0.1, 0.5, 1 / 3]])
    ((value, bound),) = interpret_with_bounds(graph, {}, x)
    np.testing.assert_array_equal(value, x)
    np.testing.assert_array_equal(bound, np.abs(x - F(x)))
    ((_, bound),) = interpret_with_bounds(graph, {}, F(x))
    assert not bound.any()


def test_products_that_underflow():
    graph = Graph()
    graph.output(graph.dense(graph.input((2,)), 1, bias=False, name="dense"))
    x, weight = F([[1e-30, 1e-26]]), F([[1e-20], [-2e-20]])
    ((value, bound),) = interpret_with_bounds(graph, {"dense/weight": weight}, x)
    assert not (x[0] * weight[:, 0]).any() and value.all()
    assert abs(value[0, 0]) <= bound[0, 0] < 1e-37


# Batch norms


@pytest.mark.parametrize("source", ["bias", "mean", "beta"])
def test_a_large_shift_swallows_small_terms(source: str):
    """Add 64 terms of 0.9 one by one to 2**24, which stays as it is, since its ulp is 2.

    The error of 57.6 is near the bound: gamma(64 + 1 + 8 for folding) * 2**24 = 73 and a little.
    """
    graph = Graph()
    x = graph.dense(graph.input((64,)), 1, name="dense")
    graph.output(graph.batch_norm(x, 0.0, name="norm"))
    weights = {name: np.zeros(shape, F) for name, shape in graph.parameters().items()}
    weights["dense/weight"] += F(0.9)
    for name in ("gamma", "variance"):
        weights[f"norm/{name}"] += 1
    name = "dense/bias" if source == "bias" else f"norm/{source}"
    weights[name] += F(-(2.0**24) if source == "mean" else 2.0**24)
    ((value, bound),) = interpret_with_bounds(graph, weights, np.ones((1, 64), F))
    total = F(2.0**24)
    for term in weights["dense/weight"][:, 0]:
        total = total + term
    assert total == 2.0**24
    assert 57 < abs(total - value[0, 0]) <= bound[0, 0] < 74


@pytest.mark.parametrize("first", [True, False])
def test_an_addition_may_start_the_sum(first: bool):
    """Take the large number from elsewhere: gamma(64 + 1 + 1) * 2**24 = 66."""
    graph = Graph()
    x, large = graph.input((64,), name="x"), graph.input((1,), name="large")
    x = graph.dense(x, 1, bias=False, name="dense")
    graph.output(graph.add(layers.Add(), *((large, x) if first else (x, large))))
    weights = {"dense/weight": np.full((64, 1), 0.9, F)}
    inputs = (np.ones((1, 64), F), np.full((1, 1), 2.0**24, F))
    ((value, bound),) = interpret_with_bounds(graph, weights, inputs)
    assert 57 < value[0, 0] - 2.0**24 <= bound[0, 0] < 67


def test_a_large_square_swallows_small_ones():
    """Put 64 squares of 0.9 beside 4096**2 in local response norm, to the power -1."""
    layer = layers.LocalResponseNorm(129, alpha=2.0**-24, beta=1.0, bias=1e-6)  # log d is 0
    x = np.full((1, 1, 1, 65), F(math.sqrt(0.9)))
    x[..., 0] = 4096
    total = F(0)
    for value in x.ravel():
        total = total + value * value
    exact = Tensor(x.astype(np.float64), np.zeros(x.shape))
    (tensor,) = evaluate_with_bounds(layer, {}, exact)
    off = np.abs(x / (F(2.0**-24) * total + F(1e-6)) - tensor.value)
    assert (off[..., 1:] > 50 * U * tensor.value[..., 1:]).all()
    assert (off <= tensor.error).all()


def test_negative_variance_costs_exactness():
    """Take 0.5 - 0.4999: rounding epsilon to float32 is off by 2**-26 in 1e-4."""
    epsilon = 0.5 + 2.0**-26  # halfway between two float32
    variance = F([-0.4999])
    graph = Graph()
    graph.output(graph.batch_norm(graph.input((1,)), epsilon, name="norm"))
    weights = {"norm/gamma": F([1]), "norm/beta": F([0]), "norm/mean": F([0])}
    ((value, bound),) = interpret_with_bounds(
        graph, weights | {"norm/variance": variance}, np.ones((1, 1), F)
    )
    y = F(1) / np.sqrt(variance + F(epsilon))
    assert 100 * U * value[0, 0] < abs(y[0] - value[0, 0]) <= bound[0, 0]
