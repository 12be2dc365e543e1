"""The interpreter's values: against the naive reference, loops over pixels, and cases by hand.

Wherever numbers are small integers, double precision is exact and results must be equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import interpret_with_bounds
from golden import Golden
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_cases import ALL, graph_of, name_of, random_weights

from dsconv import layers, reference
from dsconv.graph import Graph
from dsconv.interpreter import interpret
from dsconv.layers import (
    KINDS,
    AveragePool,
    Clip,
    Conv2D,
    DepthwiseConv2D,
    L2Normalize,
    LocalResponseNorm,
    MaxPool,
    Resize,
)

EPSILON = 2.0**-53  # unit roundoff of float64


def run(layer: layers.Layer, *inputs: Any, **weights: Any) -> Any:
    """Run one layer as a graph; inputs are single examples, without the batch."""
    arrays = [np.asarray(x, np.float64) for x in inputs]
    graph = graph_of(layer, [x.shape for x in arrays])
    own = {f"layer/{name}": np.asarray(array, np.float32) for name, array in weights.items()}
    results = [y[0] for y in interpret(graph, own, tuple(x[np.newaxis] for x in arrays))]
    return results if len(results) > 1 else results[0]


def integers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float64)


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("layer, shapes", ALL, ids=name_of)
def test_every_kind_has_the_shapes_that_it_infers(layer, shapes, batch):
    random = np.random.default_rng(0)
    x = tuple(random.normal(size=(batch, *shape)) for shape in shapes)
    weights = {f"layer/{n}": a for n, a in random_weights(layer, shapes, random).items()}
    results = interpret_with_bounds(graph_of(layer, shapes), weights, x)
    expected = [(batch, *shape) for shape in layer.infer(shapes)]
    assert [value.shape for value, _ in results] == expected
    assert [bound.shape for _, bound in results] == expected
    assert all(np.isfinite(a).all() and a.dtype == np.float64 for pair in results for a in pair)
    assert all((bound >= 0).all() for _, bound in results)


def test_the_cases_hold_every_kind():
    assert {type(layer) for layer, _ in ALL} == set(KINDS.values()) - {layers.Input}


# Convolutions and what else the reference has

sizes = st.integers(1, 7)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
paddings = st.sampled_from(["same", "valid"]) | st.tuples(sides, sides)
windows = st.fixed_dictionaries(
    {
        "kernel": pairs,
        "stride": pairs,
        "dilation": pairs,
        "padding": paddings,
        "bias": st.booleans(),
    }
)


def fits(layer: layers.Layer, shape: tuple[int, ...]) -> bool:
    try:
        layer.infer([shape])
    except ValueError:
        return False
    return True


few = st.integers(1, 3)


@given(st.booleans(), sizes, sizes, windows, few, few, st.integers(1, 2), st.integers(0, 999))
@settings(max_examples=200, deadline=None)
def test_convolutions_are_those_of_the_reference(
    depthwise, height, width, window, groups, depth, per_group, seed
):
    kernel, options = window["kernel"], {k: window[k] for k in ("stride", "padding", "dilation")}
    if depthwise:
        layer, naive = DepthwiseConv2D(multiplier=depth, **window), reference.depthwise_conv2d
        channels, shape, filters = groups, (*kernel, groups, depth), groups * depth
    else:
        filters, options["groups"] = groups * per_group, groups
        layer, naive = Conv2D(filters, groups=groups, **window), reference.conv2d
        channels, shape = groups * depth, (*kernel, depth, filters)
    assume(fits(layer, (height, width, channels)))
    x = integers(seed, height, width, channels)
    weights = {"weight": integers(seed + 1, *shape)}
    if window["bias"]:
        weights["bias"] = integers(seed + 2, filters)
    expected, _ = naive(x, **weights, **options)
    np.testing.assert_array_equal(run(layer, x, **weights), expected)


def test_dense_add_and_fused_clips_are_those_of_the_reference():
    x, weight, bias = integers(0, 5), integers(1, 5, 3), integers(2, 3)
    expected, _ = reference.dense(x, weight, bias, activation=(-20, 15))
    result = run(layers.Dense(3, clip=(-20, 15)), x, weight=weight, bias=bias)
    np.testing.assert_array_equal(result, expected)
    a, b = integers(3, 3, 2, 4), integers(4, 3, 2, 4)
    expected, _ = reference.add(a, b, activation="relu6")
    np.testing.assert_array_equal(run(layers.Add(clip=(0, 6)), a, b), expected)
    weight = integers(5, 3, 3, 4, 2)
    for make, naive in (
        (Conv2D(2, 3, bias=False, clip=(-9, 9)), reference.conv2d),
        (DepthwiseConv2D(3, multiplier=2, bias=False, clip=(-9, 9)), reference.depthwise_conv2d),
    ):
        expected, _ = naive(a, weight, activation=(-9, 9))
        np.testing.assert_array_equal(run(make, a, weight=weight), expected)


def test_batch_norm_is_that_of_the_reference():
    random = np.random.default_rng(5)
    x = random.normal(size=(3, 2, 6))
    gamma, beta, mean = random.normal(size=(3, 6)).astype(np.float32)
    variance = random.uniform(0.1, 4, 6).astype(np.float32)
    expected, _ = reference.batch_norm(x, gamma, beta, mean, variance, epsilon=0.01)
    result = run(layers.BatchNorm(0.01), x, gamma=gamma, beta=beta, mean=mean, variance=variance)
    scale = np.abs(gamma.astype(np.float64) / np.sqrt(variance + 0.01))
    magnitude = scale * (np.abs(x) + np.abs(mean)) + np.abs(beta)
    assert (np.abs(result - expected) <= 2 * 8 * EPSILON * magnitude).all()  # 8 roundings each


@pytest.mark.parametrize("axis", [-3, -1, 0, 1, 2])
def test_softmax_is_that_of_the_reference(axis):
    x = np.random.default_rng(1).normal(0, 9, (3, 4, 5))
    expected, _ = reference.softmax(x, axis=axis)
    result = run(layers.Softmax(axis), x)
    # 5 terms, and exp of x - max: 1 ulp each, with at most 80 for its argument
    np.testing.assert_allclose(result, expected, rtol=2 * (80 + 10) * EPSILON)
    np.testing.assert_array_equal(run(layers.Softmax(0), [1e30, 0, -math.inf]), [1, 0, 0])


# Pooling


def pool_by_pixels(x: np.ndarray, layer: Any) -> np.ndarray:
    """Pool by the definition, pixel by pixel: x is (H, W, C)."""
    height, width, _ = x.shape
    (top, bottom), (left, right) = layer.window([x.shape]).pad
    y = np.empty(layer.infer([x.shape])[0])
    for i, j, c in np.ndindex(y.shape):
        values, padding = [], 0
        for dy, dx in np.ndindex(*layer.kernel):
            row, column = i * layer.stride[0] + dy - top, j * layer.stride[1] + dx - left
            if 0 <= row < height and 0 <= column < width:
                values.append(x[row, column, c])
            elif row < height + bottom and column < width + right:
                padding += 1
        if isinstance(layer, MaxPool):
            y[i, j, c] = max(values)
        else:
            y[i, j, c] = sum(values) / (len(values) + padding * layer.count_padding)
    return y


@given(
    st.sampled_from([MaxPool, AveragePool]), sizes, sizes, pairs, pairs, paddings, st.booleans(),
    st.booleans(), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_pooling(kind, height, width, kernel, stride, padding, ceil, count_padding, seed):
    extra = {"count_padding": count_padding} if kind is AveragePool else {}
    layer = kind(kernel, stride, padding, ceil, **extra)
    assume(fits(layer, (height, width, 2)))
    x = integers(seed, height, width, 2)
    np.testing.assert_array_equal(run(layer, x), pool_by_pixels(x, layer))


def rows(values: list[float]) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, 1, 1)


# A column of pixels, kernel, stride, padding, ceil, count_padding; maxima, means
POOLS = [
    ([1, 5, 2, 8, 3], 2, 2, 0, False, False, [5, 8], [3, 5]),
    ([1, 5, 2, 8, 3], 2, 2, 0, True, False, [5, 8, 3], [3, 5, 3]),  # the last window has one pixel
    ([1, 5, 2, 8, 3], 2, 2, 0, True, True, [5, 8, 3], [3, 5, 3]),  # beyond the padding: not counted
    ([4, 2, 6], 3, 2, 1, False, False, [4, 6], [3, 4]),  # windows -42 and 26-
    ([4, 2, 6], 3, 2, 1, False, True, [4, 6], [2, 8 / 3]),
    ([4, 2, 6, 8], 3, 2, 1, False, True, [4, 8], [2, 16 / 3]),
    ([4, 2, 6, 8], 3, 2, 1, True, True, [4, 8, 8], [2, 16 / 3, 4]),  # 8, padding, and one beyond
    ([4, 2, 6, 8], 3, 2, 1, True, False, [4, 8, 8], [3, 16 / 3, 8]),
    ([1, 2, 3], 2, 2, 1, True, False, [1, 3], [1, 2.5]),  # a third would start in the padding
    ([-3, -1, -2], 2, 1, 1, False, False, [-3, -1, -1, -2], [-3, -2, -1.5, -2]),  # 0 never wins
]


@pytest.mark.parametrize("x, kernel, stride, padding, ceil, count, maxima, means", POOLS)
def test_pooling_by_hand(x, kernel, stride, padding, ceil, count, maxima, means):
    shape = {"kernel": (kernel, 1), "stride": (stride, 1), "padding": (padding, 0), "ceil": ceil}
    assert run(MaxPool(**shape), rows(x)).ravel().tolist() == maxima
    assert run(AveragePool(**shape, count_padding=count), rows(x)).ravel().tolist() == means


def test_global_average_pool():
    x = integers(3, 2, 4, 5)  # eight pixels: the mean is exact
    expected, _ = reference.global_average_pool(x)
    assert run(layers.GlobalAveragePool(), x).tolist() == expected.tolist()
    kept = run(layers.GlobalAveragePool(keep_dims=True), x)
    assert kept.shape == (1, 1, 5) and kept.ravel().tolist() == expected.tolist()


# Resize

# A column of pixels, output size, mode, result; positions in the comments
RESIZES = [
    ([0, 8], 4, "half_pixel", [0, 2, 6, 8]),  # -1/4, 1/4, 3/4, 5/4, clamped
    ([0, 8, 24], 6, "half_pixel", [0, 2, 6, 12, 20, 24]),
    ([1, 3, 7, 9], 2, "half_pixel", [2, 8]),  # 1/2, 5/2
    ([1, 3, 7], 1, "half_pixel", [3]),  # 1
    ([1, 3, 7, 9, 5, 1], 4, "half_pixel", [1.5, 6, 8, 2]),  # 1/4, 7/4, 13/4, 19/4
    ([0, 3], 4, "align_corners", [0, 1, 2, 3]),
    ([1, 3, 7, 9, 5], 3, "align_corners", [1, 7, 5]),  # 0, 2, 4
    ([1, 3, 7], 5, "align_corners", [1, 2, 3, 5, 7]),
    ([1, 3, 7], 1, "align_corners", [1]),
    ([4], 3, "align_corners", [4, 4, 4]),
    ([4], 3, "half_pixel", [4, 4, 4]),
    ([1, 3, 7], 3, "half_pixel", [1, 3, 7]),
    ([1, 3, 7], 3, "align_corners", [1, 3, 7]),
]


@pytest.mark.parametrize("x, size, mode, expected", RESIZES)
def test_resize_by_hand(x, size, mode, expected):
    assert run(Resize(size, 1, mode), rows(x)).ravel().tolist() == expected
    columns = rows(x).swapaxes(0, 1)
    assert run(Resize(1, size, mode), columns).ravel().tolist() == expected


def position(i: int, size: int, output: int, mode: str) -> Fraction:
    if mode == "align_corners":
        return Fraction(i * (size - 1), output - 1) if output > 1 else Fraction(0)
    return min(max((i + Fraction(1, 2)) * Fraction(size, output) - Fraction(1, 2), 0), size - 1)


@given(
    sizes,
    sizes,
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from(("half_pixel", "align_corners")),
)
@settings(max_examples=100, deadline=None)
def test_resize_weighs_pixels_by_their_distance(height, width, new_height, new_width, mode):
    """Sum the triangle max(1 - |distance|, 0) over all pixels, in rational arithmetic."""
    x = integers(height * 7 + width, height, width, 1)
    expected = np.empty((new_height, new_width))
    for i, j in np.ndindex(expected.shape):
        row, column = position(i, height, new_height, mode), position(j, width, new_width, mode)
        expected[i, j] = sum(
            int(x[r, c, 0]) * max(1 - abs(row - r), 0) * max(1 - abs(column - c), 0)
            for r, c in np.ndindex(height, width)
        )
    result = run(Resize(new_height, new_width, mode), x)[:, :, 0]
    assert (np.abs(result - expected) <= 10 * EPSILON * 4 * 9).all()  # 10 roundings, |x| <= 9


# Elementwise and normalising layers

ELEMENTWISE: list[tuple[layers.Layer, list[float], list[float]]] = [
    (Clip(0, math.inf), [-2, 0, 7], [0, 0, 7]),
    (Clip(0, 6), [-2, 5, 7], [0, 5, 6]),
    (Clip(-math.inf, math.inf), [-math.inf, 5, math.inf], [-math.inf, 5, math.inf]),
    (layers.LeakyReLU(0.25), [-8, -0.0, 3], [-2, 0, 3]),
    (layers.LeakyReLU(-2), [-8, 3], [16, 3]),
    (layers.HardSigmoid(), [-4, -3, 0, 1.5, 3, 4], [0, 0, 0.5, 0.75, 1, 1]),
    (layers.HardSwish(), [-4, -3, -1.5, 0, 1.5, 3, 4], [0, 0, -0.375, 0, 1.125, 3, 4]),
    (layers.Sigmoid(), [-math.inf, -1e4, 0, 1e4], [0, 0, 0.5, 1]),
]


@pytest.mark.parametrize("layer, x, expected", ELEMENTWISE, ids=name_of)
def test_activations(layer, x, expected):
    assert run(layer, x).tolist() == expected
    assert np.isnan(run(layer, [math.nan])).all()


def test_sigmoid():
    x = [-40.0, -2.0, 0.3, 2.0, 30.0]
    expected = [1 / (1 + math.exp(-v)) for v in x]
    np.testing.assert_allclose(run(layers.Sigmoid(), x), expected, rtol=8 * EPSILON)


def test_local_response_norm():
    layer = LocalResponseNorm(3, alpha=1.0, beta=1.0, bias=1.0)
    np.testing.assert_allclose(
        run(layer, [[[1, 2, 3]]]).ravel(), [1 / 6, 2 / 15, 3 / 14], rtol=4 * EPSILON
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 7))
    layer = LocalResponseNorm(5, alpha=0.3, beta=0.75, bias=2.0)
    expected = np.empty_like(x)
    for i, j, c in np.ndindex(x.shape):
        near = range(max(c - 2, 0), min(c + 3, 7))
        expected[i, j, c] = x[i, j, c] / (2 + 0.3 * sum(x[i, j, k] ** 2 for k in near)) ** 0.75
    np.testing.assert_allclose(run(layer, x), expected, rtol=2 * 16 * EPSILON)  # 5 terms, pow, ...


def test_l2_normalize():
    assert run(L2Normalize(0.0), [[[3, 4]]], scale=[5, 10]).ravel().tolist() == [3, 8]
    assert run(L2Normalize(7.0), [[[3, 0]]], scale=[8, 1]).ravel().tolist() == [6, 0]  # sqrt(16)
    assert run(L2Normalize(1e-10), [[[0, 0]]], scale=[5, 10]).ravel().tolist() == [0, 0]


# Layers that move values


def counting(*shape: int) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


@pytest.mark.parametrize("groups, expected", [(2, [0, 3, 1, 4, 2, 5]), (3, [0, 2, 4, 1, 3, 5])])
def test_channel_shuffle(groups, expected):
    assert run(layers.ChannelShuffle(groups), [[range(6)]]).ravel().tolist() == expected


def test_space_to_depth():
    x = counting(4, 6, 3)
    y = run(layers.SpaceToDepth(2), x)
    for i, j, channel in np.ndindex(y.shape):
        square, c = divmod(channel, 3)
        dy, dx = divmod(square, 2)
        assert y[i, j, channel] == x[2 * i + dy, 2 * j + dx, c]


def test_pad_reshape_flatten_transpose():
    x = counting(2, 3, 1)
    padded = run(layers.Pad(((1, 0), (0, 2))), x + 1)[:, :, 0]
    assert padded.tolist() == [[0, 0, 0, 0, 0], [1, 2, 3, 0, 0], [4, 5, 6, 0, 0]]
    assert run(layers.Reshape((3, -1)), x).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert run(layers.Flatten(), x).tolist() == [0, 1, 2, 3, 4, 5]
    turned = run(layers.Transpose((2, 0, 1)), counting(2, 3, 4))
    for c, i, j in np.ndindex(4, 2, 3):
        assert turned[c, i, j] == i * 12 + j * 4 + c


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concat_undoes_split(axis):
    x = counting(5, 5, 5)
    parts = run(layers.Split((1, 4), axis), x)
    size = [5, 5, 5]
    size[axis] = 1
    assert list(parts[0].shape) == size
    first = [slice(None)] * 3
    first[axis] = slice(0, 1)
    np.testing.assert_array_equal(parts[0], x[tuple(first)])
    np.testing.assert_array_equal(run(layers.Concat(axis), *parts), x)


def test_mul_with_factors_for_each_channel():
    x, factors = integers(0, 2, 3, 4), np.array([1.0, 10, 100, 1000])
    for small in (factors, factors.reshape(1, 1, 4)):
        for inputs in ((x, small), (small, x)):
            np.testing.assert_array_equal(run(layers.Mul(), *inputs), x * factors)
    np.testing.assert_array_equal(run(layers.Mul(), x, x), x**2)


# Whole graphs


def branching() -> Graph:
    """Use outputs again, let an input be one, and read a tensor twice in one layer."""
    graph = Graph("branching")
    a, b = graph.input((2, 2, 4), name="a"), graph.input((4,), name="b")
    right = graph.split(graph.mul(a, b, name="scaled"), (1, 3), name="parts")[1]
    doubled = graph.add(layers.Add(), right, right, name="doubled")
    graph.output(doubled, "parts:0", graph.conv2d(doubled, 1, name="conv"), "b")
    return graph


def test_several_inputs_and_outputs():
    graph = branching()
    weights = {"conv/weight": np.ones((1, 1, 3, 1), np.float32), "conv/bias": np.float32([7])}
    a, b = integers(0, 2, 2, 2, 4), integers(1, 2, 4)
    scaled = a * b[:, None, None]
    expected = [2 * scaled[..., 1:], scaled[..., :1]]
    expected += [expected[0].sum(axis=-1, keepdims=True) + 7, b]
    for x in ((a, b), {"b": b, "a": a.astype(np.float32)}):
        for result, wanted in zip(interpret(graph, weights, x), expected, strict=True):
            np.testing.assert_array_equal(result, wanted)
    assert not np.shares_memory(interpret(graph, weights, (a, b))[3], b)


def tiny() -> tuple[Graph, dict[str, np.ndarray]]:
    graph = Graph("tiny")
    x = graph.batch_norm(graph.conv2d(graph.input((3, 3, 2)), 4, 3, name="conv"), name="conv/bn")
    graph.output(graph.relu6(x))
    return graph, graph.init_weights()


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.zeros((1, 3, 3, 2), np.float16), TypeError, "input 'input' .*float32 or float64.*<f2"),
        (np.zeros((1, 3, 3, 2), ">f4"), TypeError, "input 'input' .*>f4"),
        ([[[[0.0]]]], TypeError, "input 'input' .*got list"),
        (np.zeros((3, 3, 2)), ValueError, r"input 'input' .*\(N, 3, 3, 2\), got \(3, 3, 2\)"),
        (np.zeros((1, 3, 3, 3)), ValueError, r"input 'input' .*got \(1, 3, 3, 3\)"),
        ((), ValueError, "x must hold 1 inputs"),
        ({"image": np.zeros((1, 3, 3, 2))}, ValueError, r"\('input',\), got \('image',\)"),
    ],
)
def test_wrong_inputs(x, error, message):
    graph, weights = tiny()
    with pytest.raises(error, match=message):
        interpret(graph, weights, x)


def test_wrong_inputs_of_several():
    graph = branching()
    weights = graph.init_weights()
    a, b = np.zeros((2, 2, 2, 4)), np.zeros((3, 4))
    with pytest.raises(ValueError, match="'b' must have the batch size 2 of 'a', got 3"):
        interpret(graph, weights, (a, b))
    with pytest.raises(ValueError, match=r"tuple or dict of the inputs \('a', 'b'\)"):
        interpret(graph, weights, a)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"conv/bias": None}, ValueError, "'tiny': 1 missing: 'conv/bias'$"),
        ({"conv/scale": np.zeros(1)}, ValueError, "1 left over: 'conv/scale'$"),
        ({"conv/bias": None, "a": 0, "b": 0}, ValueError, "1 missing.*; 2 left over: 'a', 'b'$"),
        ({"conv/bias": np.zeros(4)}, TypeError, "'conv/bias' .*native float32, got <f8"),
        ({"conv/bias": np.zeros(4, ">f4")}, TypeError, "'conv/bias' .*got >f4"),
        ({"conv/bias": [0.0] * 4}, TypeError, "'conv/bias' .*got list"),
        ({"conv/bias": np.zeros(3, "f4")}, ValueError, r"'conv/bias' .*\(4,\), got \(3,\)"),
        ({"conv/weight": np.zeros((3, 3, 4, 2), "f4")}, ValueError, r"\(3, 3, 2, 4\), got \(3, 3"),
        ({"conv/bn/variance": -np.ones(4, "f4")}, ValueError, "'conv/bn/variance': .*above 0"),
    ],
)
def test_wrong_weights(change, error, message):
    graph, weights = tiny()
    changed = {name: array for name, array in (weights | change).items() if array is not None}
    with pytest.raises(error, match=message):
        interpret(graph, changed, np.zeros((1, 3, 3, 2)))


def test_weights_that_are_no_mapping():
    with pytest.raises(TypeError, match="weights must map names to arrays, got list"):
        interpret(tiny()[0], [1], np.zeros((1, 3, 3, 2)))  # type: ignore[arg-type]


def test_a_graph_without_outputs():
    graph = Graph("open")
    graph.input((1,))
    with pytest.raises(ValueError, match="no outputs"):
        interpret(graph, {}, np.zeros((1, 1)))


# Real networks


EXACT: dict[str, Callable[[Any], Any]] = {  # input in double precision
    "v1": lambda pixels: pixels / 127.5 - 1,
    "v2": lambda pixels: (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
}


@pytest.mark.parametrize(("network", "layer_count"), [("v1", 28), ("v2", 53)])
def test_golden_logits(shared: Path, network: str, layer_count: int):
    """Allow every layer's weights to be off by one unit roundoff, all in one direction."""
    golden = Golden(shared, network)
    (logits,) = interpret(golden.graph, golden.weights, EXACT[network](golden.pictures))
    assert golden.error(logits) <= layer_count * 2.0**-24 * np.abs(golden.logits).max()
