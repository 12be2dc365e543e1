"""Graphs to JSON and back: round trips of random graphs, and hostile texts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_graph

from dsconv.graph import Graph
from dsconv.layers import (
    KINDS,
    Add,
    BatchNorm,
    Clip,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool,
    HardSwish,
    LeakyReLU,
    MaxPool,
    Mul,
    Reshape,
    Resize,
    Softmax,
    Split,
    Transpose,
)


def assert_same(a: Graph, b: Graph) -> None:
    assert (a.name, list(a.nodes.items()), a.outputs) == (b.name, list(b.nodes.items()), b.outputs)
    assert [a.shape(t) for n in a.nodes for t in a.tensors(n)] == [
        b.shape(t) for n in b.nodes for t in b.tensors(n)
    ]


LAYERS = st.one_of(
    st.builds(
        Conv2D,
        st.sampled_from([2, 4, 6]),
        st.sampled_from([1, 3, (1, 3)]),
        st.sampled_from([1, 2, (2, 1)]),
        st.sampled_from(["same", "valid", 1, (0, 1), ((0, 1), (1, 0))]),
        st.sampled_from([1, 2]),
        st.sampled_from([1, 2]),
        st.booleans(),
        st.sampled_from([None, (0, 6), (0, math.inf)]),
    ),
    st.builds(DepthwiseConv2D, st.sampled_from([3, 5]), multiplier=st.sampled_from([1, 2])),
    st.builds(Dense, st.sampled_from([2, 4])),
    st.builds(BatchNorm, st.floats(0, 1)),
    st.builds(Clip, st.floats(-math.inf, 0), st.floats(0, math.inf)),
    st.builds(LeakyReLU, st.floats(-1, 1)),
    st.builds(HardSwish),
    st.builds(Softmax, st.sampled_from([-1, 0])),
    st.builds(MaxPool, st.sampled_from([2, 3]), ceil=st.booleans()),
    st.builds(GlobalAveragePool, st.booleans()),
    st.builds(Resize, st.integers(1, 6), st.integers(1, 6)),
    st.builds(Flatten),
    st.just(Split((1, 3))),
    st.just(Transpose((1, 0, 2))),
    st.just(Reshape((2, -1))),
    st.builds(Add),
    st.builds(Mul),
    st.builds(Concat, st.sampled_from([-1, 0])),
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Random layers behind random tensors, as far as they fit; what is left over is the output."""
    graph = Graph(draw(st.sampled_from(["random", "zufällig", "ein|Netz"])))
    tensors = [graph.input((6, 5, 4))]
    if draw(st.booleans()):
        tensors.append(graph.input((4,), name="vector"))
    for layer in draw(st.lists(LAYERS, max_size=10)):
        count = 2 if isinstance(layer, (Add, Mul, Concat)) else 1
        inputs = [draw(st.sampled_from(tensors)) for _ in range(count)]
        try:
            made = graph.add(layer, *inputs)
        except ValueError:
            continue
        tensors += [made] if isinstance(made, str) else made
    used = {tensor for node in graph.nodes.values() for tensor in node.inputs}
    graph.output(*(tensor for tensor in tensors if tensor not in used))
    return graph


@given(graphs())
def test_json_round_trip(graph: Graph) -> None:
    graph.validate()
    text = graph.to_json()
    assert_same(Graph.from_json(text), graph)
    assert Graph.from_json(text).to_json() == text


@given(graphs(), st.randoms())
def test_nodes_of_a_json_text_may_come_in_any_order(graph: Graph, random: Any) -> None:
    data = json.loads(graph.to_json())
    random.shuffle(data["nodes"])
    again = Graph.from_json(json.dumps(data))
    assert again.nodes == graph.nodes and again.outputs == graph.outputs
    assert again.cost().by_kind() == graph.cost().by_kind()


@given(graphs())
def test_totals_are_the_sums_of_the_layers(graph: Graph) -> None:
    cost = graph.cost()
    total = (cost.mult_adds, cost.weights, cost.trainable_parameters)
    for parts in (cost.by_layer(), cost.by_kind()):
        assert tuple(sum(part[i] for part in parts.values()) for i in range(3)) == total
    assert len(str(graph.summary()).splitlines()) == len(graph.nodes) + 10


def test_all_kinds_survive_json() -> None:
    graph = Graph("all")
    x = graph.input((4, 4, 4))
    for layer in (
        "relu", "hard_swish", "hard_sigmoid", "sigmoid", "softmax", "batch_norm", "flatten",
        "local_response_norm", "l2_normalize", "global_average_pool", "max_pool", "average_pool",
        "depthwise_conv2d",
    ):  # fmt: skip
        getattr(graph, layer)(x)
    graph.channel_shuffle(x, 2)
    graph.space_to_depth(x, 2)
    graph.pad(x, 1)
    graph.resize(x, 2, 2)
    graph.reshape(x, (-1,))
    graph.transpose(x, (2, 0, 1))
    graph.slice(x, (0, 3, 1), (4, 2, 2), (1, -2, 2))
    graph.broadcast(graph.slice(x, (0, 0, 0), (1, 4, 1), (1, 1, 1)), (3, 4, 5))
    graph.split(x, (1, 3))
    graph.add(Add((0.0, math.inf)), x, x)
    graph.mul(x, x)
    graph.concat(x, x)
    graph.leaky_relu(x)
    graph.conv2d(x, 3, clip=(-math.inf, 1.5))
    graph.dense("flatten_1", 3)
    used = {tensor for node in graph.nodes.values() for tensor in node.inputs}
    graph.output(*(t for n in graph.nodes for t in graph.tensors(n) if t not in used))
    assert {node.layer.kind for node in graph.nodes.values()} == set(KINDS)
    assert_same(Graph.from_json(graph.to_json()), graph)


