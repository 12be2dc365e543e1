"""Costs and the summary table of a graph, and its random weights."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from small_models import small_graph

from dsconv.graph import Graph
from dsconv.layers import Add

# Costs and summary


def test_costs_by_layer_and_kind() -> None:
    cost = small_graph().cost()
    assert cost.by_layer()["conv0"] == (27 * 8 * 16, 216, 216)
    assert cost.by_layer()["conv0/bn"] == (0, 0, 16)  # mean and variance are not trained
    assert cost.by_layer()["depthwise"] == (9 * 4 * 16, 36, 40)
    assert cost.by_layer()["norm"] == (0, 0, 4)
    assert cost.by_layer()["logits"] == (40, 40, 45)
    assert list(cost.by_kind()) == [
        "conv 3x3", "depthwise 3x3", "fully connected", "batch norm", "l2 normalize",
    ]  # fmt: skip
    assert cost.by_kind()["batch norm"] == (0, 0, 24)
    assert cost.mult_adds == 27 * 8 * 16 + 9 * 4 * 16 + 40
    assert cost.weights == 216 + 36 + 40
    assert cost.trainable_parameters == 216 + 24 + 40 + 4 + 45
    assert repr(cost).startswith("GraphCost(mult_adds=4,072, ")


def test_summary_as_text() -> None:
    lines = str(small_graph().summary()).splitlines()
    assert lines[0] == "Model: small"
    header = "layer kind output shape kernel/stride/padding parameters mult-adds % of mult-adds"
    assert lines[2].split() == header.split()
    rows = {line.split("  ")[0]: " ".join(line.split()) for line in lines[4:-6]}
    assert rows["conv0"] == "conv0 conv 3x3 (N, 4, 4, 8) 3x3 /2 same 216 3,456 84.87"
    assert rows["halves"] == "halves split (N, 4, 4, 4), (N, 4, 4, 4) 0 0 0.00"
    assert len(rows) == 13
    assert lines[-5:] == [
        "Mult-adds: 4,072",
        "Trainable parameters: 329",
        "Weights: 292",
        "Batch norm statistics: 24",
        'Padding: "same" (the odd pixel goes to the bottom and right)',
    ]
    assert repr(small_graph().summary()) == "\n".join(lines)


def test_summary_shows_what_is_special() -> None:
    graph = Graph("windows")
    x = graph.input((16, 16, 4))
    x = graph.conv2d(x, 4, (3, 1), stride=(2, 1), padding=(1, 0), dilation=2, groups=2, name="a")
    x = graph.depthwise_conv2d(x, padding=((0, 1), (1, 1)), multiplier=2, name="b")
    x = graph.max_pool(x, 3, 2, ceil=True, name="c")
    graph.output(graph.conv2d(x, 4, name="d"))
    windows = [row.split("|")[4].strip() for row in graph.summary().to_markdown().splitlines()[5:9]]
    assert windows == [
        "3x1 /2x1 1,1 x 0,0 dilation 2x2 groups 2",
        "3x3 /1 0,1 x 1,1 multiplier 2",
        "3x3 /2 valid ceil",
        "1x1 /1",
    ]
    rule = 'symmetric (as many pixels before as after); explicit (see the rows); "valid" (none)'
    assert json.loads(graph.summary().to_json())["padding"] == rule


def test_summary_as_markdown_and_json() -> None:
    graph = small_graph()
    markdown = graph.summary().to_markdown().splitlines()
    table = [line for line in markdown if line.startswith("|")]
    assert len(table) == 2 + len(graph.nodes)
    assert {line.count("|") for line in table} == {8}
    assert "- Mult-adds: 4,072" in markdown
    data = json.loads(graph.summary().to_json())
    assert [row["layer"] for row in data["layers"]] == list(graph.nodes)
    assert sum(row["mult_adds"] for row in data["layers"]) == data["totals"]["mult_adds"] == 4072
    parameters = sum(row["parameters"] for row in data["layers"])
    assert parameters == data["totals"]["trainable_parameters"] == 329
    conv = data["layers"][2]
    assert conv["kernel"] == [3, 3] and conv["stride"] == [2, 2] and conv["padding"] == "same"
    assert conv["output_shapes"] == [[4, 4, 8]] and conv["inputs"] == ["input"]


def test_a_graph_without_mult_adds_has_a_summary() -> None:
    graph = Graph("idle")
    graph.output(graph.relu(graph.input((2, 2, 1))))
    assert "Mult-adds: 0" in str(graph.summary())
    assert "Padding: none" in str(graph.summary())


# Random weights


def test_weights_have_the_graphs_names_and_shapes() -> None:
    graph = small_graph()
    weights = graph.init_weights(3)
    assert {name: array.shape for name, array in weights.items()} == graph.parameters()
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_weights_depend_on_seed_and_name_alone() -> None:
    graph = small_graph()
    weights, again, other = (graph.init_weights(seed) for seed in (3, 3, 4))
    different = Graph("different")
    x = different.conv2d(different.input((99, 5, 3)), 8, 3, name="conv0")
    different.output(different.conv2d(x, 8, 3, name="conv1"))
    shared = different.init_weights(3)
    assert np.array_equal(shared["conv0/weight"], weights["conv0/weight"])
    assert not np.array_equal(shared["conv0/bias"], shared["conv1/bias"])
    for name in weights:
        assert np.array_equal(weights[name], again[name])
        assert not np.array_equal(weights[name], other[name])


def test_weights_are_drawn_as_documented() -> None:
    graph = Graph("drawn")
    x = graph.input((8, 8, 64))
    x = graph.conv2d(x, 512, 3, groups=2, name="conv")
    y = graph.depthwise_conv2d(x, 5, name="depthwise")
    y = graph.batch_norm(y, name="before")
    y = graph.l2_normalize(graph.add(Add(), x, y), name="norm")
    y = graph.batch_norm(y, name="after")
    graph.output(graph.dense(graph.global_average_pool(y), 300, name="dense"))
    weights = graph.init_weights(0)
    variances = {
        "conv/weight": 2 / (9 * 32),
        "depthwise/weight": 2 / 25,
        "dense/weight": 2 / 512,
        "conv/bias": 0.01,
        "after/mean": 0.01,
        "after/beta": 0.01,
    }
    for name, variance in variances.items():  # the mean of squares of n normal values
        deviation = variance * math.sqrt(2 / weights[name].size)
        assert abs(np.mean(weights[name].astype(float) ** 2) - variance) < 5 * deviation
    ranges = {
        "after/gamma": (0.9, 1.1),
        "before/gamma": (0.225, 0.275),
        "after/variance": (0.75, 1.3),
        "norm/scale": (18, 22),
    }
    for name, (low, high) in ranges.items():  # 512 values come near both ends
        margin = (high - low) * 0.05
        assert low <= weights[name].min() < low + margin
        assert high - margin < weights[name].max() <= high * (1 + 1e-6)


def test_too_many_weights_are_refused_before_they_are_allocated() -> None:
    graph = Graph("huge")
    x = graph.input((50_000,))
    for _ in range(2):
        x = graph.dense(x, 40_000)
    graph.output(x)
    with pytest.raises(ValueError, match="'huge' has 3600080000 parameters"):
        graph.init_weights()
