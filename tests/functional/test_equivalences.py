"""One convolution said in two ways: the bits are the same."""

from __future__ import annotations

import calls
import numpy as np
import pytest
from calls import Call, array, same_bits
from hypothesis import given
from hypothesis import strategies as st

import dsconv
from dsconv.arguments.window import window
from dsconv.kernels.packing import Packing, Widths
from dsconv.kernels.steps import convolution_step, geometry

BUDGET = 30_000  # multiply-adds of a call


@given(st.data())
def test_separable_is_depthwise_then_pointwise(isa, data):
    call = data.draw(calls.separable_conv2d(isa, BUDGET))
    a, options = call.arrays, dict(call.options)
    last, options["activation"] = options["activation"], options.pop("depthwise_activation")
    x = dsconv.depthwise_conv2d(a["x"], a["depthwise_weight"], a["depthwise_bias"], **options)
    y = dsconv.pointwise_conv2d(x, a["pointwise_weight"], a["bias"], activation=last)
    assert same_bits(call(threads=3), y)


@given(st.data())
def test_depthwise_is_a_convolution_with_a_group_for_each_channel(isa, data):
    call = data.draw(calls.depthwise_conv2d(isa, BUDGET))
    weight = call.arrays["weight"]
    kh, kw, channels, multiplier = weight.shape
    arrays = {**call.arrays, "weight": weight.reshape(kh, kw, 1, channels * multiplier)}
    grouped = Call("conv2d", arrays, {**call.options, "groups": channels})
    assert same_bits(grouped(), call())


@pytest.mark.parametrize("filters", [1, 2, 5, 16, 33])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": ((1, 1), (0, 2))},
        {"dilation": 2, "padding": "valid"},
        {"stride": (1, 3), "dilation": (2, 1), "padding": 3},
    ],
)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5)])
def test_one_channel_has_the_bits_of_the_depthwise_kernel(isa, kernel, options, filters):
    """Compare with the op "depthwise", which the operation takes from two channels on."""
    rng = np.random.default_rng(filters)
    x, weight = array(rng, 2, 9, 17, 1), array(rng, *kernel, 1, filters)
    bias = array(rng, filters)
    place, packing = window((9, 17), kernel, **options), Packing(weight.shape, depthwise=True)
    op, output, fields = convolution_step(place, [(packing, (-1.0, 2.0))])
    assert op == "depthwise"
    weights = {
        "weight": packing.packed(weight, Widths.of(isa)),
        "bias": packing.bias().packed(bias, Widths.of(isa)),
    }
    numbers = geometry(x.shape[1:], output, place, **fields)
    step = isa.Step(op, numbers, (1, 0), (2, 0), None, weights)
    expected = np.empty((2, *output), np.float32)
    isa.Program([step], (x[0].size,), (expected[0].size,)).run((x, expected), 2, 1)
    options = {"activation": (-1, 2), **options}
    for w in (weight, dsconv.pack(weight, "depthwise")):
        assert same_bits(dsconv.depthwise_conv2d(x, w, bias, threads=2, **options), expected)
    assert same_bits(dsconv.conv2d(x, weight, bias, **options), expected)


@given(st.data())
def test_groups_are_convolutions_side_by_side(isa, data):
    call = data.draw(calls.conv2d(isa, BUDGET))
    groups = call.options["groups"]
    parts = {k: np.split(call.arrays[k], groups, -1) for k in ("x", "weight")}
    bias = call.arrays["bias"]
    parts["bias"] = [None] * groups if bias is None else np.split(bias, groups)
    y = [call(groups=1, **{k: v[g] for k, v in parts.items()}) for g in range(groups)]
    assert same_bits(call(), np.concatenate(y, -1))


@given(st.data())
def test_pointwise_is_a_convolution_with_a_1x1_kernel(isa, data):
    call = data.draw(calls.pointwise_conv2d(isa, BUDGET))
    weight = call.arrays["weight"][np.newaxis, np.newaxis]
    conv2d = Call("conv2d", {**call.arrays, "weight": weight}, call.options)
    assert same_bits(conv2d(padding="valid"), call())
    y = conv2d(padding=((1, 2), (3, 4)), stride=1)  # the same numbers in the middle of a border
    assert same_bits(np.ascontiguousarray(y[..., 1:-2, 3:-4, :]), call(stride=1))


@given(st.data())
def test_dense_is_a_pointwise_convolution_of_one_pixel(isa, data):
    call = data.draw(calls.dense(isa, BUDGET))
    x = call.arrays["x"][..., np.newaxis, np.newaxis, :]
    y = Call("pointwise_conv2d", {**call.arrays, "x": x}, call.options)()
    assert same_bits(y[..., 0, 0, :], call())


@given(st.data())
def test_padding_is_zeros_around_the_map(isa, data):
    call = data.draw(calls.conv2d(isa, BUDGET))
    x, padding = call.arrays["x"], call.options["padding"]
    sides = [(1, 2), (3, 0)] if padding == "same" else calls.sides(padding)
    padded = np.pad(x, [(0, 0)] * (x.ndim - 3) + [*sides, (0, 0)])
    kernel, dilation = call.arrays["weight"].shape, calls.both(call.options["dilation"])
    if all(padded.shape[i - 3] > (kernel[i] - 1) * dilation[i] for i in (0, 1)):
        assert same_bits(call(x=padded, padding="valid"), call(padding=tuple(sides)))
