"""Graph: building, names, order, and every refusal."""

from __future__ import annotations

import doctest
import math
import sys
from typing import Any

import pytest
from small_models import small_graph

import dsconv.graph
from dsconv import layers
from dsconv.graph import Graph
from dsconv.layers import KINDS, Layer
from dsconv.network.structure import Node, run_order


def test_the_docstring_example() -> None:
    result = doctest.testmod(dsconv.graph)
    assert result.attempted > 0 and result.failed == 0


def test_names_and_shapes() -> None:
    graph = Graph("names")
    x = graph.input((8, 8, 4))
    first = graph.conv2d(x, 4)
    assert (x, first) == ("input", "conv2d_1")
    assert graph.conv2d(first, 4, name="conv2d_2") == "conv2d_2"
    assert graph.conv2d(first, 4) == "conv2d_3"  # the next free number
    assert graph.relu(first) == "clip_1"
    assert graph.split(first, (1, 3)) == ("split_1:0", "split_1:1")
    assert graph.shape("split_1:1") == (8, 8, 3)
    assert graph.tensors("split_1") == ("split_1:0", "split_1:1")
    assert graph.input_shapes("split_1") == [(8, 8, 4)]
    assert graph.nodes["split_1"] == Node("split_1", layers.Split((1, 3)), ("conv2d_1",))


def test_automatic_names_are_not_searched_for_again_and_again() -> None:
    """Count a few lines of Python for each name, however many layers of its kind there are."""
    graph = Graph()
    x = graph.input((1, 1, 1))
    for _ in range(300):
        x = graph.relu(x)
    lines = []

    def trace(frame: Any, event: str, _: Any) -> Any:
        lines.append(event)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        x = graph.relu(x)
    finally:
        sys.settrace(before)
    assert x == "clip_301" and len(lines) < 300


def test_inputs_and_outputs() -> None:
    graph = small_graph()
    assert graph.inputs == ("input", "second")
    assert graph.outputs == ("logits", "norm")
    graph.validate()
    graph.output("norm", "logits")  # replaces
    assert graph.outputs == ("norm", "logits")


def test_parameter_names_and_shapes() -> None:
    assert small_graph().parameters() == {
        "conv0/weight": (3, 3, 3, 8),
        **{f"conv0/bn/{name}": (8,) for name in ("gamma", "beta", "mean", "variance")},
        "depthwise/weight": (3, 3, 4, 1),
        "depthwise/bias": (4,),
        "norm/scale": (4,),
        **{f"left/bn/{name}": (4,) for name in ("gamma", "beta", "mean", "variance")},
        "logits/weight": (8, 5),
        "logits/bias": (5,),
    }


def test_every_kind_has_a_builder_method() -> None:
    for kind in set(KINDS) - {"add"}:  # Graph.add is the general method
        assert callable(getattr(Graph, kind))


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (lambda g, x: g.conv2d(x, 8, 3, stride=2, groups=2), layers.Conv2D(8, 3, 2, groups=2)),
        (
            lambda g, x: g.depthwise_conv2d(x, 5, multiplier=2),
            layers.DepthwiseConv2D(5, multiplier=2),
        ),
        (lambda g, x: g.dense(g.flatten(x), 3, False), layers.Dense(3, False)),
        (lambda g, x: g.batch_norm(x, 1e-5), layers.BatchNorm(1e-5)),
        (lambda g, x: g.l2_normalize(x, 1e-6), layers.L2Normalize(1e-6)),
        (lambda g, x: g.clip(x, -1, 1), layers.Clip(-1, 1)),
        (lambda g, x: g.relu(x), layers.Clip(0, math.inf)),
        (lambda g, x: g.relu6(x), layers.Clip(0, 6)),
        (lambda g, x: g.leaky_relu(x, 0.2), layers.LeakyReLU(0.2)),
        (lambda g, x: g.softmax(x, 0), layers.Softmax(0)),
        (lambda g, x: g.mul(x, x), layers.Mul()),
        (lambda g, x: g.concat(x, x, axis=0), layers.Concat(0)),
        (lambda g, x: g.max_pool(x, 3, 2, ceil=True), layers.MaxPool(3, 2, ceil=True)),
        (lambda g, x: g.average_pool(x, 3, padding=1), layers.AveragePool(3, padding=1)),
        (lambda g, x: g.global_average_pool(x, True), layers.GlobalAveragePool(True)),
        (lambda g, x: g.pad(x, 1), layers.Pad(1)),
        (lambda g, x: g.resize(x, 9, 9, "align_corners"), layers.Resize(9, 9, "align_corners")),
        (lambda g, x: g.reshape(x, (-1, 4)), layers.Reshape((-1, 4))),
        (lambda g, x: g.transpose(x, (1, 0, 2)), layers.Transpose((1, 0, 2))),
        (lambda g, x: g.local_response_norm(x, size=3), layers.LocalResponseNorm(3)),
        (lambda g, x: g.hard_swish(x), layers.HardSwish()),
        (lambda g, x: g.hard_sigmoid(x), layers.HardSigmoid()),
        (lambda g, x: g.sigmoid(x), layers.Sigmoid()),
        (lambda g, x: g.channel_shuffle(x, 2), layers.ChannelShuffle(2)),
        (lambda g, x: g.space_to_depth(x, 2), layers.SpaceToDepth(2)),
        (lambda g, x: g.flatten(x), layers.Flatten()),
        (lambda g, x: g.broadcast(g.reshape(x, (1, -1)), (2, 256)), layers.Broadcast((2, 256))),
        (
            lambda g, x: g.slice(x, *[(1, 0, 3), (2, 4, 1), (3, 2, -1)]),
            layers.Slice((1, 0, 3), (2, 4, 1), (3, 2, -1)),
        ),
    ],
)
def test_builder_methods_make_the_layer(build: Any, layer: Layer) -> None:
    graph = Graph()
    tensor = build(graph, graph.input((8, 8, 4)))
    assert graph.nodes[tensor].layer == layer
    assert graph.shape(tensor) == layer.infer(graph.input_shapes(tensor))[0]


