"""Imported networks against the graphs they were exported from, and against onnxruntime."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from bounds import interpret_with_bounds  # noqa: E402
from exported import channels_first  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx_random_models import RandomModel, onnxruntime, random_models  # noqa: E402
from random_graphs import RandomGraph, random_graphs, random_inputs, random_weights  # noqa: E402
from small_networks import SMALL  # noqa: E402
from tolerance import assert_close  # noqa: E402

import dsconv  # noqa: E402
from dsconv import images, models  # noqa: E402
from dsconv.graph import Graph  # noqa: E402
from dsconv.layers import BatchNorm, LocalResponseNorm  # noqa: E402
from dsconv.onnx.reading.model import load_onnx, read_onnx  # noqa: E402
from dsconv.onnx.writing.export import to_onnx, write_onnx  # noqa: E402

# Their blocks are those of smaller networks.
SLOW = {"vgg16", "vgg19", "resnet50", "resnet101", "ssd300_vgg16", "ssd512_vgg16", "yolo_v2",
        "deeplab_v3_resnet101"}  # fmt: skip


def loaded(content: bytes) -> Any:
    """A model out of the content of a file."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(content)
        file.flush()
        return load_onnx(file.name, threads=1)


def listed(results: Any) -> list[np.ndarray]:
    return results if isinstance(results, list) else [results]


@given(case=random_graphs(), batch=st.sampled_from([None, 1, 2]))
def test_exported_random_graphs(case: RandomGraph, batch: int | None) -> None:
    """What the graph computes, within the bounds of its own float32 evaluation."""
    content = to_onnx(case.graph, case.weights, batch=batch).SerializeToString()
    model = loaded(content)
    results = listed(model(*map(channels_first, case.x)))
    assert tuple(model.outputs) == case.graph.outputs and tuple(model.inputs) == case.graph.inputs
    expected = interpret_with_bounds(case.graph, case.weights, case.x)
    for result, (value, bound) in zip(results, expected, strict=True):
        assert_close(result, channels_first(value), channels_first(bound) * 2)


def with_rounded_numbers(graph: Graph) -> Graph:
    """The same network with the numbers that a file can hold: its attributes are float32."""
    new = Graph(graph.name)
    for node in graph.nodes.values():
        layer = node.layer
        if isinstance(layer, BatchNorm):
            layer = replace(layer, epsilon=float(np.float32(layer.epsilon)))
        if isinstance(layer, LocalResponseNorm):  # a file holds alpha * size
            alpha = float(np.float32(layer.alpha * layer.size)) / layer.size
            layer = replace(layer, alpha=alpha, beta=float(np.float32(layer.beta)))
        new.add(layer, *node.inputs, name=node.name)
    new.output(*graph.outputs)
    return new


@pytest.mark.parametrize("name", sorted(set(models.names()) - SLOW))
def test_exported_networks(name: str, tmp_path: Path) -> None:
    """The same bits, and the same fused layers but for those that only move numbers."""
    graph = with_rounded_numbers(models.get(name, classes=5, **SMALL[name]))
    weights = random_weights(graph, np.random.default_rng(1))
    x = random_inputs(graph, 2)
    path = tmp_path / "network.onnx"
    write_onnx(graph, weights, path)
    model, ours = load_onnx(path), graph.compile(weights)
    expected = ours(x if len(x) > 1 else x[0])
    results = listed(model(*map(channels_first, x)))
    for result, value in zip(
        results, expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        np.testing.assert_array_equal(result, channels_first(value))
    moves = {"transpose", "reshape", "flatten", "channel shuffle", "batch norm"}
    kinds = [
        Counter(
            label for n in m._lowered.graph.nodes.values() if (label := n.layer.label) not in moves
        )
        for m in (ours, model)
    ]
    assert kinds[0] == kinds[1]


@given(case=random_models())
def test_random_models(case: RandomModel) -> None:
    """onnxruntime and we compute what the imported graph means in double precision."""
    content = case.model.SerializeToString()
    feed = {value.name: array for value, array in zip(case.model.graph.input, case.x, strict=True)}
    theirs = onnxruntime(content, feed)
    model = loaded(content)
    ours = listed(model(*case.x))
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(content)
        file.flush()
        network = read_onnx(file.name)
        arrays = tuple(
            array.reshape(len(array), *network.graph.shape(name))
            for name, array in zip(network.graph.inputs, case.x, strict=True)
        )
        expected = interpret_with_bounds(network.graph, dict(network.weights), arrays)
    for a, b, (value, bound) in zip(ours, theirs, expected, strict=True):
        assert a.shape == b.shape
        assert_close(a, value.reshape(a.shape), bound.reshape(a.shape))
        assert_close(b, value.reshape(a.shape), bound.reshape(a.shape))


@pytest.mark.parametrize("network", ["v1", "v2"])
def test_golden_logits(shared: Path, tmp_path: Path, network: str) -> None:
    """The trained networks, through a file, by `dsconv.load`."""
    from dsconv.weights import open_weights
    from dsconv.weights.families import recognise

    name = {"v1": "mobilenet_v1_1.0_224_google_slim.npz", "v2": "mobilenet_v2-b0353104.pth"}
    golden = np.load(shared / "golden" / "golden_logits.npz")
    family = {"v1": "tensorflow", "v2": "torchvision"}[network]
    x = images.normalise(golden["images"], family)
    with open_weights(shared / "weights" / name[network]) as file:
        found = recognise(file)
        write_onnx(found.graph, found.weights, tmp_path / "network.onnx")
    logits = dsconv.load(tmp_path / "network.onnx")(channels_first(x))
    expected = golden[f"mobilenet_{network}_logits"]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)
