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
from dsconv.layers import (
    KINDS,
    Add,
    AveragePool,
    BatchNorm,
    Broadcast,
    ChannelShuffle,
    Clip,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool,
    HardSigmoid,
    HardSwish,
    Input,
    L2Normalize,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Mul,
    Pad,
    Reshape,
    Resize,
    Sigmoid,
    Slice,
    Softmax,
    SpaceToDepth,
    Split,
    Transpose,
)

MAP = (5, 7, 12)

SHAPES = [  # layer, input shapes, output shapes
    (Input((4, 5, 3)), [], [(4, 5, 3)]),
    (Conv2D(8, 3), [MAP], [(5, 7, 8)]),
    (Conv2D(8, 3, stride=2), [MAP], [(3, 4, 8)]),
    (Conv2D(8, (3, 1), stride=(2, 1), padding="valid"), [MAP], [(2, 7, 8)]),
    (Conv2D(8, 3, padding="valid", dilation=2), [MAP], [(1, 3, 8)]),
    (Conv2D(8, 3, padding=((0, 1), (2, 0))), [MAP], [(4, 7, 8)]),
    (Conv2D(8, 3, padding=(0, 1), groups=4), [MAP], [(3, 7, 8)]),
    (DepthwiseConv2D(), [MAP], [MAP]),
    (DepthwiseConv2D(3, stride=2, padding=1, multiplier=2), [MAP], [(3, 4, 24)]),
    (Dense(10), [(12,)], [(10,)]),
    (BatchNorm(), [MAP], [MAP]),
    (BatchNorm(), [(12,)], [(12,)]),
    (LocalResponseNorm(), [MAP], [MAP]),
    (L2Normalize(), [MAP], [MAP]),
    (Clip(0, 6), [MAP], [MAP]),
    (LeakyReLU(0.1), [MAP], [MAP]),
    (HardSwish(), [MAP], [MAP]),
    (HardSigmoid(), [(12,)], [(12,)]),
    (Sigmoid(), [MAP], [MAP]),
    (Softmax(), [(12,)], [(12,)]),
    (Softmax(axis=0), [MAP], [MAP]),
    (Add(), [MAP, MAP], [MAP]),
    (Mul(), [MAP, MAP], [MAP]),
    (Mul(), [MAP, (12,)], [MAP]),
    (Mul(), [(1, 1, 12), MAP], [MAP]),
    (Concat(), [MAP, (5, 7, 3), MAP], [(5, 7, 27)]),
    (Concat(axis=0), [(4, 2), (6, 2)], [(10, 2)]),
    (Split((5, 7)), [MAP], [(5, 7, 5), (5, 7, 7)]),
    (Split((1, 2, 2), axis=0), [MAP], [(1, 7, 12), (2, 7, 12), (2, 7, 12)]),
    (MaxPool(), [MAP], [(2, 3, 12)]),
    (MaxPool(2, 2, ceil=True), [MAP], [(3, 4, 12)]),
    (MaxPool(3, 2, padding=1), [(112, 112, 64)], [(56, 56, 64)]),
    (AveragePool(3, 1, padding="same"), [MAP], [MAP]),
    (AveragePool(3, 2, padding=((0, 1), (0, 1)), count_padding=True), [MAP], [(2, 3, 12)]),
    (GlobalAveragePool(), [MAP], [(12,)]),
    (GlobalAveragePool(keep_dims=True), [MAP], [(1, 1, 12)]),
    (ChannelShuffle(3), [MAP], [MAP]),
    (SpaceToDepth(2), [(4, 6, 3)], [(2, 3, 12)]),
    (Pad(((1, 2), (3, 4))), [MAP], [(8, 14, 12)]),
    (Pad(1), [MAP], [(7, 9, 12)]),
    (Resize(10, 14), [MAP], [(10, 14, 12)]),
    (Resize(1, 1, "align_corners"), [MAP], [(1, 1, 12)]),
    (Reshape((-1, 4)), [MAP], [(105, 4)]),
    (Reshape((12, 35)), [MAP], [(12, 35)]),
    (Flatten(), [MAP], [(420,)]),
    (Transpose((2, 0, 1)), [MAP], [(12, 5, 7)]),
    (Slice((1, 6, 0), (2, 4, 12), (3, -2, 1)), [MAP], [(2, 4, 12)]),
    (Broadcast((5, 7, 12)), [(5, 1, 12)], [MAP]),
]


