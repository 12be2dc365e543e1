"""MobileNetV1 and V2: published shares and grids, the layer names, and bad arguments."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from dsconv import models
from dsconv.graph import Graph
from dsconv.layers import Add, BatchNorm, Clip, Conv2D, Dense, DepthwiseConv2D
from dsconv.models import mobilenet_v1, mobilenet_v1_shallow, mobilenet_v1_standard, mobilenet_v2
from dsconv.models.topologies.mobilenet_v2 import features, rounded


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2])
def test_the_padding_costs_nothing(build: Any) -> None:
    same, symmetric = (build(padding=padding).cost() for padding in ("same", "symmetric"))
    assert same.by_layer() == symmetric.by_layer()


def test_v2_rounding() -> None:
    expected = {32: 32, 11.2: 16, 33.6: 32, 22.4: 24, 12: 16, 1: 8, 1792.0: 1792}
    assert {c: rounded(c) for c in expected} == expected
    for tenths in range(1, 4000):
        assert rounded(tenths / 10) % 8 == 0
        assert rounded(tenths / 10) >= 0.9 * tenths / 10
    assert mobilenet_v2(0.35).shape("conv_last") == (7, 7, 1280)
    assert mobilenet_v2(1.4).shape("conv_last") == (7, 7, 1792)


# Structure


def test_v1_layer_names() -> None:
    names = list(mobilenet_v1(softmax=True).nodes)
    expected = ["input", "conv0", "conv0/bn", "conv0/relu6"]
    for block in range(1, 14):
        for part in ("depthwise", "pointwise"):
            name = f"block{block}/{part}"
            expected += [name, f"{name}/bn", f"{name}/relu6"]
    assert names == [*expected, "pool", "logits", "softmax"]


def test_v1_shapes_and_layers() -> None:
    graph = mobilenet_v1(classes=1001)
    assert graph.inputs == ("input",) and graph.outputs == ("logits",)
    assert graph.shape("logits") == (1001,) and graph.shape("pool") == (1024,)
    assert graph.shape("block6/pointwise") == graph.shape("block11/pointwise") == (14, 14, 512)
    assert graph.shape("block12/depthwise") == (7, 7, 512)
    assert graph.nodes["block13/depthwise"].layer == DepthwiseConv2D(bias=False)
    assert graph.nodes["conv0"].layer == Conv2D(32, 3, stride=2, bias=False)
    assert graph.nodes["conv0/bn"].layer == BatchNorm(1e-3)
    assert graph.nodes["conv0/relu6"].layer == Clip(0, 6)
    assert graph.nodes["logits"].layer == Dense(1001)
    assert mobilenet_v1(0.1).shape("conv0") == (112, 112, 8)  # never below 8 channels


def test_v2_layer_names() -> None:
    names = list(mobilenet_v2(softmax=True).nodes)
    expected = ["input", "conv0", "conv0/bn", "conv0/relu6"]
    with_sum = {3, 5, 6, 8, 9, 10, 12, 13, 15, 16}
    for block in range(1, 18):
        if block > 1:
            name = f"block{block}/expand"
            expected += [name, f"{name}/bn", f"{name}/relu6"]
        name = f"block{block}/depthwise"
        expected += [name, f"{name}/bn", f"{name}/relu6"]
        expected += [f"block{block}/project", f"block{block}/project/bn"]
        expected += [f"block{block}/add"] if block in with_sum else []
    expected += ["conv_last", "conv_last/bn", "conv_last/relu6"]
    assert names == [*expected, "pool", "logits", "softmax"]


def test_v2_shapes_and_layers() -> None:
    graph = mobilenet_v2()
    assert graph.shape("block14/expand") == (14, 14, 576)
    assert graph.shape("block17/project") == (7, 7, 320)
    assert graph.nodes["block2/depthwise"].layer == DepthwiseConv2D(3, 2, 1, bias=False)
    assert graph.nodes["block3/add"] == (
        "block3/add",
        Add(),
        ("block2/project/bn", "block3/project/bn"),
    )
    assert graph.nodes["conv0/bn"].layer == BatchNorm(1e-5)


@pytest.mark.parametrize(("output_stride", "size"), [(32, 7), (16, 14), (8, 28)])
def test_v2_output_stride(output_stride: int, size: int) -> None:
    graph = Graph("dilated")
    x = features(graph, graph.input((224, 224, 3)), output_stride=output_stride)
    assert graph.shape(x) == (size, size, 320)
    graph.output(x)
    graph.validate()
    dilations = [
        graph.nodes[f"block{number}/depthwise"].layer.dilation[0]  # type: ignore[attr-defined]
        for number in range(1, 18)
    ]
    first = {32: [1] * 17, 16: [1] * 14 + [2] * 3, 8: [1] * 7 + [2] * 7 + [4] * 3}
    assert dilations == first[output_stride]
    plain = Graph("plain")
    features(plain, plain.input((224, 224, 3)))
    assert graph.parameters() == plain.parameters()


def test_v2_output_stride_is_checked() -> None:
    graph = Graph("dilated")
    x = graph.input((224, 224, 3))
    with pytest.raises(ValueError, match="output_stride must be 8, 16 or 32, got 4"):
        features(graph, x, output_stride=4)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_padding_is_told(name: str, padding: str) -> None:
    graph = models.get(name, padding=padding)
    assert f"Padding: {'symmetric' if padding == 'symmetric' else chr(34) + 'same'}" in str(
        graph.summary()
    )
    wanted: Any = "same" if padding == "same" else ((1, 1), (1, 1))
    layers = [node.layer for node in graph.nodes.values()]
    assert {la.padding for la in layers if isinstance(la, DepthwiseConv2D)} == {wanted}


BUILDERS = [mobilenet_v1, mobilenet_v1_standard, mobilenet_v1_shallow, mobilenet_v2]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 0}, ValueError, "alpha must be above 0, got 0"),
        ({"alpha": -0.5}, ValueError, "alpha must be above 0, got -0.5"),
        ({"alpha": float("nan")}, ValueError, "alpha must be finite"),
        ({"alpha": float("inf")}, ValueError, "alpha must be finite"),
        ({"alpha": "1.0"}, TypeError, "alpha must be a number"),
        ({"alpha": 1e9}, ValueError, "layer 'conv0': .* more than"),
        ({"resolution": 10**6}, ValueError, "layer 'input': .* more than"),
        ({"padding": "valid"}, ValueError, 'padding must be "same" or "symmetric", got .valid'),
        ({"padding": 1}, ValueError, 'padding must be "same" or "symmetric"'),
        ({"batch_norm_epsilon": -1}, ValueError, "layer 'conv0/bn': epsilon must be"),
        ({"softmax": "yes"}, TypeError, "softmax must be True or False"),
    ],
)
def test_bad_arguments(build: Any, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(**options)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_the_smallest_resolution(build: Any, padding: str) -> None:
    """Shrink maps to one pixel and no further: with this padding none is ever empty."""
    assert build(resolution=1, padding=padding).shape("logits") == (1000,)


# Lookups


def test_models_by_name() -> None:
    for build in BUILDERS:
        assert build.__name__ in models.names()
        assert models.get(build.__name__, alpha=0.5).name == build.__name__


def test_unknown_models() -> None:
    with pytest.raises(ValueError, match="unknown model 'mobilenet', known are .*mobilenet_v1"):
        models.get("mobilenet")
    with pytest.raises(TypeError, match="width"):
        models.get("mobilenet_v1", width=0.5)
    with pytest.raises(AttributeError, match="mobilenet_v9"):
        models.mobilenet_v9  # noqa: B018


def test_every_name_has_a_builder() -> None:
    for name in models.names():
        assert callable(getattr(models, name)) and getattr(models, name).__name__ == name
        assert name in dir(models)


def test_importing_models_loads_no_topology() -> None:
    code = (
        "import sys, dsconv.models\n"
        "print([name for name in sys.modules if name.startswith('dsconv.models.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
