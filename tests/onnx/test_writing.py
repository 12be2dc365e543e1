"""Exported ONNX files: they are valid, and other engines compute with them what graphs mean."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import layer_cases  # noqa: E402
from bounds import interpret_with_bounds  # noqa: E402
from exported import (  # noqa: E402
    assert_exports,
    channels_first,
    onnxruntime,
    reference,
    run,
    session,
)
from golden import TOLERANCE, Golden  # noqa: E402
from hypothesis import assume, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from layer_cases import graph_of  # noqa: E402
from random_graphs import (  # noqa: E402
    RandomGraph,
    random_graphs,
    random_inputs,
    random_weights,
)
from small_networks import SMALL  # noqa: E402
from tolerance import assert_close  # noqa: E402

import dsconv  # noqa: E402
from dsconv import __version__, models  # noqa: E402
from dsconv.graph import Graph  # noqa: E402
from dsconv.layers import (  # noqa: E402
    KINDS,
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Flatten,
    L2Normalize,
    Layer,
    MaxPool,
    Mul,
    Reshape,
    Sigmoid,
    Softmax,
    Split,
)
from dsconv.onnx.writing.export import to_onnx, write_onnx  # noqa: E402


def operators(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


# Numbers

# The onnx package's LRN works only if there are as many images as channels.
IMAGES = layer_cases.MAP[2]


def test_every_kind_has_a_case() -> None:
    assert {layer.kind for layer, _ in layer_cases.ALL} == KINDS.keys() - {"input"}


@pytest.mark.parametrize("batch", [None, IMAGES])
@pytest.mark.parametrize("engine", [onnxruntime, reference])
@pytest.mark.parametrize(("layer", "shapes"), layer_cases.ALL, ids=layer_cases.name_of)
def test_layers_alone(layer: Layer, shapes: Any, engine: Any, batch: int | None) -> None:
    random = np.random.default_rng(5)
    graph = graph_of(layer, shapes)
    weights = {
        f"layer/{name}": array
        for name, array in layer_cases.random_weights(layer, shapes, random).items()
    }
    assert_exports(graph, weights, random_inputs(graph, IMAGES, random), engine, batch)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2, 4)])
@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm(), L2Normalize(), Softmax(), Softmax(0), Split((1, 3)), Concat(1), Sigmoid(),
        Mul(), Reshape((2, -1, 2)), Flatten(),
    ],
    ids=layer_cases.name_of,
)  # fmt: skip
def test_other_ranks(layer: Layer, shape: tuple[int, ...]) -> None:
    """Check that the channels of maps alone are moved."""
    graph = graph_of(layer, [shape] * (1 + isinstance(layer, (Concat, Mul))))
    weights = random_weights(graph, np.random.default_rng(7))
    assert_exports(graph, weights, random_inputs(graph, 2), onnxruntime)


@given(case=random_graphs())
def test_random_graphs(case: RandomGraph) -> None:
    tensors = assert_exports(case.graph, case.weights, case.x, onnxruntime)
    results = run(to_onnx(case.graph, case.weights), case.x, onnxruntime)
    assert tuple(results) == case.graph.outputs
    for name, result in results.items():  # the same operators on the same numbers
        np.testing.assert_array_equal(result, tensors[name])


@pytest.mark.parametrize("name", models.names())
def test_networks(name: str) -> None:
    """Check networks layer by layer, except SSD's convolutions on large maps, which are slow."""
    graph = models.get(name, classes=5, **SMALL[name])
    weights = random_weights(graph, np.random.default_rng(1))
    assert_exports(graph, weights, random_inputs(graph, 1), onnxruntime, most=1e8)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(2)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.one_of(
        st.sampled_from(["same", "valid"]),
        st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    ),
    ceil=st.booleans(),
    count=st.sampled_from([None, False, True]),
)
def test_pooling_windows(
    shape: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, count: bool | None
) -> None:
    """Check the maximum (count None) and both averages, for every window that we allow."""
    if count is None:
        layer: Layer = MaxPool(kernel, stride, padding, ceil)
    else:
        layer = AveragePool(kernel, stride, padding, ceil, count)
    try:
        layer.infer([shape])
    except ValueError:
        assume(False)
    graph = graph_of(layer, [shape])
    assert_exports(graph, {}, random_inputs(graph, 2), onnxruntime)


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("network", ["v1", "v2"])
def test_golden_logits(shared: Path, tmp_path: Path, network: str, fold: bool) -> None:
    """Check trained networks within 1e-3 of an independent implementation, there and back here."""
    golden = Golden(shared, network)
    write_onnx(golden.graph, golden.weights, tmp_path / "net.onnx", fold=fold)
    ours = golden.graph.compile(golden.weights)(golden.x)
    x = channels_first(golden.x)
    (theirs,) = session((tmp_path / "net.onnx").read_bytes()).run(["logits"], {"input": x})
    for logits in (theirs, dsconv.load(tmp_path / "net.onnx")(x)):
        assert golden.error(logits) <= TOLERANCE
        np.testing.assert_allclose(logits, ours, rtol=0, atol=TOLERANCE)


