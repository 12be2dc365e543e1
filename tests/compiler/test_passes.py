"""The passes, one by one and on networks: what is fused, and what must stay."""

from __future__ import annotations

from typing import Any

import pytest
from compiled import check, mult_adds, small_graph

from dsconv import models
from dsconv.compiler.fused import Fused
from dsconv.compiler.passes import (
    fold_batch_norm,
    fuse_addition,
    fuse_clip,
    fuse_inverted_residual,
    fuse_separable,
    merge,
    optimise,
    wrap_weighted,
)
from dsconv.graph import Graph
from dsconv.layers import Add, BatchNorm, Clip, Conv2D

INF = float("inf")


def layers(graph: Graph) -> dict[str, str]:
    """Return the labels of an optimised graph by layer, inputs left out."""
    return {name: node.layer.label for name, node in graph.nodes.items() if node.inputs}


def passed(graph: Graph, *rules: Any) -> Graph:
    """Return the graph after some passes."""
    graph = wrap_weighted(graph)
    for rule in rules:
        graph = merge(graph, rule)
    return graph


def test_a_batch_norm_is_folded_once() -> None:
    graph, x = small_graph()
    for name, y in (
        ("conv", graph.conv2d(x, 3, name="conv")),
        ("depthwise", graph.depthwise_conv2d(x, name="depthwise")),
        ("dense", graph.dense(graph.global_average_pool(x, name="pool"), 4, name="dense")),
    ):
        y = graph.batch_norm(y, 0.01, name=f"{name}/bn")
        graph.output(*graph.outputs, graph.batch_norm(y, name=f"{name}/second"))
    new = passed(graph, fold_batch_norm)
    assert layers(new) == {
        "conv/bn": "conv 1x1",
        "conv/second": "batch norm",
        "depthwise/bn": "depthwise 3x3",
        "depthwise/second": "batch norm",
        "pool": "global average pool",
        "dense/bn": "fully connected",
        "dense/second": "batch norm",
    }
    stage = new.nodes["conv/bn"].layer.last  # type: ignore[attr-defined]
    assert (stage.name, stage.norm, stage.epsilon) == ("conv", "conv/bn", 0.01)


def test_a_batch_norm_that_cannot_be_folded_stays() -> None:
    graph, x = small_graph()
    output = graph.conv2d(x, 3, name="output")
    twice = graph.conv2d(x, 3, name="twice")
    clipped = graph.conv2d(x, 3, clip=(0, 6), name="clipped")
    tensors = [graph.batch_norm(y) for y in (output, twice, clipped, x)]
    graph.output(output, *tensors, graph.relu(twice))
    new = passed(graph, fold_batch_norm)
    assert [type(node.layer) for node in new.nodes.values()].count(BatchNorm) == 4
    check(graph)


def test_clips_are_taken_once() -> None:
    graph, x = small_graph()
    y = graph.relu6(graph.relu(graph.conv2d(x, 6)), name="second")
    z = graph.clip(graph.add(Add(), x, y, name="sum"), -1, 2, name="clip")
    graph.output(graph.clip(x, 0, 1, name="of input"), graph.sigmoid(z, name="sigmoid"))
    new = passed(graph, fuse_clip)
    assert layers(new) == {
        "clip_1": "conv 1x1",
        "second": "relu6",
        "clip": "add",
        "of input": "clip",
        "sigmoid": "sigmoid",
    }
    assert new.nodes["clip_1"].layer.last.layer.clip == (0, INF)  # type: ignore[attr-defined]
    assert new.nodes["clip"].layer == Add((-1, 2))
    check(graph)


@pytest.mark.parametrize("swapped", [False, True])
def test_an_addition_joins_the_convolution_before_it(swapped: bool) -> None:
    graph, x = small_graph()
    pair = (graph.conv2d(x, 6, 3, name="conv"), x)
    graph.output(graph.relu(graph.add(Add(), *pair[:: -1 if swapped else 1], name="sum")))
    new = passed(graph, fuse_addition)
    assert layers(new) == {"sum": "conv 3x3 + add", "clip_1": "relu"}
    assert new.nodes["sum"].inputs == (x, x)
    assert layers(optimise(graph)) == {"clip_1": "conv 3x3 + add"}
    check(graph)


def test_additions_that_stay() -> None:
    """Leave a sum behind a clip, a depthwise or grouped convolution, or with another reader."""
    graph, x = small_graph()
    branches = [
        graph.relu(graph.conv2d(x, 6, name="clipped")),
        graph.depthwise_conv2d(x, name="depthwise"),
        graph.conv2d(x, 6, groups=2, name="grouped"),
        graph.conv2d(x, 6, name="read twice"),
    ]
    sums = [graph.add(Add(), x, branch) for branch in branches]
    graph.output(*sums, graph.sigmoid(branches[-1]))
    new = optimise(graph)
    assert [type(node.layer) for node in new.nodes.values()].count(Add) == 4
    check(graph)


