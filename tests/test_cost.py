"""The closed forms against published figures, against hand counts, and against counting."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsconv import cost, reference

# --- published figures -------------------------------------------------------------------------


def test_weights_of_3x3_from_16_to_32_channels():
    x = (8, 8, 16)
    standard = cost.conv2d(x, (3, 3, 16, 32))
    separable = cost.separable_conv2d(x, (3, 3, 16, 1), (16, 32))
    assert standard.weights == 4608
    assert separable.weights == 16 * 9 + 16 * 32 == 656
    assert round(standard.weights / separable.weights, 2) == 7.02


def test_layer_of_table_3():
    """Compare with MobileNetV1, table 3: millions of mult-adds and weights of one layer."""

    def millions(c: cost.Cost, digits: int) -> tuple[float, float]:
        return round(c.mult_adds / 1e6, digits), round(c.weights / 1e6, 2)

    def separable(size: int, channels: int) -> cost.Cost:
        x = (size, size, channels)
        return cost.separable_conv2d(x, (3, 3, channels, 1), (channels, channels))

    assert millions(cost.conv2d((14, 14, 512), (3, 3, 512, 512)), 0) == (462, 2.36)
    assert millions(separable(14, 512), 1) == (52.3, 0.27)
    assert millions(separable(14, 384), 1) == (29.6, 0.15)  # alpha 0.75
    assert millions(separable(10, 384), 1) == (15.1, 0.15)  # and rho 0.714


# --- counts by hand ----------------------------------------------------------------------------


def test_every_field_of_a_convolution():
    # 5x5x4 -> 3x3x6 at stride 2, in two groups
    c = cost.conv2d((2, 5, 5, 4), (3, 3, 2, 6), stride=2, groups=2, bias=True, batch_norm=True)
    assert c.mult_adds == 3 * 3 * 2 * 6 * 2 * 3 * 3
    assert c.weights == 3 * 3 * 2 * 6 == 108
    assert c.trainable_parameters == 108 + 6 + 2 * 6
    assert c.bytes == 4 * (2 * 5 * 5 * 4 + 108 + 2 * 3 * 3 * 6) == 1664
    assert c.intensity == 2 * 1944 / 1664


def test_every_field_of_a_separable_convolution():
    c = cost.separable_conv2d(
        (4, 4, 3), (3, 3, 3, 2), (6, 5), stride=2, depthwise_batch_norm=True, bias=True
    )
    assert c.mult_adds == 2 * 2 * (3 * 3 * 6 + 6 * 5)
    assert c.weights == 3 * 3 * 6 + 6 * 5 == 84
    assert c.trainable_parameters == 84 + 2 * 6 + 5
    assert c.bytes == 4 * (4 * 4 * 3 + 84 + 2 * 2 * 5)  # the 2x2x6 in between is not stored
    assert c.intensity == 2 * 336 / 608
    depthwise_bias = cost.separable_conv2d((4, 4, 3), (3, 3, 3, 2), (6, 5), depthwise_bias=True)
    assert depthwise_bias.trainable_parameters == 84 + 6


def test_pointwise_and_dense():
    pointwise = cost.pointwise_conv2d((5, 4, 8), (8, 3), stride=2, bias=True)
    assert pointwise == (3 * 2 * 24, 24, 27, 4 * (160 + 24 + 18), 2 * 144 / 808)
    assert cost.dense((8,), (8, 3)) == (24, 24, 24, 4 * (8 + 24 + 3), 48 / 140)
    assert cost.dense((7, 8), (8, 3), bias=True)[:3] == (7 * 24, 24, 27)


def test_operations_without_mult_adds():
    assert cost.batch_norm((2, 4, 4, 3)) == (0, 0, 6, 4 * 2 * 96, 0)
    assert cost.add((4, 4, 3)) == (0, 0, 0, 4 * 3 * 48, 0)
    assert cost.global_average_pool((2, 4, 4, 3)) == (0, 0, 0, 4 * (96 + 6), 0)
    assert cost.softmax((2, 10)) == (0, 0, 0, 4 * 40, 0)


def test_an_empty_batch_costs_nothing_but_the_kernel():
    assert cost.conv2d((0, 5, 5, 4), (3, 3, 4, 6)) == (0, 216, 216, 4 * 216, 0)
    assert cost.add((0, 4, 4, 3)) == (0, 0, 0, 0, 0)


# --- the ratio of separable to standard --------------------------------------------------------


@settings(deadline=None)
@given(
    batch=st.integers(1, 4),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    channels=st.integers(1, 2000),
    outputs=st.integers(1, 2000),
    kernel=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    stride=st.integers(1, 3),
)
def test_separable_ratio(batch, size, channels, outputs, kernel, stride):
    x = (batch, *size, channels)
    standard = cost.conv2d(x, (*kernel, channels, outputs), stride=stride)
    depthwise = cost.depthwise_conv2d(x, (*kernel, channels, 1), stride=stride)
    separable = cost.separable_conv2d(x, (*kernel, channels, 1), (channels, outputs), stride=stride)
    exact = Fraction(1, outputs) + Fraction(1, math.prod(kernel))
    assert Fraction(separable.mult_adds, standard.mult_adds) == exact
    assert Fraction(separable.weights, standard.weights) == exact
    assert Fraction(depthwise.mult_adds, standard.mult_adds) == Fraction(1, outputs)
    # two positive quotients and their sum, each rounded by at most eps / 2
    roundoff = Fraction(np.finfo(float).eps) / 2
    ratio = Fraction(cost.separable_ratio(outputs, kernel))
    assert abs(ratio - exact) <= exact * ((1 + roundoff) ** 2 - 1)


def test_separable_ratio_by_hand():
    assert cost.separable_ratio(4, 2) == 0.5
    assert cost.separable_ratio(8, (2, 4)) == 0.25
    assert 8 < 1 / cost.separable_ratio(512, 3) < 9
    for arguments, name in [((0, 3), "output_channels"), ((4, 0), "kernel")]:
        with pytest.raises(ValueError, match=name):
            cost.separable_ratio(*arguments)


# --- the closed form equals the count ----------------------------------------------------------

sizes = st.integers(1, 3)
pairs = st.tuples(sizes, sizes)
zeros = st.integers(0, 2)
paddings = st.one_of(
    st.sampled_from(["same", "valid"]),
    zeros,
    st.tuples(zeros, zeros),
    st.tuples(st.tuples(zeros, zeros), st.tuples(zeros, zeros)),
)


@st.composite
def inputs(draw: st.DrawFn, channels: int) -> np.ndarray:
    batch = draw(st.one_of(st.just(()), st.tuples(st.integers(0, 2))))
    return np.zeros((*batch, draw(st.integers(1, 6)), draw(st.integers(1, 6)), channels))


windows = st.fixed_dictionaries(
    {
        "stride": st.one_of(sizes, pairs),
        "padding": paddings,
        "dilation": st.one_of(sizes, pairs),
    }
)


def assert_counted(operation: str, x: np.ndarray, *weights: np.ndarray, **options: object):
    """Check that the closed form equals the count, or both refuse; and `bytes`."""
    shapes = [array.shape for array in (x, *weights)]
    try:
        closed = getattr(cost, operation)(*shapes, **options)
    except ValueError:
        with pytest.raises(ValueError, match="^weight must be"):
            getattr(reference, operation)(x, *weights, **options)
        return
    y, counted = getattr(reference, operation)(x, *weights, **options)
    assert closed.mult_adds == counted
    assert closed.weights == sum(weight.size for weight in weights)
    assert closed.bytes == 4 * (x.size + closed.weights + y.size)


@settings(max_examples=100, deadline=None)
@given(st.data(), pairs, sizes, sizes, sizes, windows)
def test_conv2d_is_counted(data, kernel, groups, depth, filters, window):
    x = data.draw(inputs(depth * groups))
    weight = np.zeros((*kernel, depth, filters * groups))
    assert_counted("conv2d", x, weight, groups=groups, **window)


@settings(max_examples=100, deadline=None)
@given(st.data(), pairs, sizes, sizes, sizes, windows)
def test_depthwise_and_separable_are_counted(data, kernel, channels, multiplier, outputs, window):
    x = data.draw(inputs(channels))
    weight = np.zeros((*kernel, channels, multiplier))
    assert_counted("depthwise_conv2d", x, weight, **window)
    matrix = np.zeros((channels * multiplier, outputs))
    assert_counted("separable_conv2d", x, weight, matrix, **window)


@settings(max_examples=50, deadline=None)
@given(st.data(), sizes, sizes, st.one_of(sizes, pairs))
def test_the_other_operations_are_counted(data, channels, outputs, stride):
    x, matrix = data.draw(inputs(channels)), np.zeros((channels, outputs))
    assert_counted("pointwise_conv2d", x, matrix, stride=stride)
    assert_counted("dense", x.reshape(-1, channels), matrix)
    assert_counted("dense", np.zeros(channels), matrix)
    assert_counted("global_average_pool", x)
    assert_counted("softmax", x)


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, weight, options, name",
    [
        ((4, 4), (3, 3, 2, 2), {}, "input_shape"),
        ((1, 1, 4, 4, 2), (3, 3, 2, 2), {}, "input_shape"),
        ((0, 4, 2), (3, 3, 2, 2), {}, "H of input_shape"),
        ((-1, 4, 4, 2), (3, 3, 2, 2), {}, "batch of input_shape"),
        ((4, 4, 2), (3, 3, 2), {}, "weight_shape"),
        ((4, 4, 2), (3, 3, 3, 2), {}, "weight_shape"),
        ((4, 4, 2), (3, 0, 2, 2), {}, "KW of weight_shape"),
        ((4, 4, 2), (3, 3, 2, 2), {"stride": 0}, "stride"),
        ((4, 4, 2), (3, 3, 2, 2), {"stride": (1, 1, 1)}, "stride"),
        ((4, 4, 2), (3, 3, 2, 2), {"dilation": 0}, "dilation"),
        ((4, 4, 2), (3, 3, 2, 2), {"padding": -1}, "padding"),
        ((4, 4, 2), (3, 3, 2, 2), {"padding": "full"}, "padding"),
        ((4, 2, 2), (3, 3, 2, 2), {"padding": "valid"}, "output width would be empty"),
    ],
)
def test_bad_arguments_are_named(x, weight, options, name):
    for operation in (cost.conv2d, cost.depthwise_conv2d):
        with pytest.raises(ValueError, match=name):
            operation(x, weight, **options)


@pytest.mark.parametrize(
    "weight, groups, name",
    [
        ((3, 3, 2, 3), 2, "groups"),  # 3 filters in 2 groups
        ((3, 3, 1, 3), 3, "groups"),  # 4 channels in 3 groups
        ((3, 3, 4, 2), 2, "weight_shape"),  # 2 channels for each group, not 4
        ((3, 3, 4, 2), 0, "groups"),
    ],
)
def test_bad_groups_are_named(weight, groups, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        cost.conv2d((4, 4, 4), weight, groups=groups)


@pytest.mark.parametrize(
    "operation, shapes, message",
    [
        (cost.pointwise_conv2d, [(4, 4, 2), (3, 5)], "^weight_shape must be"),
        (cost.pointwise_conv2d, [(4, 4, 2), (1, 1, 2, 5)], "^weight_shape must be"),
        (cost.dense, [(4,), (3, 5)], "^weight_shape must be"),
        (cost.dense, [(4, 4, 3), (3, 5)], "^input_shape must be"),
        (cost.separable_conv2d, [(4, 4, 2), (3, 3, 3, 1), (3, 5)], "^depthwise_weight_shape must"),
        (cost.separable_conv2d, [(4, 4, 2), (3, 3, 2, 2), (2, 5)], "^pointwise_weight_shape must"),
        (cost.global_average_pool, [(4, 3)], "^input_shape must be"),
    ],
)
def test_bad_matrices_are_named(operation, shapes, message):
    with pytest.raises(ValueError, match=message):
        operation(*shapes)


def test_bad_types_are_named():
    with pytest.raises(TypeError, match="input_shape must be an integer"):
        cost.conv2d((4, 4.0, 2), (3, 3, 2, 2))
    with pytest.raises(TypeError, match="^input_shape must be"):
        cost.add(4)
    with pytest.raises(TypeError, match="groups"):
        cost.conv2d((4, 4, 2), (3, 3, 2, 2), groups=1.0)