# Folding


def with_batch_norms() -> Graph:
    """Make a graph with a batch norm after each layer with weights, an input and a sum."""
    graph = Graph()
    x = graph.batch_norm(graph.input((7, 6, 4)), name="input/bn")
    a = graph.batch_norm(graph.conv2d(x, 6, 3, groups=2, name="conv"), name="conv/bn")
    b = graph.conv2d(x, 6, bias=False, name="shortcut")
    y = graph.batch_norm(graph.add(Add(), a, b), name="sum/bn")
    y = graph.depthwise_conv2d(y, multiplier=2, bias=False, name="depthwise")
    y = graph.batch_norm(graph.batch_norm(y, name="depthwise/bn"), name="depthwise/bn2")
    y = graph.dense(graph.global_average_pool(y), 5, name="dense")
    graph.output(graph.batch_norm(y, name="dense/bn"), b)
    return graph


def test_folded_batch_norms() -> None:
    graph = with_batch_norms()
    weights = random_weights(graph, np.random.default_rng(2))
    x = random_inputs(graph, 3)
    model = to_onnx(graph, weights, fold=True)
    assert operators(model)["BatchNormalization"] == 3  # of the input, of the sum, the second one
    expected = interpret_with_bounds(graph, weights, x)
    results = run(model, x, onnxruntime)
    assert tuple(results) == graph.outputs
    for result, (value, bound) in zip(results.values(), expected, strict=True):
        assert_close(result, value, bound)


def test_a_folded_network_has_no_batch_norms() -> None:
    graph = models.mobilenet_v2(alpha=0.35, resolution=32)
    convolutions = operators(to_onnx(graph))["Conv"]
    found = operators(to_onnx(graph, fold=True))
    assert convolutions == 52  # Table 2 of the paper: 53 layers, the last is Gemm here
    assert found == {"Conv": 52, "Clip": 35, "Add": 10, "GlobalAveragePool": 1, "Flatten": 1,
                     "Gemm": 1}  # fmt: skip


# What stands in the file


def test_names() -> None:
    graph = models.mobilenet_v1(alpha=0.25, resolution=32, classes=5)
    model = to_onnx(graph, batch=2)
    nodes = {node.name: node for node in model.graph.node}
    assert list(nodes["block1/depthwise"].output) == ["block1/depthwise"]
    assert list(nodes["block1/depthwise/bn"].input)[1:] == [
        f"block1/depthwise/bn/{part}" for part in ("gamma", "beta", "mean", "variance")
    ]
    shapes = {array.name: tuple(array.dims) for array in model.graph.initializer}
    assert shapes.keys() >= graph.parameters().keys()
    assert shapes["block1/depthwise/weight"] == (8, 1, 3, 3)
    assert shapes["block1/pointwise/weight"] == (16, 8, 1, 1)
    assert shapes["logits/weight"] == (5, 256)
    assert (model.producer_name, model.producer_version) == ("dsconv", __version__)
    assert model.graph.name == graph.name
    assert model.opset_import[0].version >= 17


def test_names_that_meet() -> None:
    """Check layers named as a parameter of another, or as a tensor that only the file has."""
    graph = Graph()
    x = graph.conv2d(graph.input((3, 3, 2)), 2, clip=(0.0, 1.0), name="a")
    for name in ("a/weight", "a/unclipped", "a/low", "b/shape"):
        x = graph.relu(x, name=name)
    a, b = graph.split(graph.flatten(x, name="b"), (5, 13), name="b/channels_last")
    graph.output(a, b)
    assert_exports(graph, graph.init_weights(), random_inputs(graph, 2), onnxruntime)
    names = [node.name for node in to_onnx(graph).graph.node]
    assert len(set(names)) == len(names)


def test_batch() -> None:
    graph = models.mobilenet_v2(alpha=0.35, resolution=(32, 64), classes=5)

    def sizes(model: Any) -> list[Any]:
        values = [*model.graph.input, *model.graph.output]
        return [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values]

    assert sizes(to_onnx(graph)) == [["N", 3, 32, 64], ["N", 5]]
    assert sizes(to_onnx(graph, batch=4)) == [[4, 3, 32, 64], [4, 5]]