def test_separable_convolutions() -> None:
    graph, x = small_graph()

    def separable(name: str, depthwise: Any = None, **options: Any) -> str:
        y = graph.depthwise_conv2d(x, 3, name=f"{name}/depthwise", **(depthwise or {}))
        return graph.conv2d(y, 4, name=name, **options)

    separated = {"plain": {}, "multiplied": {"multiplier": 2}, "dilated": {"dilation": 2}}
    apart = {"strided": {"stride": 2}, "padded": {"padding": 1}, "grouped": {"groups": 2}}
    tensors = [separable(name, options) for name, options in separated.items()]
    tensors += [separable(name, **options) for name, options in apart.items()]
    graph.output(*tensors, separable("wide", kernel=3))
    expected = {name: "depthwise 3x3 + conv 1x1" for name in separated}
    for name, kernel in (("strided", 1), ("padded", 1), ("grouped", 1), ("wide", 3)):
        expected |= {f"{name}/depthwise": "depthwise 3x3", name: f"conv {kernel}x{kernel}"}
    assert layers(passed(graph, fuse_separable)) == expected
    check(graph)


def inverted_residual(graph: Graph, x: str, **options: Any) -> str:
    y = graph.relu6(graph.conv2d(x, 13, name="expand"))
    y = graph.relu6(graph.depthwise_conv2d(y, 3, name="depthwise", **options))
    return graph.conv2d(y, 6, name="project")


def test_inverted_residuals() -> None:
    graph, x = small_graph()
    y = graph.add(Add(), x, inverted_residual(graph, x), name="sum")
    graph.output(y)
    separable = passed(graph, fuse_clip, fuse_addition, fuse_separable)
    assert layers(separable) == {
        "clip_1": "conv 1x1",
        "sum": "depthwise 3x3 + conv 1x1 + add",
    }
    new = merge(separable, fuse_inverted_residual)
    assert layers(new) == {"sum": "conv 1x1 + depthwise 3x3 + conv 1x1 + add"}
    assert new.nodes["sum"].inputs == (x, x)
    clips = [stage.layer.clip for stage in new.nodes["sum"].layer.stages]  # type: ignore[attr-defined]
    assert clips == [(0, 6), (0, 6), None]
    check(graph)


def test_inverted_residuals_that_stay_apart() -> None:
    graph, x = small_graph()
    graph.output(inverted_residual(graph, x, multiplier=2))
    assert list(layers(optimise(graph)).values()) == ["conv 1x1", "depthwise 3x3 + conv 1x1"]
    check(graph)
    graph, x = small_graph()
    y = graph.add(Add(), graph.conv2d(x, 6, name="expand"), x)  # the sum is read: no chain
    graph.output(graph.conv2d(graph.depthwise_conv2d(y, 3), 6))
    assert list(layers(optimise(graph)).values()) == [
        "conv 1x1 + add",
        "depthwise 3x3 + conv 1x1",
    ]
    check(graph)


# Networks


def test_mobilenet_v1() -> None:
    """Check for one step for each of the thirteen blocks, and four for the rest."""
    graph = models.mobilenet_v1(0.25, 64)
    new = optimise(graph)
    blocks = {f"block{i}/pointwise/relu6": "depthwise 3x3 + conv 1x1" for i in range(1, 14)}
    (pool,) = (n for n, node in graph.nodes.items() if node.layer.kind == "global_average_pool")
    assert layers(new) == {
        "conv0/relu6": "conv 3x3",
        **blocks,
        pool: "global average pool",
        "logits": "fully connected",
    }
    for name in blocks:
        stages = new.nodes[name].layer.stages  # type: ignore[attr-defined]
        assert [stage.layer.clip for stage in stages] == [(0, 6), (0, 6)]
        assert all(stage.norm == f"{stage.name}/bn" for stage in stages)
        assert all(stage.epsilon == 1e-3 for stage in stages)


def test_mobilenet_v2() -> None:
    """Table 2: blocks 3, 5, 6, 8-10, 12, 13, 15, 16 repeat their width at stride 1 and add."""
    new = optimise(models.mobilenet_v2(0.35, 64))
    labels = list(layers(new).values())
    block, residual = "conv 1x1 + depthwise 3x3 + conv 1x1", (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)
    assert labels == [
        "conv 3x3",
        "depthwise 3x3 + conv 1x1",
        *(block + (" + add" if i in residual else "") for i in range(2, 18)),
        "conv 1x1",
        "global average pool",
        "fully connected",
    ]
    for node in new.nodes.values():
        if isinstance(node.layer, Fused) and node.layer.residual:
            assert node.inputs[0] == node.inputs[1]
            assert node.layer.last.layer.clip is None


@pytest.mark.parametrize("name", ["resnet34", "resnet50"])
def test_resnets(name: str) -> None:
    """Check that no batch norm, clip or addition is left, and that each block ends in its sum."""
    graph = models.get(name, resolution=64)
    new = optimise(graph)
    kinds = {type(node.layer) for node in new.nodes.values()}
    assert not kinds & {BatchNorm, Clip, Add, Conv2D}
    blocks = sum(isinstance(node.layer, Add) for node in graph.nodes.values())
    sums = [n.layer for n in new.nodes.values() if isinstance(n.layer, Fused) and n.layer.residual]
    assert blocks == len(sums) == 16  # 3 + 4 + 6 + 3
    assert all(layer.last.layer.clip == (0, INF) for layer in sums)


@pytest.mark.parametrize("name", models.names())
def test_optimisation_keeps_the_costs_of_networks(name: str) -> None:
    graph = models.get(name)
    new = optimise(graph)
    cost = graph.cost()
    assert mult_adds(new) == cost.mult_adds
    chains = [(n, node.layer) for n, node in new.nodes.items() if isinstance(node.layer, Fused)]
    assert sum(layer.weights(new.input_shapes(n)) for n, layer in chains) == cost.weights