# Refusals


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda g: g.conv2d("x", 4, name="c"), ValueError, "layer 'c': there is no tensor 'x'"),
        (lambda g: g.conv2d("input", 0, name="c"), ValueError, "layer 'c': filters must be"),
        (lambda g: g.conv2d("input", 2.5), TypeError, "layer 'conv2d_1': filters must be"),
        (lambda g: g.conv2d("input", 4, size=3), TypeError, "layer 'conv2d_1': .*'size'"),
        (lambda g: g.conv2d("input", 8, 9, padding="valid"), ValueError, "'conv2d_1': .* empty"),
        (lambda g: g.dense("input", 4), ValueError, "layer 'dense_1': the input must have"),
        (lambda g: g.relu("input", name="input"), ValueError, "'input': the name is taken"),
        (lambda g: g.relu("input", name="a:0"), ValueError, "names must be .* got 'a:0'"),
        (lambda g: g.relu("input", name=""), ValueError, "names must be"),
        (lambda g: g.relu("input", name="\x1b[2J"), ValueError, "printable"),
        (lambda g: g.relu("input", name=3), ValueError, "names must be .* got 3"),
        (lambda g: g.relu(["input"]), ValueError, r"there is no tensor \['input'\]"),
        (lambda g: g.input((8, 8, 3)), ValueError, "layer 'input': the name is taken"),
        (lambda g: g.input((2**16, 2**16, 1), "big"), ValueError, "'big': the output .* more than"),
        (
            lambda g: g.dense(g.flatten("input"), 2**26),
            ValueError,
            r"'dense_1': the parameter 'weight' \(192, 67108864\) has more than 2147483647",
        ),
        (lambda g: g.add("relu", "input"), TypeError, "layer must be a layer"),
        (lambda g: g.output(), ValueError, "at least one tensor"),
        (lambda g: g.output("y"), ValueError, "there is no tensor 'y' in the graph 'errors'"),
        (lambda g: g.output("input", "input"), ValueError, "named twice"),
        (lambda g: g.shape("y"), ValueError, "there is no tensor 'y'"),
        (lambda g: g.validate(), ValueError, "'errors' has no outputs"),
        (lambda g: g.init_weights(-1), ValueError, "seed must be at least 0"),
        (lambda g: g.init_weights(1.5), TypeError, "seed must be an integer"),
        (lambda g: Graph(""), ValueError, "name must be a printable string"),
    ],
)
def test_refusals_name_the_culprit(build: Any, error: type[Exception], message: str) -> None:
    graph = Graph("errors")
    graph.input((8, 8, 3))
    with pytest.raises(error, match=message):
        build(graph)
    assert graph.inputs == ("input",) and graph.outputs == ()


def test_a_failed_add_leaves_no_trace() -> None:
    graph = Graph()
    x = graph.input((8, 8, 3))
    with pytest.raises(ValueError, match="layer 'c'"):
        graph.conv2d(x, 4, groups=3, name="c")
    assert list(graph.nodes) == ["input"]
    with pytest.raises(ValueError, match="there is no tensor 'c'"):
        graph.shape("c")
    graph.conv2d(x, 4, name="c")
    with pytest.raises(ValueError, match="layer 'conv2d_1'"):
        graph.conv2d(x, 0)
    assert graph.conv2d(x, 4) == "conv2d_1"


def test_validate_names_nodes_that_lead_nowhere() -> None:
    graph = Graph("loose")
    x = graph.input((8, 8, 3))
    graph.input((8, 8, 3), name="unused")
    graph.relu(graph.conv2d(x, 4, name="dead"), name="end")
    graph.output(graph.conv2d(x, 4, name="alive"))
    with pytest.raises(ValueError, match="'loose' depends on 'unused', 'dead', 'end'$"):
        graph.validate()
    graph.output("end", "alive", "unused")
    graph.validate()


def test_validate_names_a_cycle() -> None:
    graph = small_graph()
    graph.nodes["conv0"] = graph.nodes["conv0"]._replace(inputs=("halves:1",))
    with pytest.raises(ValueError, match="cycle through 'conv0', .*'halves'"):
        graph.validate()


def test_run_order() -> None:
    assert run_order({"a": (), "b": ("a",), "c": ("a", "b")}) == ["a", "b", "c"]
    assert run_order({"c": ("a:1", "b"), "b": ("a:0",), "a": ()}) == ["a", "b", "c"]
    long = {str(i): (str(i + 1),) for i in range(5000)}  # deeper than Python's own stack
    assert run_order({**long, "5000": ()})[0] == "5000"
    with pytest.raises(ValueError, match="cycle through 'a'$"):
        run_order({"a": ("a",)})
    with pytest.raises(ValueError, match="cycle through 'b', 'c'$"):
        run_order({"a": ("b",), "b": ("c",), "c": ("b",)})
    with pytest.raises(ValueError, match="layer 'a': there is no tensor 'z:1'"):
        run_order({"a": ("z:1",)})