@pytest.mark.parametrize(
    ("name", "options", "transposes"),
    [
        ("mobilenet_v1", {}, 0),
        ("mobilenet_v2", {}, 0),
        ("resnet50", {}, 0),
        ("deeplab_v3_mobilenet_v2", {}, 0),
        ("googlenet", {}, 0),
        ("alexnet", {"resolution": 99}, 1),  # Flatten of 2x2 pixels
        ("alexnet", {}, 0),  # of one pixel
        # Reshape of the boxes and the scores of the maps of 8, 4 and 2 pixels; three have one pixel
        ("ssdlite_mobilenet_v2", {"resolution": 128}, 6),
    ],
)
def test_layers_are_transposed_only_where_they_mean_an_order(
    name: str, options: dict[str, Any], transposes: int
) -> None:
    graph = models.get(name, classes=5, **(SMALL[name] | options))
    assert operators(to_onnx(graph))["Transpose"] == transposes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((1, 1, 6), (6,), []),
        ((3, 2, 1), (6,), []),
        ((6,), (1, 1, 6), []),
        ((2, 3), (3, 2), []),
        ((3, 2, 2), (12,), ["Transpose"]),
        ((12,), (3, 2, 2), ["Transpose"]),
        ((3, 2, 2), (2, 3, 2), ["Transpose", "Transpose"]),
    ],
)
def test_reshape(before: Any, after: Any, expected: list[str]) -> None:
    graph = graph_of(Reshape(after), [before])
    assert_exports(graph, {}, random_inputs(graph, 2), onnxruntime)
    assert list((operators(to_onnx(graph, {})) - Counter(["Reshape"])).elements()) == expected


def test_an_input_that_is_an_output() -> None:
    graph = Graph()
    x = graph.input((2, 3, 4))
    graph.output(graph.relu(x, name="relu"), x)
    (x_array,) = random_inputs(graph, 2)
    results = run(to_onnx(graph), (x_array,), onnxruntime)
    np.testing.assert_array_equal(results["input"], x_array)
    np.testing.assert_array_equal(results["relu"], np.maximum(x_array, 0))


def test_random_weights_are_those_of_compile() -> None:
    graph = with_batch_norms()
    assert to_onnx(graph) == to_onnx(graph, graph.init_weights(0))


def test_written_file(tmp_path: Path) -> None:
    graph = with_batch_norms()
    weights = graph.init_weights(3)
    write_onnx(graph, weights, tmp_path / "net.onnx", batch=2, fold=True)
    assert onnx.load(tmp_path / "net.onnx") == to_onnx(graph, weights, batch=2, fold=True)


# Bad input


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    graph = with_batch_norms()
    path = tmp_path / "net.onnx"
    weights = graph.init_weights()
    del weights["dense/bias"]
    with pytest.raises(ValueError, match="1 missing: 'dense/bias'"):
        write_onnx(graph, weights, path)
    with pytest.raises(TypeError, match="weight 'dense/bias' must be .*float32, got <f8"):
        write_onnx(graph, weights | {"dense/bias": np.zeros(5)}, path)
    with pytest.raises(ValueError, match=r"weight 'dense/bias' must have the shape \(5,\)"):
        write_onnx(graph, weights | {"dense/bias": np.zeros(6, np.float32)}, path, fold=True)
    assert not path.exists()


def test_wrong_arguments() -> None:
    for batch in (0, -1):
        with pytest.raises(ValueError, match=f"batch must be at least 1, got {batch}"):
            to_onnx(with_batch_norms(), batch=batch)
    for other in (1.0, "1", True):
        with pytest.raises(TypeError, match="batch must be an integer"):
            to_onnx(with_batch_norms(), batch=other)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="graph must be a dsconv.Graph, got str"):
        to_onnx("mobilenet_v1")  # type: ignore[arg-type]
    graph = Graph("open")
    graph.input((1,))
    with pytest.raises(ValueError, match="the graph 'open' has no outputs"):
        to_onnx(graph)


def test_a_layer_of_ones_own() -> None:
    class Square(Sigmoid):
        kind = "square"

    graph = Graph()
    graph.output(graph.add(Square(), graph.input((3,)), name="own"))
    with pytest.raises(ValueError, match=r"layer 'own': .*Square\(\) cannot be written as ONNX"):
        to_onnx(graph)


def test_more_weights_than_a_file_holds() -> None:
    """Check that 2 GiB of weights are refused before they are made."""
    graph = Graph("huge")
    graph.output(graph.dense(graph.input((2**15,)), 2**14, bias=False))
    with pytest.raises(ValueError, match="the weights of 'huge' take 2147483648 bytes"):
        to_onnx(graph)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'dsconv\[onnx\]'"):
        to_onnx(with_batch_norms())
