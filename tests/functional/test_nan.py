"""NaN and infinity go where the numbers that they stand for take part, and nowhere else."""

from __future__ import annotations

from typing import Any

import calls
import numpy as np
import pytest
from calls import Call, array, same_bits
from hypothesis import given
from hypothesis import strategies as st
from patches import convolve

import dsconv

BUDGET = 20_000
CONVOLUTIONS = [operation for operation in calls.WITH_WEIGHTS if operation != "separable_conv2d"]


def reached(call: Call, marks: np.ndarray) -> np.ndarray:
    """Mark the outputs that have a marked input among their taps (whatever the weight)."""
    weight = np.ones_like(call.arrays["weight"])
    arrays = {"x": marks.astype(np.float32), "weight": weight, "bias": None}
    return convolve(Call(call.operation, arrays, {**call.options, "activation": None})) > 0


def reached_through_both(call: Call, marks: np.ndarray) -> np.ndarray:
    """Mark all output channels of the pixels that a separable convolution reaches."""
    a = call.arrays
    first = Call("depthwise_conv2d", {"x": a["x"], "weight": a["depthwise_weight"]}, call.options)
    pixels = reached(first, marks).any(axis=-1, keepdims=True)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], a["pointwise_weight"].shape[1]))


def some_marks(call: Call, data: Any) -> np.ndarray:
    """Mark one to three positions of x."""
    marks = np.zeros(call.arrays["x"].shape, bool)
    for _ in range(data.draw(st.integers(1, 3))):
        marks.flat[data.draw(st.integers(0, marks.size - 1))] = True
    return marks


@pytest.mark.parametrize("operation", calls.WITH_WEIGHTS)
@given(st.data())
def test_nan_reaches_its_receptive_field(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, BUDGET))
    marks = some_marks(call, data)
    field = (reached_through_both if operation == "separable_conv2d" else reached)(call, marks)
    x = call.arrays["x"]
    with_zero, with_nan = (np.where(marks, value, x).astype(np.float32) for value in (0, np.nan))
    y = call(x=with_nan)
    assert np.array_equal(np.isnan(y), field)
    assert same_bits(y[~field], call(x=with_zero)[~field])


@pytest.mark.parametrize("operation", CONVOLUTIONS)
@given(st.data())
def test_infinity_is_a_number(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, BUDGET))
    x = np.where(some_marks(call, data), data.draw(st.sampled_from([np.inf, -np.inf])), 0)
    weight = np.sign(call.arrays["weight"])
    weight.flat[data.draw(st.integers(0, weight.size - 1))] = 0  # infinity times zero is NaN
    call = Call(operation, {"x": x.astype("f4"), "weight": weight, "bias": None}, call.options)
    with np.errstate(invalid="ignore"):
        expected = convolve(call).astype(np.float32)
    assert np.array_equal(call(), expected, equal_nan=True)


@pytest.mark.parametrize("operation", CONVOLUTIONS)
@given(st.data())
def test_nan_in_the_bias_or_weight_of_one_channel(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, BUDGET))
    weight, bias = call.arrays["weight"], np.zeros(call().shape[-1], np.float32)
    channel = data.draw(st.integers(0, len(bias) - 1))
    bias[channel] = np.nan
    expected = np.arange(len(bias)) == channel
    assert (np.isnan(call(bias=bias)) == expected).all()
    if "padding" in call.options:
        call.options["padding"] = 0
        kernel, dilation = weight.shape[:2], calls.both(call.options["dilation"])
        least = tuple((kernel[i] - 1) * dilation[i] + 2 for i in (0, 1))
        x = array(np.random.default_rng(0), *least, call.arrays["x"].shape[-1])
    else:
        x = call.arrays["x"]
    weight = weight.copy()
    weight.reshape(-1, len(bias))[data.draw(st.integers(0, weight.size // len(bias) - 1))] *= (
        np.where(expected, np.nan, 1)
    )
    assert (np.isnan(call(x=x, weight=weight)) == expected).all()


@given(st.data())
def test_nothing_is_left_over_from_the_call_before(isa, data):
    call = data.draw(calls.any_of(isa, BUDGET))
    y = call()
    for strategy in calls.WITH_WEIGHTS.values():  # their scratch memory is full of NaN now
        nan = data.draw(strategy(isa, BUDGET))
        nan(x=np.full_like(nan.arrays["x"], np.nan))
    assert same_bits(call(threads=2), y)


@given(st.data())
def test_nan_in_operations_without_weights(isa, data):
    channels = data.draw(st.sampled_from(calls.widths(isa)))
    activation = data.draw(calls.activations)
    x, z = array(np.random.default_rng(0), 2, 3, 4, 5, channels)
    at = tuple(data.draw(st.integers(0, n - 1)) for n in x.shape)
    x[at] = np.nan
    here = np.isnan(x)
    assert np.array_equal(np.isnan(dsconv.add(x, z, activation=activation)), here)
    assert np.array_equal(np.isnan(dsconv.add(z, x, activation=activation)), here)
    assert np.array_equal(np.isnan(dsconv.global_average_pool(x)), here.any((1, 2)))
    y = dsconv.softmax(x, axis=2)
    assert np.array_equal(np.isnan(y), np.broadcast_to(here.any(2, keepdims=True), x.shape))
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    y = dsconv.batch_norm(x, one, zero, zero, one, epsilon=0, activation=activation)
    assert np.array_equal(np.isnan(y), here)
    one[at[-1]] = np.nan
    for k in range(4):
        vectors = [one if i == k else np.ones_like(one) for i in range(4)]
        y = dsconv.batch_norm(z, *vectors, epsilon=1, activation=activation)
        assert (np.isnan(y) == np.isnan(one)).all()


def test_infinity_in_operations_without_weights(isa):
    x = np.array([[[1, np.inf, -np.inf, np.inf], [2, 0, 0, -np.inf]]], np.float32)
    y = dsconv.global_average_pool(x)
    assert y[:3].tolist() == [1.5, np.inf, -np.inf] and np.isnan(y[3])
    y = dsconv.add(x, np.full_like(x, np.inf), activation="relu6")[0, 0]
    assert y[[0, 1, 3]].tolist() == [6, 6, 6] and np.isnan(y[2])
