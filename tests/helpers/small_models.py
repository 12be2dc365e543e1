"""Small graphs with their inputs, for tests of the model object."""

from __future__ import annotations

from random_graphs import random_inputs

from dsconv.graph import Graph
from dsconv.layers import Add


def two_inputs() -> Graph:
    """Build a graph with a map and a vector in, two tensors out."""
    graph = Graph("two inputs")
    x, gate = graph.input((6, 5, 4), name="map"), graph.input((4,), name="gate")
    y = graph.relu6(graph.batch_norm(graph.conv2d(x, 4, 3, name="conv"), name="conv/bn"))
    y = graph.mul(graph.add(Add(), x, graph.depthwise_conv2d(y, name="depthwise")), gate)
    graph.output(y, graph.softmax(graph.dense(gate, 3, name="dense"), name="classes"))
    return graph


def one_input() -> Graph:
    graph = Graph("one input")
    x = graph.input((6, 5, 4), name="map")
    graph.output(graph.relu(graph.conv2d(x, 3, 3, name="conv"), name="relu"))
    return graph


# A batch of two for both inputs of `two_inputs`; MAP fits `one_input` as well.
MAP, GATE = random_inputs(two_inputs(), 2)


def small_graph() -> Graph:
    """Build two inputs, two outputs, a split, an addition and every sort of parameter."""
    graph = Graph("small")
    x = graph.input((8, 8, 3))
    y = graph.input((4, 4, 4), name="second")
    x = graph.conv2d(x, 8, 3, stride=2, bias=False, name="conv0")
    x = graph.batch_norm(x, name="conv0/bn")
    x = graph.relu6(x, name="conv0/relu6")
    a, b = graph.split(x, (4, 4), name="halves")
    b = graph.depthwise_conv2d(b, name="depthwise")
    b = graph.l2_normalize(b, name="norm")
    a = graph.batch_norm(a, name="left/bn")
    a = graph.add(Add(), a, y, name="sum")
    x = graph.global_average_pool(graph.concat(a, b))
    graph.output(graph.dense(x, 5, name="logits"), b)
    return graph
