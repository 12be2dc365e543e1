"""One or more layers of every kind with small inputs, for tests that go through all kinds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dsconv import layers
from dsconv.graph import Graph
from dsconv.layers import Layer

MAP = (4, 6, 4)

LINEAR: list[tuple[Layer, list[tuple[int, ...]]]] = [  # layer, input shapes
    (layers.Conv2D(6, 3), [MAP]),
    (
        layers.Conv2D(6, (3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2, bias=False),
        [MAP],
    ),
    (layers.Conv2D(3, 3, padding="valid", dilation=(1, 2)), [MAP]),
    (layers.Conv2D(5, 1), [MAP]),
    (layers.Conv2D(4, 1, groups=4), [MAP]),
    (layers.DepthwiseConv2D(3, stride=2), [MAP]),
    (layers.DepthwiseConv2D((2, 3), dilation=(2, 1), padding=1, multiplier=3, bias=False), [MAP]),
    (layers.Dense(3), [(7,)]),
    (layers.Dense(3, bias=False), [(7,)]),
    (layers.BatchNorm(1e-3), [MAP]),
    (layers.BatchNorm(0.0), [(5,)]),
    (layers.Add(), [MAP, MAP]),
    (layers.Concat(), [MAP, (4, 6, 1), MAP]),
    (layers.Concat(axis=0), [MAP, (1, 6, 4)]),
    (layers.Split((1, 3)), [MAP]),
    (layers.Split((2, 1, 3), axis=1), [MAP]),
    (layers.AveragePool(3, 2, padding=1), [MAP]),
    (layers.AveragePool(3, 2, padding=1, ceil=True, count_padding=True), [MAP]),
    (layers.GlobalAveragePool(), [MAP]),
    (layers.GlobalAveragePool(keep_dims=True), [MAP]),
    (layers.ChannelShuffle(2), [MAP]),
    (layers.SpaceToDepth(2), [MAP]),
    (layers.Pad(((1, 0), (2, 3))), [MAP]),
    (layers.Resize(5, 11), [MAP]),
    (layers.Resize(3, 4), [MAP]),
    (layers.Resize(5, 1, "align_corners"), [MAP]),
    (layers.Resize(4, 6), [MAP]),
    (layers.Reshape((-1, 3)), [MAP]),
    (layers.Flatten(), [MAP]),
    (layers.Transpose((2, 0, 1)), [MAP]),
    (layers.Slice((1, 5, 0), (2, 3, 4), (2, -2, 1)), [MAP]),
    (layers.Slice((3,), (4,), (1,)), [(7,)]),
    (layers.Broadcast((4, 6, 4)), [(4, 1, 4)]),
    (layers.Broadcast((2, 3, 2, 3, 2, 2)), [(1, 3, 1, 3, 1, 2)]),
]

CURVED: list[tuple[Layer, list[tuple[int, ...]]]] = [
    (layers.Conv2D(6, 3, clip=(0.1, 2.0)), [MAP]),
    (layers.Dense(4, clip=(-math.inf, 0.3)), [(7,)]),
    (layers.Add(clip=(0.0, math.inf)), [MAP, MAP]),
    (layers.LocalResponseNorm(3, 0.1, 0.75, 2.0), [MAP]),
    (layers.LocalResponseNorm(99, 1e-4, 0.5, 0.1), [MAP]),
    (layers.L2Normalize(), [MAP]),
    (layers.L2Normalize(0.0), [(5,)]),
    (layers.Clip(0.0, 6.0), [MAP]),
    (layers.Clip(-0.3, 0.7), [MAP]),
    (layers.LeakyReLU(0.1), [MAP]),
    (layers.LeakyReLU(-1.7), [MAP]),
    (layers.HardSwish(), [MAP]),
    (layers.HardSigmoid(), [MAP]),
    (layers.Sigmoid(), [MAP]),
    (layers.Softmax(), [(9,)]),
    (layers.Softmax(axis=0), [MAP]),
    (layers.Mul(), [MAP, MAP]),
    (layers.Mul(), [MAP, (4,)]),
    (layers.Mul(), [(1, 1, 4), MAP]),
    (layers.MaxPool(3, 2, padding="same"), [MAP]),
    (layers.MaxPool(2, 3, padding=1, ceil=True), [MAP]),
]

ALL = LINEAR + CURVED


def graph_of(layer: Layer, shapes: Sequence[tuple[int, ...]]) -> Graph:
    """Make a graph of one layer called "layer", with an input for each of the shapes."""
    graph = Graph()
    graph.add(layer, *(graph.input(s, name=f"x{i}") for i, s in enumerate(shapes)), name="layer")
    graph.output(*graph.tensors("layer"))
    return graph


def name_of(case: object) -> str:
    """Call a test by its layer."""
    return repr(case) if isinstance(case, Layer) else ""


def random_weights(
    layer: Layer, shapes: Sequence[tuple[int, ...]], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw float32 weights of one layer; gamma has both signs and a zero."""
    weights = {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in layer.parameters(shapes).items()
    }
    if "variance" in weights:
        weights["variance"] = np.abs(weights["variance"]) + np.float32(0.01)
        weights["gamma"][0] = 0
    return weights
