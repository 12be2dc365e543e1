"""Layer kinds: output shapes, parameters, mult-adds, and every refusal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv import cost, layers
from dsconv.layers import KINDS, Layer

MAP = (5, 7, 12)

SHAPES = [  # layer, input shapes, output shapes
    (layers.Input((4, 5, 3)), [], [(4, 5, 3)]),
    (layers.Conv2D(8, 3), [MAP], [(5, 7, 8)]),
    (layers.Conv2D(8, 3, stride=2), [MAP], [(3, 4, 8)]),
    (layers.Conv2D(8, (3, 1), stride=(2, 1), padding="valid"), [MAP], [(2, 7, 8)]),
    (layers.Conv2D(8, 3, padding="valid", dilation=2), [MAP], [(1, 3, 8)]),
    (layers.Conv2D(8, 3, padding=((0, 1), (2, 0))), [MAP], [(4, 7, 8)]),
    (layers.Conv2D(8, 3, padding=(0, 1), groups=4), [MAP], [(3, 7, 8)]),
    (layers.DepthwiseConv2D(), [MAP], [MAP]),
    (layers.DepthwiseConv2D(3, stride=2, padding=1, multiplier=2), [MAP], [(3, 4, 24)]),
    (layers.Dense(10), [(12,)], [(10,)]),
    (layers.BatchNorm(), [MAP], [MAP]),
    (layers.BatchNorm(), [(12,)], [(12,)]),
    (layers.LocalResponseNorm(), [MAP], [MAP]),
    (layers.L2Normalize(), [MAP], [MAP]),
    (layers.Clip(0, 6), [MAP], [MAP]),
    (layers.LeakyReLU(0.1), [MAP], [MAP]),
    (layers.HardSwish(), [MAP], [MAP]),
    (layers.HardSigmoid(), [(12,)], [(12,)]),
    (layers.Sigmoid(), [MAP], [MAP]),
    (layers.Softmax(), [(12,)], [(12,)]),
    (layers.Softmax(axis=0), [MAP], [MAP]),
    (layers.Add(), [MAP, MAP], [MAP]),
    (layers.Mul(), [MAP, MAP], [MAP]),
    (layers.Mul(), [MAP, (12,)], [MAP]),
    (layers.Mul(), [(1, 1, 12), MAP], [MAP]),
    (layers.Concat(), [MAP, (5, 7, 3), MAP], [(5, 7, 27)]),
    (layers.Concat(axis=0), [(4, 2), (6, 2)], [(10, 2)]),
    (layers.Split((5, 7)), [MAP], [(5, 7, 5), (5, 7, 7)]),
    (layers.Split((1, 2, 2), axis=0), [MAP], [(1, 7, 12), (2, 7, 12), (2, 7, 12)]),
    (layers.MaxPool(), [MAP], [(2, 3, 12)]),
    (layers.MaxPool(2, 2, ceil=True), [MAP], [(3, 4, 12)]),
    (layers.MaxPool(3, 2, padding=1), [(112, 112, 64)], [(56, 56, 64)]),
    (layers.AveragePool(3, 1, padding="same"), [MAP], [MAP]),
    (layers.AveragePool(3, 2, padding=((0, 1), (0, 1)), count_padding=True), [MAP], [(2, 3, 12)]),
    (layers.GlobalAveragePool(), [MAP], [(12,)]),
    (layers.GlobalAveragePool(keep_dims=True), [MAP], [(1, 1, 12)]),
    (layers.ChannelShuffle(3), [MAP], [MAP]),
    (layers.SpaceToDepth(2), [(4, 6, 3)], [(2, 3, 12)]),
    (layers.Pad(((1, 2), (3, 4))), [MAP], [(8, 14, 12)]),
    (layers.Pad(1), [MAP], [(7, 9, 12)]),
    (layers.Resize(10, 14), [MAP], [(10, 14, 12)]),
    (layers.Resize(1, 1, "align_corners"), [MAP], [(1, 1, 12)]),
    (layers.Reshape((-1, 4)), [MAP], [(105, 4)]),
    (layers.Reshape((12, 35)), [MAP], [(12, 35)]),
    (layers.Flatten(), [MAP], [(420,)]),
    (layers.Transpose((2, 0, 1)), [MAP], [(12, 5, 7)]),
    (layers.Slice((1, 6, 0), (2, 4, 12), (3, -2, 1)), [MAP], [(2, 4, 12)]),
    (layers.Broadcast((5, 7, 12)), [(5, 1, 12)], [MAP]),
]


@pytest.mark.parametrize(("layer", "inputs", "outputs"), SHAPES, ids=repr)
def test_output_shapes(layer: Layer, inputs: list, outputs: list) -> None:
    assert layer.infer(inputs) == outputs


def test_every_kind_has_a_shape_case() -> None:
    assert {type(layer) for layer, _, _ in SHAPES} == set(KINDS.values())
    assert {cls.kind for cls in KINDS.values()} == set(KINDS)
    assert {c.__name__ for c in KINDS.values()} | {"KINDS", "Layer", "Shape"} == set(layers.__all__)


REFUSED_INPUTS = [  # layer, input shapes, what the message says
    (layers.Input((4, 5, 3)), [MAP], "takes no inputs, got 1"),
    (layers.Conv2D(8), [], "takes one input, got 0"),
    (layers.Conv2D(8), [MAP, MAP], "takes one input, got 2"),
    (layers.Conv2D(8), [(12,)], r"\(H, W, C\), got \(12,\)"),
    (layers.Conv2D(10, groups=5), [MAP], "groups 5 must divide the input channels 12"),
    (layers.Conv2D(8, 7, padding="valid"), [MAP], "the output height would be empty"),
    (layers.DepthwiseConv2D(9, padding=1), [(11, 5, 12)], "the output width would be empty"),
    (layers.DepthwiseConv2D(), [(12,)], r"\(H, W, C\)"),
    (layers.Dense(10), [MAP], r"\(C,\), got \(5, 7, 12\); flatten it first"),
    (layers.BatchNorm(), [MAP, MAP], "takes one input"),
    (layers.LocalResponseNorm(), [(12,)], r"\(H, W, C\)"),
    (layers.Softmax(axis=3), [MAP], "axis 3 is out of range"),
    (layers.Softmax(axis=-2), [(12,)], "axis -2 is out of range"),
    (layers.Add(), [MAP], "takes two inputs, got 1"),
    (layers.Add(), [MAP, (5, 7, 1)], "equal shapes"),
    (layers.Add(), [MAP, (12,)], "equal shapes"),
    (layers.Mul(), [MAP, (5,)], "equal shapes, or one must be"),
    (layers.Mul(), [MAP, MAP, MAP], "takes two inputs, got 3"),
    (layers.Concat(), [], "at least one input"),
    (layers.Concat(), [MAP, (5, 6, 12)], "apart from axis -1"),
    (layers.Concat(), [(12, 3), (12, 3, 3)], "apart from axis -1"),
    (layers.Concat(axis=1), [(12,), (12,)], "axis 1 is out of range"),
    (layers.Split((5, 5)), [MAP], r"sizes \(5, 5\) must add up to the 12"),
    (layers.Split((5, 7), axis=3), [MAP], "axis 3 is out of range"),
    (layers.MaxPool(2, padding=2), [MAP], r"padding \(2, 2\) must be smaller than the kernel 2"),
    (
        layers.AveragePool((3, 1), padding=1),
        [MAP],
        r"padding \(1, 1\) must be smaller than the kernel 1",
    ),
    (layers.MaxPool(6), [MAP], "the output height would be empty"),
    (layers.GlobalAveragePool(), [(12,)], r"\(H, W, C\)"),
    (layers.ChannelShuffle(5), [MAP], "groups 5 must divide the input channels 12"),
    (layers.SpaceToDepth(2), [MAP], "block 2 must divide the input height 5 and width 7"),
    (layers.Pad(1), [(12,)], r"\(H, W, C\)"),
    (layers.Resize(3, 3), [(12,)], r"\(H, W, C\)"),
    (layers.Reshape((11, -1)), [MAP], "does not fill"),
    (layers.Reshape((7, 5)), [MAP], "does not fill"),
    (layers.Slice((0,), (5,), (1,)), [MAP], r"starts \(0,\) do not fit the input shape"),
    (layers.Slice((1,), (3,), (2,)), [(5,)], "reach beyond the input shape"),
    (layers.Slice((1,), (3,), (-1,)), [(5,)], "reach beyond the input shape"),
    (layers.Slice((5,), (1,), (1,)), [(5,)], "reach beyond the input shape"),
    (layers.Broadcast((7, 12)), [MAP], "cannot be repeated"),
    (layers.Broadcast((10, 7, 12)), [MAP], "cannot be repeated"),
    (layers.Transpose((1, 0)), [MAP], r"permutation \(1, 0\) does not fit the input shape"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED_INPUTS, ids=repr)
def test_refused_inputs(layer: Layer, inputs: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.infer(inputs)


REFUSED_ATTRIBUTES = [  # class, arguments, error, what the message says
    (layers.Input, {"shape": ()}, ValueError, "shape must not be empty"),
    (layers.Input, {"shape": (4, 0, 3)}, ValueError, "shape must be at least 1, got 0"),
    (layers.Input, {"shape": 3}, TypeError, "shape must be a tuple"),
    (layers.Conv2D, {"filters": 0}, ValueError, "filters must be at least 1"),
    (layers.Conv2D, {"filters": 2.0}, TypeError, "filters must be an integer"),
    (layers.Conv2D, {"filters": 8, "kernel": 0}, ValueError, "kernel must be at least 1"),
    (
        layers.Conv2D,
        {"filters": 8, "kernel": (1, 2, 3)},
        ValueError,
        "kernel must be an int or a pair",
    ),
    (layers.Conv2D, {"filters": 8, "stride": 0}, ValueError, "stride must be at least 1"),
    (layers.Conv2D, {"filters": 8, "dilation": -1}, ValueError, "dilation must be at least 1"),
    (layers.Conv2D, {"filters": 8, "padding": "full"}, ValueError, "padding must be"),
    (layers.Conv2D, {"filters": 8, "padding": -1}, ValueError, "padding must be at least 0"),
    (layers.Conv2D, {"filters": 8, "groups": 3}, ValueError, "groups 3 must divide the filters 8"),
    (layers.Conv2D, {"filters": 8, "groups": 0}, ValueError, "groups must be at least 1"),
    (layers.Conv2D, {"filters": 8, "bias": 1}, TypeError, "bias must be True or False"),
    (layers.Conv2D, {"filters": 8, "clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (layers.Conv2D, {"filters": 8, "clip": (math.nan, 0)}, ValueError, "neither NaN"),
    (layers.Conv2D, {"filters": 8, "clip": 6}, TypeError, "clip must be a pair"),
    (layers.Conv2D, {"filters": 8, "clip": ("0", 6)}, TypeError, "clip must be a number"),
    (layers.DepthwiseConv2D, {"multiplier": 0}, ValueError, "multiplier must be at least 1"),
    (layers.DepthwiseConv2D, {"clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (layers.Dense, {"units": 0}, ValueError, "units must be at least 1"),
    (layers.Dense, {"units": 1, "bias": None}, TypeError, "bias must be"),
    (layers.Dense, {"units": 1, "clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (layers.BatchNorm, {"epsilon": -1e-3}, ValueError, "epsilon must be finite and at least 0"),
    (layers.BatchNorm, {"epsilon": math.inf}, ValueError, "epsilon must be finite"),
    (layers.BatchNorm, {"epsilon": "1e-3"}, TypeError, "epsilon must be a number"),
    (layers.LocalResponseNorm, {"size": 4}, ValueError, "size must be odd"),
    (layers.LocalResponseNorm, {"alpha": -1}, ValueError, "alpha must be finite and at least 0"),
    (layers.LocalResponseNorm, {"beta": math.nan}, ValueError, "beta must be finite"),
    (layers.LocalResponseNorm, {"bias": 0}, ValueError, "bias must be above 0"),
    (layers.L2Normalize, {"epsilon": -1}, ValueError, "epsilon must be"),
    (layers.Clip, {"low": 6, "high": 0}, ValueError, "low <= high"),
    (layers.Clip, {"low": 0, "high": math.nan}, ValueError, "neither NaN"),
    (layers.Clip, {"low": 0, "high": 10**400}, ValueError, "too large for a float"),
    (layers.LeakyReLU, {"slope": math.inf}, ValueError, "slope must be finite"),
    (layers.LeakyReLU, {"slope": True}, TypeError, "slope must be a number"),
    (layers.Softmax, {"axis": 1.0}, TypeError, "axis must be an integer"),
    (layers.Add, {"clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (layers.Concat, {"axis": None}, TypeError, "axis must be an integer"),
    (layers.Split, {"sizes": (3,)}, ValueError, "sizes must be at least two"),
    (layers.Split, {"sizes": (3, 0)}, ValueError, "sizes must be at least 1"),
    (layers.Split, {"sizes": (3, 3), "axis": "C"}, TypeError, "axis must be an integer"),
    (
        layers.Slice,
        {"starts": (0,), "sizes": (1,), "steps": (0,)},
        ValueError,
        "steps must not be 0",
    ),
    (layers.Slice, {"starts": (0,), "sizes": (1, 1), "steps": (1,)}, ValueError, "of one length"),
    (
        layers.Slice,
        {"starts": (-1,), "sizes": (1,), "steps": (1,)},
        ValueError,
        "starts must be at least 0",
    ),
    (layers.Broadcast, {"shape": (2, 0)}, ValueError, "shape must be at least 1"),
    (layers.MaxPool, {"kernel": 0}, ValueError, "kernel must be at least 1"),
    (layers.MaxPool, {"stride": 0}, ValueError, "stride must be at least 1"),
    (layers.MaxPool, {"padding": "full"}, ValueError, "padding must be"),
    (layers.MaxPool, {"ceil": 1}, TypeError, "ceil must be True or False"),
    (layers.AveragePool, {"count_padding": 0}, TypeError, "count_padding must be True or False"),
    (layers.GlobalAveragePool, {"keep_dims": "no"}, TypeError, "keep_dims must be True or False"),
    (layers.ChannelShuffle, {"groups": 0}, ValueError, "groups must be at least 1"),
    (layers.SpaceToDepth, {"block": 0}, ValueError, "block must be at least 1"),
    (layers.Pad, {"padding": "same"}, TypeError, "padding must be numbers of pixels"),
    (layers.Pad, {"padding": (1, 2, 3)}, ValueError, "padding must be"),
    (layers.Resize, {"height": 0, "width": 1}, ValueError, "height must be at least 1"),
    (layers.Resize, {"height": 1, "width": 0}, ValueError, "width must be at least 1"),
    (layers.Resize, {"height": 1, "width": 1, "mode": "nearest"}, ValueError, "mode must be"),
    (layers.Reshape, {"shape": (-1, -1)}, ValueError, "at most one -1"),
    (layers.Reshape, {"shape": (0, -1)}, ValueError, "sizes above 0"),
    (layers.Reshape, {"shape": (-2,)}, ValueError, "shape must be at least -1"),
    (layers.Transpose, {"permutation": (0, 0)}, ValueError, "each of 0 to 1 once"),
    (layers.Transpose, {"permutation": (1, 2)}, ValueError, "each of 0 to 1 once"),
]


@pytest.mark.parametrize(("cls", "attributes", "error", "message"), REFUSED_ATTRIBUTES, ids=repr)
def test_refused_attributes(cls: type[Layer], attributes: dict, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        cls(**attributes)


def test_attributes_take_one_form() -> None:
    layer = layers.Conv2D(8, 3, stride=[2, 1], padding=(0, 1), clip=(0, 6))  # type: ignore[arg-type]
    assert (layer.kernel, layer.stride, layer.dilation) == ((3, 3), (2, 1), (1, 1))
    assert layer.padding == ((0, 0), (1, 1))
    assert layer == layers.Conv2D(8, (3, 3), (2, 1), ((0, 0), (1, 1)), clip=(0.0, 6.0))
    assert layer != layers.Conv2D(8, 3) and layer != layers.Dense(8)
    assert repr(layers.Dense(3)) == "Dense(units=3, bias=True, clip=None)"
    assert isinstance(layers.Conv2D(np.int64(8)).filters, int)  # type: ignore[arg-type]
    assert layers.Pad(1).pixels == ((1, 1), (1, 1))


@pytest.mark.parametrize("layer", [case[0] for case in SHAPES], ids=repr)
def test_layers_are_equal_by_value(layer: Layer) -> None:
    assert replace(layer) == layer
    assert all(layer != other for other, _, _ in SHAPES if type(other) is not type(layer))


def test_labels_are_those_of_the_papers_table() -> None:
    labels = [
        layers.Conv2D(1).label,
        layers.Conv2D(1, 3).label,
        layers.DepthwiseConv2D().label,
        layers.Dense(1).label,
    ]
    assert labels == ["conv 1x1", "conv 3x3", "depthwise 3x3", "fully connected"]
    assert layers.Conv2D(1, (1, 7)).label == "conv 1x7"
    assert [layers.Clip(0, 6).label, layers.Clip(0, math.inf).label, layers.Clip(-1, 1).label] == [
        "relu6",
        "relu",
        "clip",
    ]
    assert layers.MaxPool(3).label == "max pool 3x3"


def test_parameters_and_mult_adds_of_worked_examples() -> None:
    # 3x3, 16 -> 32 channels: 4608 weights; separable 16 * 9 + 16 * 32 = 656
    one_pixel = [(1, 1, 16)]
    assert layers.Conv2D(32, 3).parameters(one_pixel) == {"weight": (3, 3, 16, 32), "bias": (32,)}
    assert layers.Conv2D(32, 3).mult_adds(one_pixel) == 4608
    assert (
        layers.DepthwiseConv2D().mult_adds(one_pixel) + layers.Conv2D(32).mult_adds(one_pixel)
        == 656
    )
    assert layers.Conv2D(32, 3, groups=4, bias=False).parameters(one_pixel) == {
        "weight": (3, 3, 4, 32)
    }
    assert layers.Conv2D(32, 3, groups=4).mult_adds(one_pixel) == 1152
    depthwise = layers.DepthwiseConv2D((3, 5), multiplier=2)
    assert depthwise.parameters(one_pixel) == {"weight": (3, 5, 16, 2), "bias": (32,)}
    assert depthwise.mult_adds([(2, 3, 16)]) == 2 * 3 * 3 * 5 * 16 * 2
    assert layers.Dense(10).parameters([(7,)]) == {"weight": (7, 10), "bias": (10,)}
    assert layers.Dense(10, bias=False).parameters([(7,)]) == {"weight": (7, 10)}
    assert layers.Dense(10).mult_adds([(7,)]) == 70
    assert list(layers.BatchNorm().parameters([MAP])) == ["gamma", "beta", "mean", "variance"]
    assert set(layers.BatchNorm().parameters([MAP]).values()) == {(12,)}
    assert layers.L2Normalize().parameters([MAP]) == {"scale": (12,)}


@pytest.mark.parametrize(("layer", "inputs", "outputs"), SHAPES, ids=repr)
def test_only_kernels_cost_mult_adds(layer: Layer, inputs: list, outputs: list) -> None:
    costs = layer.mult_adds(inputs) > 0
    assert costs == isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense))
    assert costs == ("weight" in layer.parameters(inputs))


def test_a_fused_clip_costs_nothing() -> None:
    for layer in (layers.Conv2D(8, 3), layers.DepthwiseConv2D(), layers.Dense(8)):
        shapes = [(12,)] if isinstance(layer, layers.Dense) else [MAP]
        fused = replace(layer, clip=(0.0, 6.0))
        assert fused.mult_adds(shapes) == layer.mult_adds(shapes)
        assert fused.parameters(shapes) == layer.parameters(shapes)


# Shapes against NumPy's own, or against a count of the windows one by one

small = st.integers(1, 5)
shape_st = st.lists(small, min_size=1, max_size=4).map(tuple)


@given(shape_st, st.data())
def test_transpose_and_reshape_as_numpy(shape: tuple[int, ...], data: st.DataObject) -> None:
    array = np.zeros(shape)
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    assert layers.Transpose(order).infer([shape]) == [array.transpose(order).shape]
    wanted = data.draw(shape_st)
    try:
        expected = array.reshape((-1, *wanted)).shape
    except ValueError:
        with pytest.raises(ValueError, match="does not fill"):
            layers.Reshape((-1, *wanted)).infer([shape])
    else:
        assert layers.Reshape((-1, *wanted)).infer([shape]) == [expected]
    assert layers.Flatten().infer([shape]) == [array.reshape(-1).shape]


@given(shape_st, st.lists(small, min_size=2, max_size=4), st.data())
def test_split_undoes_concat(shape: tuple[int, ...], sizes: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for size in sizes:
        part = list(shape)
        part[axis] = size
        parts.append(tuple(part))
    joined = layers.Concat(axis).infer(parts)
    assert joined == [np.concatenate([np.zeros(part) for part in parts], axis).shape]
    assert layers.Split(tuple(sizes), axis).infer(joined) == parts


@given(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3)
)
def test_pool_sizes(size: int, kernel: int, stride: int, before: int, after: int) -> None:
    """Count windows inside the padded map; with ceil also one that overlaps its end, if it starts
    on the map or its leading padding."""
    inside = [
        start
        for start in range(0, size + before + after, stride)
        if start + kernel <= size + before + after
    ]
    shape = (size, 1, 3)
    options: dict[str, Any] = {
        "kernel": (kernel, 1),
        "stride": (stride, 1),
        "padding": ((before, after), (0, 0)),
    }
    if not inside or max(before, after) >= kernel:
        with pytest.raises(ValueError, match="empty|smaller than the kernel"):
            layers.MaxPool(**options).infer([shape])
        return
    assert layers.MaxPool(**options).infer([shape]) == [(len(inside), 1, 3)]
    end = inside[-1] + kernel
    beyond = inside[-1] + stride
    extra = end < size + before + after and beyond < size + before
    assert layers.AveragePool(**options, ceil=True).infer([shape]) == [(len(inside) + extra, 1, 3)]


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 4, 6])),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([1, 2, (1, 3)]),
    st.sampled_from(["same", 2, ((2, 3), (3, 2))]),
    st.sampled_from([1, 2]),
    st.booleans(),
)
def test_costs_agree_with_those_of_the_array_functions(
    shape: tuple[int, int, int], kernel: Any, stride: Any, padding: Any, groups: int, bias: bool
) -> None:
    window: dict[str, Any] = {"stride": stride, "padding": padding, "bias": bias}
    layers_and_costs: list[tuple[Layer, Any]] = [
        (
            layers.Conv2D(8, kernel, groups=groups, **window),
            cost.conv2d(shape, (*kernel, shape[2] // groups, 8), groups=groups, **window),
        ),
        (
            layers.DepthwiseConv2D(kernel, multiplier=groups, **window),
            cost.depthwise_conv2d(shape, (*kernel, shape[2], groups), **window),
        ),
        (layers.Dense(8, bias), cost.dense(shape[2:], (shape[2], 8), bias=bias)),
    ]
    for layer, expected in layers_and_costs:
        shapes = [shape[2:] if isinstance(layer, layers.Dense) else shape]
        sizes = {name: math.prod(size) for name, size in layer.parameters(shapes).items()}
        assert layer.mult_adds(shapes) == expected.mult_adds
        assert sizes["weight"] == expected.weights
        assert sum(sizes.values()) == expected.trainable_parameters