@pytest.mark.parametrize(("layer", "inputs", "outputs"), SHAPES, ids=repr)
def test_output_shapes(layer: Layer, inputs: list, outputs: list) -> None:
    assert layer.infer(inputs) == outputs


def test_every_kind_has_a_shape_case() -> None:
    assert {type(layer) for layer, _, _ in SHAPES} == set(KINDS.values())
    assert {cls.kind for cls in KINDS.values()} == set(KINDS)
    assert {cls.__name__ for cls in KINDS.values()} | {"KINDS", "Layer", "Shape"} == set(
        layers.__all__
    )


REFUSED_INPUTS = [  # layer, input shapes, what the message says
    (Input((4, 5, 3)), [MAP], "takes no inputs, got 1"),
    (Conv2D(8), [], "takes one input, got 0"),
    (Conv2D(8), [MAP, MAP], "takes one input, got 2"),
    (Conv2D(8), [(12,)], r"\(H, W, C\), got \(12,\)"),
    (Conv2D(10, groups=5), [MAP], "groups 5 must divide the input channels 12"),
    (Conv2D(8, 7, padding="valid"), [MAP], "the output height would be empty"),
    (DepthwiseConv2D(9, padding=1), [(11, 5, 12)], "the output width would be empty"),
    (DepthwiseConv2D(), [(12,)], r"\(H, W, C\)"),
    (Dense(10), [MAP], r"\(C,\), got \(5, 7, 12\); flatten it first"),
    (BatchNorm(), [MAP, MAP], "takes one input"),
    (LocalResponseNorm(), [(12,)], r"\(H, W, C\)"),
    (Softmax(axis=3), [MAP], "axis 3 is out of range"),
    (Softmax(axis=-2), [(12,)], "axis -2 is out of range"),
    (Add(), [MAP], "takes two inputs, got 1"),
    (Add(), [MAP, (5, 7, 1)], "equal shapes"),
    (Add(), [MAP, (12,)], "equal shapes"),
    (Mul(), [MAP, (5,)], "equal shapes, or one must be"),
    (Mul(), [MAP, MAP, MAP], "takes two inputs, got 3"),
    (Concat(), [], "at least one input"),
    (Concat(), [MAP, (5, 6, 12)], "apart from axis -1"),
    (Concat(), [(12, 3), (12, 3, 3)], "apart from axis -1"),
    (Concat(axis=1), [(12,), (12,)], "axis 1 is out of range"),
    (Split((5, 5)), [MAP], r"sizes \(5, 5\) must add up to the 12"),
    (Split((5, 7), axis=3), [MAP], "axis 3 is out of range"),
    (MaxPool(2, padding=2), [MAP], r"padding \(2, 2\) must be smaller than the kernel 2"),
    (AveragePool((3, 1), padding=1), [MAP], r"padding \(1, 1\) must be smaller than the kernel 1"),
    (MaxPool(6), [MAP], "the output height would be empty"),
    (GlobalAveragePool(), [(12,)], r"\(H, W, C\)"),
    (ChannelShuffle(5), [MAP], "groups 5 must divide the input channels 12"),
    (SpaceToDepth(2), [MAP], "block 2 must divide the input height 5 and width 7"),
    (Pad(1), [(12,)], r"\(H, W, C\)"),
    (Resize(3, 3), [(12,)], r"\(H, W, C\)"),
    (Reshape((11, -1)), [MAP], "does not fill"),
    (Reshape((7, 5)), [MAP], "does not fill"),
    (Slice((0,), (5,), (1,)), [MAP], r"starts \(0,\) do not fit the input shape"),
    (Slice((1,), (3,), (2,)), [(5,)], "reach beyond the input shape"),
    (Slice((1,), (3,), (-1,)), [(5,)], "reach beyond the input shape"),
    (Slice((5,), (1,), (1,)), [(5,)], "reach beyond the input shape"),
    (Broadcast((7, 12)), [MAP], "cannot be repeated"),
    (Broadcast((10, 7, 12)), [MAP], "cannot be repeated"),
    (Transpose((1, 0)), [MAP], r"permutation \(1, 0\) does not fit the input shape"),
]


