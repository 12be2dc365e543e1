"""The naive reference against sums done by hand, and against itself in another form.

Wherever numbers are small integers, float64 arithmetic is exact and results must be equal.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsconv import reference

INF, NAN = math.inf, math.nan

# Row, taps (read as the digits of a number), stride, dilation, and what TensorFlow's "same" gives:
# ceil(size / stride) windows, the padding shared equally, the odd zero at the end.
SAME = [
    ([1, 2, 3, 4], [100, 10, 1], 1, 1, [12, 123, 234, 340]),  # zeros before and after: 1, 1
    ([1, 2, 3, 4, 5], [100, 10, 1], 1, 1, [12, 123, 234, 345, 450]),  # 1, 1
    ([1, 2, 3, 4], [100, 10, 1], 2, 1, [123, 340]),  # 0, 1: not 12, 234
    ([1, 2, 3, 4, 5], [100, 10, 1], 2, 1, [12, 234, 450]),  # 1, 1
    ([1, 2, 3], [10, 1], 1, 1, [12, 23, 30]),  # 0, 1
    ([1, 2, 3, 4], [1000, 100, 10, 1], 1, 1, [123, 1234, 2340, 3400]),  # 1, 2
    ([1, 2, 3, 4], [1], 2, 1, [1, 3]),  # 0, 0: the last pixel is never read
    ([1, 2, 3, 4, 5], [1], 2, 1, [1, 3, 5]),  # 0, 0
    ([1, 2, 3, 4, 5, 6], [100, 10, 1], 3, 1, [123, 456]),  # 0, 0
    ([1, 2, 3, 4, 5, 6, 7], [100, 10, 1], 3, 1, [12, 345, 670]),  # 1, 1
    (list(range(1, 14)), [1] * 6, 5, 1, [15, 45, 46]),  # 1, 2
    ([1, 2, 3, 4, 5], [100, 10, 1], 1, 2, [13, 24, 135, 240, 350]),  # 2, 2
    ([1, 2, 3, 4], [100, 10, 1], 2, 2, [24, 240]),  # 1, 2
    ([7], [100, 10, 1], 2, 1, [70]),  # 1, 1
]


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("row, taps, stride, dilation, expected", SAME)
def test_same_padding_is_that_of_tensorflow(row, taps, stride, dilation, expected, axis):
    x = np.expand_dims(np.array(row, float), (1 - axis, 2))  # (1, W, 1) or (H, 1, 1)
    weight = np.expand_dims(np.array(taps, float), (1 - axis, 2, 3))
    strides = (stride, 1) if axis == 0 else (1, stride)
    for operation in (reference.conv2d, reference.depthwise_conv2d):
        y, _ = operation(x, weight, stride=strides, padding="same", dilation=dilation)
        assert y.ravel().tolist() == expected


def test_symmetric_padding_differs_from_same_at_stride_2_on_even_sizes():
    x = np.array([1, 2, 3, 4]).reshape(1, 4, 1)
    weight = np.array([100, 10, 1]).reshape(1, 3, 1, 1)
    symmetric, _ = reference.conv2d(x, weight, stride=2, padding=(0, 1))
    assert symmetric.ravel().tolist() == [12, 234]  # "same": 123, 340


def test_padding_in_pixels():
    x = np.ones((2, 2, 1))
    weight = np.ones((1, 1, 1, 1))

    def padded(padding):
        y, _ = reference.conv2d(x, weight, padding=padding)
        return y[:, :, 0].tolist()

    assert padded(1) == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert padded((1, 0)) == [[0, 0], [1, 1], [1, 1], [0, 0]]
    assert padded(((0, 1), (2, 0))) == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]
    assert padded("valid") == padded(0) == [[1, 1], [1, 1]]


def test_worked_example_of_4x4x3():
    # 1 ... 48, channel by channel and row by row; the kernel 1 ... 9 on channel 0
    x = np.arange(1, 49).reshape(3, 4, 4).transpose(1, 2, 0)
    weight = np.zeros((3, 3, 3, 1))
    weight[:, :, 0, 0] = np.arange(1, 10).reshape(3, 3)
    expected = [[348, 393], [528, 573]]

    depthwise, count = reference.depthwise_conv2d(x, weight, padding="valid")
    assert depthwise[:, :, 0].tolist() == expected
    assert not depthwise[:, :, 1:].any()
    assert count == 2 * 2 * 3 * 9

    standard, count = reference.conv2d(x, weight, padding="valid")
    assert standard[:, :, 0].tolist() == expected
    assert count == 2 * 2 * 1 * 27


def test_channels_of_each_convolution():
    x = np.array([[[1, 10]]])  # one pixel, two channels
    weight = np.arange(1, 7).reshape(2, 3)
    pointwise, count = reference.pointwise_conv2d(x, weight, [0, 0, 100])
    assert pointwise.ravel().tolist() == [41, 52, 163] and count == 6
    depthwise, count = reference.depthwise_conv2d(x, weight[None, None])
    assert depthwise.ravel().tolist() == [1, 2, 3, 40, 50, 60] and count == 6
    grouped, count = reference.conv2d(x, [[[[1, 2, 3, 4]]]], groups=2)
    assert grouped.ravel().tolist() == [1, 2, 30, 40] and count == 4


def test_pointwise_stride_keeps_every_other_pixel():
    x = np.arange(15).reshape(3, 5, 1)
    y, count = reference.pointwise_conv2d(x, [[2]], stride=(2, 3))
    assert y[:, :, 0].tolist() == [[0, 6], [20, 26]] and count == 4


def test_separable_is_depthwise_then_pointwise():
    x = np.array([[[-3, 2]]])
    depthwise, pointwise = [[[[1], [4]]]], [[1, 1], [1, -1]]
    y, count = reference.separable_conv2d(
        x, depthwise, pointwise, [0, 1], [10, 0], depthwise_activation="relu", activation=(-99, 18)
    )  # depthwise: -3, 8 + 1 -> 0, 9; pointwise: 9 + 10, -9 -> 18, -9
    assert y.ravel().tolist() == [18, -9] and count == 2 + 4


def test_dense():
    y, count = reference.dense([[1, 2], [3, 4]], [[1, 0, 2], [0, 1, 2]], [0, 0, 1])
    assert y.tolist() == [[1, 2, 7], [3, 4, 15]] and count == 12
    single, count = reference.dense([1, 2], [[1, 0, 2], [0, 1, 2]], activation=(0, 5))
    assert single.tolist() == [1, 2, 5] and count == 6


def test_global_average_pool():
    x = np.array([[[1, 10], [2, 20]], [[3, 30], [6, 60]]])  # (2, 2, 2)
    image, count = reference.global_average_pool(x)
    assert image.tolist() == [3, 30] and count == 0
    batch, _ = reference.global_average_pool(np.stack([x, -x]))
    assert batch.tolist() == [[3, 30], [-3, -30]]


def test_softmax():
    y, count = reference.softmax([[1000.0, 1000.0], [0.0, -math.inf]])
    assert y.tolist() == [[0.5, 0.5], [1, 0]] and count == 0
    columns, _ = reference.softmax([[5.0, 0.0], [5.0, 0.0]], axis=0)
    assert columns.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    thirds, _ = reference.softmax([math.log(2), 0.0])
    # one rounding each in log, exp, the sum and the quotient: at most 4 eps of a number below 1
    assert np.abs(thirds - [2 / 3, 1 / 3]).max() <= 4 * np.finfo(float).eps
    assert np.isnan(reference.softmax([1.0, NAN])[0]).all()


def test_batch_norm():
    x = np.array([[[1.0, 2.0]], [[3.0, -2.0]]])  # (2, 1, 2)
    y, count = reference.batch_norm(
        x, [1, -2], [0, 5], [1, 2], [3, 12], epsilon=4, activation="relu"
    )
    # channel 0: (x - 1) / sqrt(7); channel 1: -2 * (x - 2) / 4 + 5
    assert y[:, 0, 1].tolist() == [5, 7] and y[0, 0, 0] == 0 and count == 0
    assert y[1, 0, 0] == 2 / math.sqrt(7)


def test_add():
    y, count = reference.add([1.0, -5.0, NAN], [2.0, 1.0, 1.0], activation="relu")
    assert y[:2].tolist() == [3, 0] and math.isnan(y[2]) and count == 0


@pytest.mark.parametrize(
    "activation, expected",
    [
        (None, [-INF, -2, 0, 3, 7, INF]),
        ("relu", [0, 0, 0, 3, 7, INF]),
        ("relu6", [0, 0, 0, 3, 6, 6]),
        ((-1, 4), [-1, -1, 0, 3, 4, 4]),
        ((2, 2), [2, 2, 2, 2, 2, 2]),
    ],
)
def test_activations_clamp_and_let_nan_pass(activation, expected):
    values = np.array([-INF, -2, 0, 3, 7, INF, NAN])
    row, one = values.reshape(1, 7, 1), np.ones((1, 1, 1, 1))
    for y, _ in (
        reference.add(values, np.zeros(7), activation=activation),
        reference.conv2d(row, one, activation=activation),
        reference.depthwise_conv2d(row, one, activation=activation),
        reference.pointwise_conv2d(row, one[0, 0], activation=activation),
        reference.dense(row[0], one[0, 0], activation=activation),
        reference.batch_norm(row, [1], [0], [0], [1], epsilon=0, activation=activation),
    ):
        assert y.ravel()[:6].tolist() == expected
        assert math.isnan(y.ravel()[6])


def test_an_image_is_a_batch_of_one_and_an_empty_batch_stays_empty():
    x = np.arange(2 * 3 * 3 * 2).reshape(2, 3, 3, 2)
    weight = np.arange(-9, 9).reshape(3, 3, 2, 1)
    batch, count = reference.conv2d(x, weight)
    images = [reference.conv2d(image, weight) for image in x]
    assert batch.shape == (2, 3, 3, 1) and images[0][0].shape == (3, 3, 1)
    assert batch.tolist() == [y.tolist() for y, _ in images]
    assert count == sum(n for _, n in images)
    for operation in (reference.conv2d, reference.depthwise_conv2d):
        y, count = operation(x[:0], weight)
        assert y.shape[:3] == (0, 3, 3) and count == 0
    assert reference.pointwise_conv2d(x[:0], [[1], [1]])[0].shape == (0, 3, 3, 1)
    assert reference.dense(np.zeros((0, 2)), [[1], [1]])[0].shape == (0, 1)
    assert reference.global_average_pool(x[:0])[0].shape == (0, 2)


# --- the same sums in another form -------------------------------------------------------------

few = st.integers(1, 3)
pairs = st.tuples(few, few)
maps = st.tuples(st.integers(1, 7), st.integers(1, 7))
sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
seeds = st.integers(0, 2**32 - 1)


def integers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


@settings(max_examples=60, deadline=None)
@given(maps, pairs, pairs, pairs, st.tuples(sides, sides), few, few, few, seeds)
def test_conv2d_is_a_sum_of_shifted_maps(
    size, kernel, stride, dilation, frame, groups, depth, filters, seed
):
    x = integers(seed, 2, *size, groups * depth)
    weight = integers(seed + 1, *kernel, depth, groups * filters)
    bias = integers(seed + 2, groups * filters)
    window = {"stride": stride, "padding": frame, "dilation": dilation, "groups": groups}
    full = np.pad(x, [(0, 0), *frame, (0, 0)])
    rows, columns = (full.shape[1 + i] - (kernel[i] - 1) * dilation[i] for i in (0, 1))
    if min(rows, columns) < 1:
        with pytest.raises(ValueError, match="^weight must be"):
            reference.conv2d(x, weight, bias, **window)
        return
    y, count = reference.conv2d(x, weight, bias, **window)
    same_group = np.kron(np.eye(groups), np.ones((depth, filters)))
    expected = np.zeros((2, rows, columns, groups * filters)) + bias
    for ky, kx in np.ndindex(kernel):
        top, left = ky * dilation[0], kx * dilation[1]
        shifted = full[:, top : top + rows, left : left + columns]
        expected += shifted @ (np.tile(weight[ky, kx], (groups, 1)) * same_group)
    assert np.array_equal(y, expected[:, :: stride[0], :: stride[1]])
    assert count == math.prod(kernel) * depth * y.size


@settings(max_examples=40, deadline=None)
@given(maps, pairs, pairs, pairs, few, few, few, seeds)
def test_depthwise_pointwise_and_separable_are_standard_convolutions(
    size, kernel, stride, dilation, channels, multiplier, outputs, seed
):
    x = integers(seed, *size, channels)
    deep = integers(seed + 1, *kernel, channels, multiplier)
    flat = integers(seed + 2, channels * multiplier, outputs)
    window = {"stride": stride, "dilation": dilation}

    depthwise, first = reference.depthwise_conv2d(x, deep, **window)
    one_deep = deep.reshape(*kernel, 1, channels * multiplier)
    grouped, count = reference.conv2d(x, one_deep, groups=channels, **window)
    assert np.array_equal(depthwise, grouped) and first == count

    pointwise, second = reference.pointwise_conv2d(depthwise, flat)
    one_by_one, count = reference.conv2d(depthwise, flat[None, None])
    assert np.array_equal(pointwise, one_by_one) and second == count

    separable, count = reference.separable_conv2d(x, deep, flat, **window)
    product = np.einsum("klcm,cmo->klco", deep, flat.reshape(channels, multiplier, outputs))
    assert np.array_equal(separable, reference.conv2d(x, product, **window)[0])
    assert count == first + second


# --- bad input ---------------------------------------------------------------------------------

X, W = np.ones((4, 4, 2)), np.ones((3, 3, 2, 2))


BAD: dict[str, list] = {
    "x": [np.ones((4, 4)), np.ones((0, 4, 2)), X * 1j],
    "weight": [np.ones(shape) for shape in [(3, 3, 2), (3, 3, 3, 2), (0, 3, 2, 2), (5, 3, 2, 2)]],
    "bias": [np.ones(3)],
    "stride": [0, 1.5, (1, 2, 3)],
    "dilation": [(1, 0)],
    "padding": [-1, "full", ((1, 1), (1,))],
    "activation": ["gelu", (1, 0), (NAN, 1)],
}


@pytest.mark.parametrize("name, value", [(name, value) for name in BAD for value in BAD[name]])
def test_bad_arguments_are_named(name, value):
    arguments = {"x": X, "weight": W, "padding": "valid", name: value}
    for operation in (reference.conv2d, reference.depthwise_conv2d):
        with pytest.raises((ValueError, TypeError), match=f"^{name} must "):
            operation(**arguments)


@pytest.mark.parametrize(
    "operation, arguments, options, name",
    [
        ("conv2d", (X, np.ones((3, 3, 1, 3))), {"groups": 2}, "groups"),
        ("conv2d", (X, W), {"groups": 0}, "groups"),
        ("pointwise_conv2d", (X, np.ones((3, 2))), {}, "weight"),
        ("dense", (np.ones(4), np.ones((3, 2))), {}, "weight"),
        ("add", (np.ones(2), np.ones(3)), {}, "b"),
        ("batch_norm", (X, [1, 1], [1, 1], [1], [1, 1]), {"epsilon": 0.1}, "mean"),
        ("batch_norm", (X, [1, 1], [1, 1], [1, 1], [1, -1]), {"epsilon": 0.1}, "variance"),
        ("softmax", (np.ones((2, 0)),), {}, "x"),
    ],
)
def test_bad_arguments_of_other_operations_are_named(operation, arguments, options, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        getattr(reference, operation)(*arguments, **options)
