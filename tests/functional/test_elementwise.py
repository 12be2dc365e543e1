"""Pooling, batch norm, addition and softmax against the naive reference."""

from __future__ import annotations

import math

import calls
import numpy as np
import pytest
import tolerance
from calls import Call, array
from hypothesis import given
from hypothesis import strategies as st

import dsconv
from dsconv import reference

sides = st.integers(1, 6)
prefixes = st.lists(st.integers(1, 4), max_size=3).map(tuple)  # axes in front of the channels


@given(st.data(), calls.batches, sides, sides, calls.seeds)
def test_global_average_pool(isa, data, batch, height, width, seed):
    channels = data.draw(calls.some(calls.widths(isa), 200))
    shape = (height, width, channels) if batch is None else (batch, height, width, channels)
    x = array(np.random.default_rng(seed), *shape)
    tolerance.assert_close(dsconv.global_average_pool(x), *tolerance.average(x))


def test_global_average_pool_of_a_large_map(isa):
    x = array(np.random.default_rng(0), 2, 150, 130, 3)
    magnitude = np.abs(x).mean((1, 2), dtype=float)
    allowed = tolerance.rounding(150 * 130, magnitude)
    tolerance.assert_close(dsconv.global_average_pool(x), x.mean((1, 2), dtype=float), allowed)


@given(st.data(), prefixes, calls.seeds, calls.activations, st.sampled_from([1e-3, 1e-5, 0.0, 2]))
def test_batch_norm(isa, data, prefix, seed, activation, epsilon):
    rng, channels = np.random.default_rng(seed), data.draw(calls.some(calls.widths(isa), 200))
    arrays = {"x": array(rng, *prefix, channels)}
    arrays |= {name: array(rng, channels) for name in ("gamma", "beta", "mean")}
    arrays["gamma"][rng.random(channels) < 0.2] = 0
    arrays["variance"] = np.abs(array(rng, channels)) + np.float32(2.0**-10)
    call = Call("batch_norm", arrays, {"epsilon": epsilon, "activation": activation})
    tolerance.assert_within(call(), call)


def test_batch_norm_of_a_large_map(isa, set_num_threads):
    set_num_threads(2)
    rng = np.random.default_rng(0)
    x = array(rng, 2, 40, 40, 33)
    gamma, beta, mean = (array(rng, 33) for _ in range(3))
    variance = array(rng, 33) ** 2
    y = dsconv.batch_norm(x, gamma, beta, mean, variance, epsilon=0.5)
    scale = gamma.astype(float) / np.sqrt(variance.astype(float) + 0.5)
    expected = (x - mean.astype(float)) * scale + beta
    magnitude = (np.abs(x) + np.abs(mean).astype(float)) * np.abs(scale) + np.abs(beta)
    tolerance.assert_close(y, expected, tolerance.rounding(3, magnitude))


@given(st.data(), prefixes, calls.seeds, calls.activations)
def test_add(isa, data, prefix, seed, activation):
    # float64 has more than twice the digits of float32: rounding twice is rounding once
    rng, channels = np.random.default_rng(seed), data.draw(calls.some(calls.widths(isa), 200))
    a, b = array(rng, *prefix, channels), array(rng, *prefix, channels)
    y = dsconv.add(a, b, activation=activation)
    assert y.dtype == np.float32
    assert np.array_equal(y, reference.add(a, b, activation=activation)[0].astype(np.float32))


def test_add_of_a_large_map_and_of_single_numbers(isa, set_num_threads):
    set_num_threads(2)
    a, b = array(np.random.default_rng(0), 2, 300, 301)
    assert np.array_equal(dsconv.add(a, b), a + b)
    y = dsconv.add(np.array(1, np.float32), np.array(2, np.float32))
    assert y.shape == () and y == 3


@given(st.data(), st.lists(st.integers(1, 7), min_size=1, max_size=3), calls.seeds)
def test_softmax(data, shape, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = array(np.random.default_rng(seed), *shape) * np.float32(data.draw(st.sampled_from([1, 20])))
    tolerance.assert_close(dsconv.softmax(x, axis), *tolerance.softmax(x, axis))


def test_softmax_of_large_numbers_and_of_many():
    x = np.array([[3e38, 3e38, -3e38], [-3e38, -3e38, -3e38]], np.float32)
    with np.errstate(over="raise", invalid="raise"):
        y = dsconv.softmax(x)
    assert np.array_equal(y, np.float32([[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]))
    x = array(np.random.default_rng(0), 2, 1001)
    tolerance.assert_close(dsconv.softmax(x), *tolerance.softmax(x, -1))


def test_minus_infinity_has_probability_zero():
    y = dsconv.softmax(np.array([0, -math.inf, 0], np.float32))
    assert y.tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize(
    "activation, expected",
    [
        (None, [-math.inf, -2, 0, 3, 7, math.inf]),
        ("relu", [0, 0, 0, 3, 7, math.inf]),
        ("relu6", [0, 0, 0, 3, 6, 6]),
        ((-1, 4), [-1, -1, 0, 3, 4, 4]),
        ([2, 2], [2, 2, 2, 2, 2, 2]),
        ((-math.inf, 0), [-math.inf, -2, 0, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("width", [1, 9, 40])
def test_activations_clamp_and_let_nan_pass(isa, activation, expected, width):
    values = np.array([-math.inf, -2, 0, 3, 7, math.inf, math.nan], np.float32)
    x = np.repeat(values, width).reshape(1, 7, width)  # (H, W, C), all channels alike
    one, zero = np.ones(width, np.float32), np.zeros(width, np.float32)
    column, kernel = np.ascontiguousarray(x[:, :, :1]), one[:1].reshape(1, 1, 1, 1)
    for y in (
        dsconv.add(x, np.zeros_like(x), activation=activation),
        dsconv.batch_norm(x, one, zero, zero, one, epsilon=0, activation=activation),
        dsconv.depthwise_conv2d(x, one.reshape(1, 1, width, 1), activation=activation),
        dsconv.conv2d(column, one.reshape(1, 1, 1, width), activation=activation),
        dsconv.pointwise_conv2d(column, one[None], activation=activation),
        dsconv.dense(column[0], one[None], activation=activation),
        dsconv.separable_conv2d(column, kernel, one[None], activation=activation),
        dsconv.separable_conv2d(column, kernel, one[None], depthwise_activation=activation),
    ):
        y = y.reshape(7, width)
        assert (y == y[:, :1]).all(axis=1).tolist() == [True] * 6 + [False]
        assert y[:6, 0].tolist() == expected
        assert np.isnan(y[6]).all()
