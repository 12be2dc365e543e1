"""What a network costs according to different counters, each computed from the graph.

Tools and papers agree on the network and differ in what they count. `COUNTERS` holds one function
for every definition met in papers and tools, with the reason for its result in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dsconv.layers import (
    BatchNorm,
    Clip,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    HardSigmoid,
    HardSwish,
    Layer,
    LeakyReLU,
    Resize,
    Sigmoid,
)

if TYPE_CHECKING:
    from dsconv.graph import Graph


class Counter(NamedTuple):
    """One definition of cost."""

    quantity: str  # "mult-adds" or "parameters"
    function: Callable[[Graph, Sequence[str]], int]  # of these nodes of a graph
    why: str


_CONVOLUTIONS = (Conv2D, DepthwiseConv2D)
_ACTIVATIONS = (Clip, LeakyReLU, HardSwish, HardSigmoid, Sigmoid)


def _mult_adds(graph: Graph, names: Sequence[str]) -> int:
    return sum(graph.nodes[name].layer.mult_adds(graph.input_shapes(name)) for name in names)


def _without_dense(graph: Graph, names: Sequence[str]) -> int:
    return _mult_adds(graph, [n for n in names if not isinstance(graph.nodes[n].layer, Dense)])


def _without_first(graph: Graph, names: Sequence[str]) -> int:
    convolutions = [n for n in names if isinstance(graph.nodes[n].layer, _CONVOLUTIONS)]
    return _mult_adds(graph, names) - _mult_adds(graph, convolutions[:1])


def _without_padding(graph: Graph, names: Sequence[str]) -> int:
    total = 0
    for name in names:
        layer, shapes = graph.nodes[name].layer, graph.input_shapes(name)
        cost = layer.mult_adds(shapes)
        if isinstance(layer, _CONVOLUTIONS):
            window = layer.window(shapes)
            for i in (0, 1):
                kernel, output = window.kernel[i], window.output[i]
                taps = (
                    position * window.stride[i] - window.pad[i][0] + tap * window.dilation[i]
                    for position in range(output)
                    for tap in range(kernel)
                )
                inside = sum(0 <= tap < shapes[0][i] for tap in taps)
                cost = cost // (kernel * output) * inside
        total += cost
    return total


def _with_adds(graph: Graph, names: Sequence[str]) -> int:
    return _mult_adds(graph, names) + _values(graph, names, *_CONVOLUTIONS, Dense)


def _with_batch_norm(graph: Graph, names: Sequence[str]) -> int:
    return _mult_adds(graph, names) + 2 * _values(graph, names, BatchNorm)


def _with_activations(graph: Graph, names: Sequence[str]) -> int:
    return _with_batch_norm(graph, names) + _values(graph, names, *_ACTIVATIONS)


def _with_expansion(graph: Graph, names: Sequence[str]) -> int:
    total = _mult_adds(graph, names)
    for name in names:
        block, _, part = name.rpartition("/")
        bottleneck = part == "project" and f"{block}/depthwise" in graph.nodes
        if bottleneck and f"{block}/expand" not in graph.nodes:
            height, width, channels = graph.input_shapes(f"{block}/depthwise")[0]
            total += height * width * channels * channels
    return total


def _as_tensorflow_runs(graph: Graph, names: Sequence[str]) -> int:
    total = _values(graph, names, Resize)
    for name in names:
        layer, shapes = graph.nodes[name].layer, graph.input_shapes(name)
        cost = layer.mult_adds(shapes)
        if isinstance(layer, _CONVOLUTIONS):
            window = layer.window(shapes)
            for i, dilation in enumerate(window.dilation):
                if dilation > 1 and window.stride[i] == 1:
                    padded = shapes[0][i] + sum(window.pad[i])
                    padded = -(-padded // dilation) * dilation
                    run = padded - (window.kernel[i] - 1) * dilation
                    cost = cost // window.output[i] * run
        total += cost
    return total


def _flops(graph: Graph, names: Sequence[str]) -> int:
    return 2 * _mult_adds(graph, names)


def _values(graph: Graph, names: Sequence[str], *kinds: type[Layer]) -> int:
    """Number of values that layers of these kinds put out."""
    return sum(
        math.prod(graph.shape(tensor))
        for name in names
        if isinstance(graph.nodes[name].layer, kinds)
        for tensor in graph.tensors(name)
    )


def _parameters(**factors: int) -> Callable[[Graph, Sequence[str]], int]:
    """Counts the parameters so named, each value times its factor."""

    def count(graph: Graph, names: Sequence[str]) -> int:
        return sum(
            factors.get(parameter, 0) * math.prod(shape)
            for name in names
            for parameter, shape in graph.nodes[name]
            .layer.parameters(graph.input_shapes(name))
            .items()
        )

    return count


COUNTERS: dict[str, Counter] = {
    "exact": Counter(
        "mult-adds",
        _mult_adds,
        "convolutions and fully connected layers, one for each multiply-add, taps on the zero "
        "padding included; biases, batch norm, activations, additions and pooling are free",
    ),
    "without fully connected layers": Counter(
        "mult-adds", _without_dense, "the convolutions alone"
    ),
    "without the first convolution": Counter(
        "mult-adds", _without_first, "the first layer is left out"
    ),
    "without taps on padding": Counter(
        "mult-adds", _without_padding, "only products with real pixels"
    ),
    "bias adds": Counter(
        "mult-adds",
        _with_adds,
        "and one add for each output of a convolution or fully connected layer: its bias, or the "
        "batch norm folded into it",
    ),
    "batch norm": Counter(
        "mult-adds", _with_batch_norm, "and two for each value that batch norm scales and shifts"
    ),
    "batch norm and activations": Counter(
        "mult-adds", _with_activations, "and one more for each value of an activation"
    ),
    "redundant expansion": Counter(
        "mult-adds",
        _with_expansion,
        "a bottleneck with expansion t = 1 gets a 1x1 expansion that widens nothing; the network "
        "has none",
    ),
    "space-to-batch": Counter(
        "mult-adds",
        _as_tensorflow_runs,
        "atrous convolutions run on maps rounded up to a multiple of their dilation, as TensorFlow "
        "does, and one for each value that a bilinear resize puts out",
    ),
    "FLOPs": Counter(
        "mult-adds", _flops, "a multiplication and an addition count apart: exactly twice as many"
    ),
    "weights": Counter(
        "parameters", _parameters(weight=1), "kernels of convolutions and fully connected layers"
    ),
    "weights and biases": Counter(
        "parameters", _parameters(weight=1, bias=1), "everything but batch norm"
    ),
    "batch norm folded": Counter(
        "parameters",
        _parameters(weight=1, bias=1, scale=1, beta=1),
        "what is left to store: batch norm becomes one bias for each channel",
    ),
    "trainable": Counter(
        "parameters",
        _parameters(weight=1, bias=1, scale=1, gamma=1, beta=1),
        "weights, biases, learned scales, and batch norm's gamma and beta",
    ),
    "batch norm without gamma": Counter(
        "parameters",
        _parameters(weight=1, bias=1, scale=1, beta=1, mean=1, variance=1),
        "beta, mean and variance alone of each batch norm",
    ),
    "all": Counter(
        "parameters",
        _parameters(weight=1, bias=1, scale=1, gamma=1, beta=1, mean=1, variance=1),
        "the trainable ones and batch norm's mean and variance",
    ),
}