def changed(change: Any) -> str:
    """The small graph's JSON text after `change` of its data."""
    data = json.loads(small_graph().to_json())
    change(data, {node["name"]: node for node in data["nodes"]})
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, n: d.pop("nodes"), "the graph must have the field 'nodes'"),
        (lambda d, n: d.update(extra=1), "the graph must not have the field 'extra'"),
        (lambda d, n: d.update(format="onnx"), "format 'dsconv graph' version 1, got 'onnx'"),
        (lambda d, n: d.update(version=2), "version 1, got .* version 2"),
        (lambda d, n: d.update(name=7), "name must be a printable string, got 7"),
        (lambda d, n: d.update(nodes={}), "the graph's nodes must be a JSON array, got dict"),
        (lambda d, n: d["nodes"].append(1), "node 13 must be a JSON object, got int"),
        (lambda d, n: n["conv0"].pop("kind"), "node 2 must have the field 'kind'"),
        (lambda d, n: n["conv0"].update(name=1), "node 2: the name must be a string"),
        (lambda d, n: n["conv0"].update(name="input"), "layer 'input': the name is taken"),
        (lambda d, n: n["conv0"].update(kind="convolution"), "'conv0': unknown kind 'convolution'"),
        (lambda d, n: n["conv0"].update(kind=[]), r"layer 'conv0': unknown kind \[\]"),
        (lambda d, n: n["conv0"].update(inputs="input"), "'conv0': the inputs must be a JSON arr"),
        (lambda d, n: n["conv0"].update(inputs=[1]), "'conv0': the inputs: each must be a string"),
        (lambda d, n: n["conv0"].update(inputs=["x"]), "layer 'conv0': there is no tensor 'x'"),
        (lambda d, n: n["sum"].update(inputs=["halves", "second"]), "no tensor 'halves'"),
        (lambda d, n: n["sum"].update(inputs=["halves:2", "second"]), "no tensor 'halves:2'"),
        (lambda d, n: n["conv0"].update(inputs=[]), "layer 'conv0': takes one input, got 0"),
        (lambda d, n: n["conv0"].update(inputs=["norm"]), "cycle through 'conv0', 'norm'"),
        (lambda d, n: n["conv0"].update(attributes=3), "'conv0': the attributes .* JSON object"),
        (lambda d, n: n["conv0"]["attributes"].pop("filters"), "'conv0': .* the field 'filters'"),
        (lambda d, n: n["conv0"]["attributes"].update(a=1), "'conv0': .* not have the field 'a'"),
        (lambda d, n: n["conv0"]["attributes"].update(filters="8"), "'conv0': filters must be"),
        (lambda d, n: n["conv0"]["attributes"].update(stride=[]), "'conv0': stride must be"),
        (lambda d, n: n["conv0"]["attributes"].update(filters=2**40), "'conv0': .* more than"),
        (lambda d, n: n["logits"]["attributes"].update(units=0), "'logits': units must be"),
        (lambda d, n: n["halves"]["attributes"].update(sizes=[4]), "'halves': sizes must be"),
        (lambda d, n: n["conv0/relu6"]["attributes"].update(high="high"), "'conv0/relu6': .* num"),
        (lambda d, n: n["conv0/relu6"]["attributes"].update(high=math.nan), "conv0/relu6.* NaN"),
        (lambda d, n: d.update(outputs=["x"]), "there is no tensor 'x'"),
        (lambda d, n: d.update(outputs=[]), "at least one tensor"),
        (lambda d, n: d.update(outputs=["norm"]), "depends on 'second', 'left/bn', 'sum'"),
        (lambda d, n: d.update(outputs="norm"), "outputs must be a JSON array"),
    ],
)
def test_hostile_json_is_refused_by_name(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Graph.from_json(changed(change))


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "[" * 100_000, "1" * 5000, b"\xff\xfe{", 3]
)
def test_text_that_is_no_graph(text: Any) -> None:
    with pytest.raises(ValueError, match="the graph"):
        Graph.from_json(text)


def test_deeply_nested_attributes_are_refused() -> None:
    deep = json.loads("[" * 400 + "]" * 400)
    text = changed(lambda d, n: n["halves"]["attributes"].update(sizes=deep))
    with pytest.raises(ValueError, match="layer 'halves'"):
        Graph.from_json(text)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from([2**31, 2**63, 10**30])
    | st.floats()
    | st.sampled_from(["", "input", "conv0", "halves:0", "same", "inf", "add", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=300)
def test_a_changed_text_is_a_graph_or_a_value_error(data: st.DataObject) -> None:
    """Any one value of the text replaced by any other."""
    value = json.loads(small_graph().to_json())
    root = value
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        inner = value[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.integers(0, 3)) == 0:
            value[key] = data.draw(JSON_VALUES)
            break
        value = inner
    try:
        graph = Graph.from_json(json.dumps(root))
    except ValueError:
        return
    graph.validate()
    assert_same(Graph.from_json(graph.to_json()), graph)
