"""Count the cost of a network by every definition that papers and tools use.

Tools and papers agree on the network and differ in what they count. `COUNTERS` holds one function
for each definition, which computes the cost from the graph, and says in words what it counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
    Shape,
    Sigmoid,
)

if TYPE_CHECKING:
    from dsconv.graph import Graph


class Counter(NamedTuple):
    """One definition of cost."""

    quantity: str  # "mult-adds" or "parameters"
    function: Callable[[Graph, Sequence[str]], int]  # takes a graph and names of its nodes
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
    total = _mult_adds(graph, names)
    for layer, shapes, cost in _convolutions(graph, names):
        window = layer.window(shapes)
        inside = cost
        for i in (0, 1):
            taps = [
                position * window.stride[i] - window.pad[i][0] + tap * window.dilation[i]
                for position in range(window.output[i])
                for tap in range(window.kernel[i])
            ]
            inside = inside // len(taps) * sum(0 <= tap < shapes[0][i] for tap in taps)
        total += inside - cost
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
    total = _mult_adds(graph, names) + _values(graph, names, Resize)
    for layer, shapes, cost in _convolutions(graph, names):
        window = layer.window(shapes)
        run = cost
        for i, dilation in enumerate(window.dilation):
            if dilation > 1 and window.stride[i] == 1:
                padded = shapes[0][i] + sum(window.pad[i])
                padded = -(-padded // dilation) * dilation
                outputs = padded - (window.kernel[i] - 1) * dilation
                run = run // window.output[i] * outputs
        total += run - cost
    return total


def _flops(graph: Graph, names: Sequence[str]) -> int:
    return 2 * _mult_adds(graph, names)


def _convolutions(graph: Graph, names: Sequence[str]) -> Iterator[tuple[Any, list[Shape], int]]:
    """Yield layer, input shapes and mult-adds of each convolution."""
    for name in names:
        layer, shapes = graph.nodes[name].layer, graph.input_shapes(name)
        if isinstance(layer, _CONVOLUTIONS):
            yield layer, shapes, layer.mult_adds(shapes)


def _values(graph: Graph, names: Sequence[str], *kinds: type[Layer]) -> int:
    """Return the number of values that layers of these kinds put out."""
    return sum(
        math.prod(graph.shape(tensor))
        for name in names
        if isinstance(graph.nodes[name].layer, kinds)
        for tensor in graph.tensors(name)
    )


def _parameters(*counted: str) -> Callable[[Graph, Sequence[str]], int]:
    """Make a function that counts the values of the parameters with these names."""

    def count(graph: Graph, names: Sequence[str]) -> int:
        total = 0
        for name in names:
            shapes = graph.nodes[name].layer.parameters(graph.input_shapes(name))
            total += sum(math.prod(shape) for key, shape in shapes.items() if key in counted)
        return total

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
        "parameters", _parameters("weight"), "kernels of convolutions and fully connected layers"
    ),
    "weights and biases": Counter(
        "parameters", _parameters("weight", "bias"), "everything but batch norm"
    ),
    "batch norm folded": Counter(
        "parameters",
        _parameters("weight", "bias", "scale", "beta"),
        "what is left to store: batch norm becomes one bias for each channel",
    ),
    "trainable": Counter(
        "parameters",
        _parameters("weight", "bias", "scale", "gamma", "beta"),
        "weights, biases, learned scales, and batch norm's gamma and beta",
    ),
    "batch norm without gamma": Counter(
        "parameters",
        _parameters("weight", "bias", "scale", "beta", "mean", "variance"),
        "beta, mean and variance alone of each batch norm",
    ),
    "all": Counter(
        "parameters",
        _parameters("weight", "bias", "scale", "gamma", "beta", "mean", "variance"),
        "the trainable ones and batch norm's mean and variance",
    ),
}
