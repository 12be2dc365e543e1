"""Files that we write and read again, and random files in onnxruntime and here."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from bounds import interpret_with_bounds  # noqa: E402
from exported import channels_first, onnxruntime  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx_files import listed, loaded, saved  # noqa: E402
from onnx_random_models import RandomModel, random_models  # noqa: E402
from random_graphs import RandomGraph, random_graphs, random_inputs, random_weights  # noqa: E402
from small_networks import SMALL  # noqa: E402
from tolerance import assert_close  # noqa: E402

from dsconv import models  # noqa: E402
from dsconv.graph import Graph  # noqa: E402
from dsconv.layers import BatchNorm, LocalResponseNorm  # noqa: E402
from dsconv.onnx.reading.model import load_onnx, read_onnx  # noqa: E402
from dsconv.onnx.writing.export import to_onnx, write_onnx  # noqa: E402

# Their blocks are those of smaller networks.
SLOW = {"vgg16", "vgg19", "resnet50", "resnet101", "ssd300_vgg16", "ssd512_vgg16", "yolo_v2",
        "deeplab_v3_resnet101"}  # fmt: skip


@given(case=random_graphs(), batch=st.sampled_from([None, 1, 2]))
def test_random_graphs(case: RandomGraph, batch: int | None, tmp_path_factory: Any) -> None:
    """Check the results within the bounds of the graph's own float32 evaluation."""
    content = to_onnx(case.graph, case.weights, batch=batch)
    model = loaded(content, tmp_path_factory.mktemp("graph"))
    results = listed(model(*map(channels_first, case.x)))
    assert tuple(model.outputs) == case.graph.outputs and tuple(model.inputs) == case.graph.inputs
    expected = interpret_with_bounds(case.graph, case.weights, case.x)
    for result, (value, bound) in zip(results, expected, strict=True):
        assert_close(result, channels_first(value), channels_first(bound) * 2)


def with_rounded_numbers(graph: Graph) -> Graph:
    """Round the numbers of a network to float32, because attributes of a file are float32."""
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
def test_networks(name: str, tmp_path: Path) -> None:
    """Check for equal bits, and for equal fused layers except those that only move numbers."""
    graph = with_rounded_numbers(models.get(name, classes=5, **SMALL[name]))
    weights = random_weights(graph, np.random.default_rng(1))
    x = random_inputs(graph, 2)
    path = tmp_path / "network.onnx"
    write_onnx(graph, weights, path)
    model, ours = load_onnx(path), graph.compile(weights)
    expected = ours(x if len(x) > 1 else x[0])
    expected = expected if isinstance(expected, tuple) else (expected,)
    results = listed(model(*map(channels_first, x)))
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, channels_first(value))
    moves = {"transpose", "reshape", "flatten", "channel shuffle", "batch norm"}
    kinds = [Counter(layer.kind for layer in m._program.layers) for m in (ours, model)]
    for counter in kinds:
        for label in moves:
            del counter[label]
    assert kinds[0] == kinds[1]


@given(case=random_models())
def test_random_models(case: RandomModel, tmp_path_factory: Any) -> None:
    """Compare onnxruntime and us with the imported graph in double precision."""
    path = saved(case.model, tmp_path_factory.mktemp("model"))
    feed = {value.name: array for value, array in zip(case.model.graph.input, case.x, strict=True)}
    theirs = onnxruntime(case.model.SerializeToString(), feed)
    ours = listed(load_onnx(path, threads=1)(*case.x))
    network = read_onnx(path)
    arrays = tuple(
        array.reshape(len(array), *network.graph.shape(name))
        for name, array in zip(network.graph.inputs, case.x, strict=True)
    )
    expected = interpret_with_bounds(network.graph, dict(network.weights), arrays)
    for a, b, (value, bound) in zip(ours, theirs, expected, strict=True):
        assert a.shape == b.shape
        assert_close(a, value.reshape(a.shape), bound.reshape(a.shape))
        assert_close(b, value.reshape(a.shape), bound.reshape(a.shape))