@pytest.mark.parametrize(("layer", "inputs", "message"), REFUSED_INPUTS, ids=repr)
def test_refused_inputs(layer: Layer, inputs: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.infer(inputs)


REFUSED_ATTRIBUTES = [  # class, arguments, error, what the message says
    (Input, {"shape": ()}, ValueError, "shape must not be empty"),
    (Input, {"shape": (4, 0, 3)}, ValueError, "shape must be at least 1, got 0"),
    (Input, {"shape": 3}, TypeError, "shape must be a tuple"),
    (Conv2D, {"filters": 0}, ValueError, "filters must be at least 1"),
    (Conv2D, {"filters": 2.0}, TypeError, "filters must be an integer"),
    (Conv2D, {"filters": 8, "kernel": 0}, ValueError, "kernel must be at least 1"),
    (Conv2D, {"filters": 8, "kernel": (1, 2, 3)}, ValueError, "kernel must be an int or a pair"),
    (Conv2D, {"filters": 8, "stride": 0}, ValueError, "stride must be at least 1"),
    (Conv2D, {"filters": 8, "dilation": -1}, ValueError, "dilation must be at least 1"),
    (Conv2D, {"filters": 8, "padding": "full"}, ValueError, "padding must be"),
    (Conv2D, {"filters": 8, "padding": -1}, ValueError, "padding must be at least 0"),
    (Conv2D, {"filters": 8, "groups": 3}, ValueError, "groups 3 must divide the filters 8"),
    (Conv2D, {"filters": 8, "groups": 0}, ValueError, "groups must be at least 1"),
    (Conv2D, {"filters": 8, "bias": 1}, TypeError, "bias must be True or False"),
    (Conv2D, {"filters": 8, "clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (Conv2D, {"filters": 8, "clip": (math.nan, 0)}, ValueError, "neither NaN"),
    (Conv2D, {"filters": 8, "clip": 6}, TypeError, "clip must be a pair"),
    (Conv2D, {"filters": 8, "clip": ("0", 6)}, TypeError, "clip must be a number"),
    (DepthwiseConv2D, {"multiplier": 0}, ValueError, "multiplier must be at least 1"),
    (DepthwiseConv2D, {"clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (Dense, {"units": 0}, ValueError, "units must be at least 1"),
    (Dense, {"units": 1, "bias": None}, TypeError, "bias must be"),
    (Dense, {"units": 1, "clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (BatchNorm, {"epsilon": -1e-3}, ValueError, "epsilon must be finite and at least 0"),
    (BatchNorm, {"epsilon": math.inf}, ValueError, "epsilon must be finite"),
    (BatchNorm, {"epsilon": "1e-3"}, TypeError, "epsilon must be a number"),
    (LocalResponseNorm, {"size": 4}, ValueError, "size must be odd"),
    (LocalResponseNorm, {"alpha": -1}, ValueError, "alpha must be finite and at least 0"),
    (LocalResponseNorm, {"beta": math.nan}, ValueError, "beta must be finite"),
    (LocalResponseNorm, {"bias": 0}, ValueError, "bias must be above 0"),
    (L2Normalize, {"epsilon": -1}, ValueError, "epsilon must be"),
    (Clip, {"low": 6, "high": 0}, ValueError, "low <= high"),
    (Clip, {"low": 0, "high": math.nan}, ValueError, "neither NaN"),
    (Clip, {"low": 0, "high": 10**400}, ValueError, "too large for a float"),
    (LeakyReLU, {"slope": math.inf}, ValueError, "slope must be finite"),
    (LeakyReLU, {"slope": True}, TypeError, "slope must be a number"),
    (Softmax, {"axis": 1.0}, TypeError, "axis must be an integer"),
    (Add, {"clip": (1, 0)}, ValueError, "clip must be low <= high"),
    (Concat, {"axis": None}, TypeError, "axis must be an integer"),
    (Split, {"sizes": (3,)}, ValueError, "sizes must be at least two"),
    (Split, {"sizes": (3, 0)}, ValueError, "sizes must be at least 1"),
    (Split, {"sizes": (3, 3), "axis": "C"}, TypeError, "axis must be an integer"),
    (Slice, {"starts": (0,), "sizes": (1,), "steps": (0,)}, ValueError, "steps must not be 0"),
    (Slice, {"starts": (0,), "sizes": (1, 1), "steps": (1,)}, ValueError, "of one length"),
    (
        Slice,
        {"starts": (-1,), "sizes": (1,), "steps": (1,)},
        ValueError,
        "starts must be at least 0",
    ),
    (Broadcast, {"shape": (2, 0)}, ValueError, "shape must be at least 1"),
    (MaxPool, {"kernel": 0}, ValueError, "kernel must be at least 1"),
    (MaxPool, {"stride": 0}, ValueError, "stride must be at least 1"),
    (MaxPool, {"padding": "full"}, ValueError, "padding must be"),
    (MaxPool, {"ceil": 1}, TypeError, "ceil must be True or False"),
    (AveragePool, {"count_padding": 0}, TypeError, "count_padding must be True or False"),
    (GlobalAveragePool, {"keep_dims": "no"}, TypeError, "keep_dims must be True or False"),
    (ChannelShuffle, {"groups": 0}, ValueError, "groups must be at least 1"),
    (SpaceToDepth, {"block": 0}, ValueError, "block must be at least 1"),
    (Pad, {"padding": "same"}, TypeError, "padding must be numbers of pixels"),
    (Pad, {"padding": (1, 2, 3)}, ValueError, "padding must be"),
    (Resize, {"height": 0, "width": 1}, ValueError, "height must be at least 1"),
    (Resize, {"height": 1, "width": 0}, ValueError, "width must be at least 1"),
    (Resize, {"height": 1, "width": 1, "mode": "nearest"}, ValueError, "mode must be"),
    (Reshape, {"shape": (-1, -1)}, ValueError, "at most one -1"),
    (Reshape, {"shape": (0, -1)}, ValueError, "sizes above 0"),
    (Reshape, {"shape": (-2,)}, ValueError, "shape must be at least -1"),
    (Transpose, {"permutation": (0, 0)}, ValueError, "each of 0 to 1 once"),
    (Transpose, {"permutation": (1, 2)}, ValueError, "each of 0 to 1 once"),
]


@pytest.mark.parametrize(("cls", "attributes", "error", "message"), REFUSED_ATTRIBUTES, ids=repr)
def test_refused_attributes(
    cls: type[Layer], attributes: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cls(**attributes)


def test_attributes_take_one_form() -> None:
    layer = Conv2D(8, 3, stride=[2, 1], padding=(0, 1), clip=(0, 6))  # type: ignore[arg-type]
    assert (layer.kernel, layer.stride, layer.dilation) == ((3, 3), (2, 1), (1, 1))
    assert layer.padding == ((0, 0), (1, 1))
    assert layer == Conv2D(8, (3, 3), (2, 1), ((0, 0), (1, 1)), clip=(0.0, 6.0))
    assert layer != Conv2D(8, 3) and layer != Dense(8)
    assert repr(Dense(3)) == "Dense(units=3, bias=True, clip=None)"
    assert isinstance(Conv2D(np.int64(8)).filters, int)  # type: ignore[arg-type]
    assert Pad(1).pixels == ((1, 1), (1, 1))


@pytest.mark.parametrize("layer", [case[0] for case in SHAPES], ids=repr)
def test_layers_are_equal_by_value(layer: Layer) -> None:
    assert replace(layer) == layer
    assert all(layer != other for other, _, _ in SHAPES if type(other) is not type(layer))


def test_labels_are_those_of_the_papers_table() -> None:
    labels = [Conv2D(1).label, Conv2D(1, 3).label, DepthwiseConv2D().label, Dense(1).label]
    assert labels == ["conv 1x1", "conv 3x3", "depthwise 3x3", "fully connected"]
    assert Conv2D(1, (1, 7)).label == "conv 1x7"
    assert [Clip(0, 6).label, Clip(0, math.inf).label, Clip(-1, 1).label] == [
        "relu6",
        "relu",
        "clip",
    ]
    assert MaxPool(3).label == "max pool 3x3"


def test_parameters_and_mult_adds_of_worked_examples() -> None:
    # 3x3, 16 -> 32 channels: 4608 weights; separable 16 * 9 + 16 * 32 = 656
    one_pixel = [(1, 1, 16)]
    assert Conv2D(32, 3).parameters(one_pixel) == {"weight": (3, 3, 16, 32), "bias": (32,)}
    assert Conv2D(32, 3).mult_adds(one_pixel) == 4608
    assert DepthwiseConv2D().mult_adds(one_pixel) + Conv2D(32).mult_adds(one_pixel) == 656
    assert Conv2D(32, 3, groups=4, bias=False).parameters(one_pixel) == {"weight": (3, 3, 4, 32)}
    assert Conv2D(32, 3, groups=4).mult_adds(one_pixel) == 1152
    depthwise = DepthwiseConv2D((3, 5), multiplier=2)
    assert depthwise.parameters(one_pixel) == {"weight": (3, 5, 16, 2), "bias": (32,)}
    assert depthwise.mult_adds([(2, 3, 16)]) == 2 * 3 * 3 * 5 * 16 * 2
    assert Dense(10).parameters([(7,)]) == {"weight": (7, 10), "bias": (10,)}
    assert Dense(10, bias=False).parameters([(7,)]) == {"weight": (7, 10)}
    assert Dense(10).mult_adds([(7,)]) == 70
    assert list(BatchNorm().parameters([MAP])) == ["gamma", "beta", "mean", "variance"]
    assert set(BatchNorm().parameters([MAP]).values()) == {(12,)}
    assert L2Normalize().parameters([MAP]) == {"scale": (12,)}


@pytest.mark.parametrize(("layer", "inputs", "outputs"), SHAPES, ids=repr)
def test_only_kernels_cost_mult_adds(layer: Layer, inputs: list, outputs: list) -> None:
    costs = layer.mult_adds(inputs) > 0
    assert costs == isinstance(layer, (Conv2D, DepthwiseConv2D, Dense))
    assert costs == ("weight" in layer.parameters(inputs))


def test_one_layer_of_the_mobilenet_paper() -> None:
    """Table 3: 512 channels at 14x14."""
    shapes = [(14, 14, 512)]
    assert Conv2D(512, 3).mult_adds(shapes) == 462_422_016
    assert DepthwiseConv2D().mult_adds(shapes) + Conv2D(512).mult_adds(shapes) == 52_283_392


def test_a_fused_clip_costs_nothing() -> None:
    for layer in (Conv2D(8, 3), DepthwiseConv2D(), Dense(8)):
        shapes = [(12,)] if isinstance(layer, Dense) else [MAP]
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
    assert Transpose(order).infer([shape]) == [array.transpose(order).shape]
    wanted = data.draw(shape_st)
    try:
        expected = array.reshape((-1, *wanted)).shape
    except ValueError:
        with pytest.raises(ValueError, match="does not fill"):
            Reshape((-1, *wanted)).infer([shape])
    else:
        assert Reshape((-1, *wanted)).infer([shape]) == [expected]
    assert Flatten().infer([shape]) == [array.reshape(-1).shape]


@given(shape_st, st.lists(small, min_size=2, max_size=4), st.data())
def test_split_undoes_concat(shape: tuple[int, ...], sizes: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for size in sizes:
        part = list(shape)
        part[axis] = size
        parts.append(tuple(part))
    joined = Concat(axis).infer(parts)
    assert joined == [np.concatenate([np.zeros(part) for part in parts], axis).shape]
    assert Split(tuple(sizes), axis).infer(joined) == parts


@given(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3)
)
def test_pool_sizes_count_the_windows(
    size: int, kernel: int, stride: int, before: int, after: int
) -> None:
    """Floor: windows inside the padded map. Ceil: also one that overlaps its end, if it starts
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
            MaxPool(**options).infer([shape])
        return
    assert MaxPool(**options).infer([shape]) == [(len(inside), 1, 3)]
    end = inside[-1] + kernel
    beyond = inside[-1] + stride
    extra = end < size + before + after and beyond < size + before
    assert AveragePool(**options, ceil=True).infer([shape]) == [(len(inside) + extra, 1, 3)]


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
            Conv2D(8, kernel, groups=groups, **window),
            cost.conv2d(shape, (*kernel, shape[2] // groups, 8), groups=groups, **window),
        ),
        (
            DepthwiseConv2D(kernel, multiplier=groups, **window),
            cost.depthwise_conv2d(shape, (*kernel, shape[2], groups), **window),
        ),
        (Dense(8, bias), cost.dense(shape[2:], (shape[2], 8), bias=bias)),
    ]
    for layer, expected in layers_and_costs:
        shapes = [shape[2:] if isinstance(layer, Dense) else shape]
        sizes = {name: math.prod(size) for name, size in layer.parameters(shapes).items()}
        assert layer.mult_adds(shapes) == expected.mult_adds
        assert sizes["weight"] == expected.weights
        assert sum(sizes.values()) == expected.trainable_parameters
