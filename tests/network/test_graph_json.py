"""Graphs to JSON and back: round trips of random graphs, and hostile texts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import ALL, graph_of, name_of
from random_graphs import RandomGraph, random_graphs
from small_models import small_graph

from dsconv.graph import Graph
from dsconv.layers import Layer


def assert_same(a: Graph, b: Graph) -> None:
    assert (a.name, list(a.nodes.items()), a.outputs) == (b.name, list(b.nodes.items()), b.outputs)
    assert [a.shape(t) for n in a.nodes for t in a.tensors(n)] == [
        b.shape(t) for n in b.nodes for t in b.tensors(n)
    ]


@pytest.mark.parametrize(("layer", "shapes"), ALL, ids=name_of)
def test_every_layer_survives_json(layer: Layer, shapes: list[tuple[int, ...]]) -> None:
    graph = graph_of(layer, shapes)
    graph.name = "ein|Netz für alle"
    assert_same(Graph.from_json(graph.to_json()), graph)


@given(random_graphs())
def test_json_round_trip(case: RandomGraph) -> None:
    text = case.graph.to_json()
    assert_same(Graph.from_json(text), case.graph)
    assert Graph.from_json(text).to_json() == text


@given(random_graphs(), st.randoms())
def test_nodes_of_a_json_text_may_come_in_any_order(case: RandomGraph, random: Any) -> None:
    data = json.loads(case.graph.to_json())
    random.shuffle(data["nodes"])
    again = Graph.from_json(json.dumps(data))
    assert again.nodes == case.graph.nodes and again.outputs == case.graph.outputs
    assert again.cost().by_kind() == case.graph.cost().by_kind()


@given(random_graphs())
def test_totals_are_the_sums_of_the_layers(case: RandomGraph) -> None:
    cost = case.graph.cost()
    total = (cost.mult_adds, cost.weights, cost.trainable_parameters)
    for parts in (cost.by_layer(), cost.by_kind()):
        assert tuple(sum(part[i] for part in parts.values()) for i in range(3)) == total
    assert len(str(case.graph.summary()).splitlines()) == len(case.graph.nodes) + 10


def changed(change: Any) -> str:
    """Return the small graph's JSON text after `change` of its data."""
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
    """Replace any one value of the text by any other."""
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
