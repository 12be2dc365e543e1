"""One or more layers of every kind with small inputs, for tests that go through all kinds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dsconv.layers import (
    Add,
    AveragePool,
    BatchNorm,
    Broadcast,
    ChannelShuffle,
    Clip,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool,
    HardSigmoid,
    HardSwish,
    L2Normalize,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Mul,
    Pad,
    Reshape,
    Resize,
    Sigmoid,
    Slice,
    Softmax,
    SpaceToDepth,
    Split,
    Transpose,
)

MAP = (4, 6, 4)

LINEAR: list[tuple[Layer, list[tuple[int, ...]]]] = [  # layer, input shapes
    (Conv2D(6, 3), [MAP]),
    (Conv2D(6, (3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2, bias=False), [MAP]),
    (Conv2D(3, 3, padding="valid", dilation=(1, 2)), [MAP]),
    (Conv2D(5, 1), [MAP]),
    (Conv2D(4, 1, groups=4), [MAP]),
    (DepthwiseConv2D(3, stride=2), [MAP]),
    (DepthwiseConv2D((2, 3), dilation=(2, 1), padding=1, multiplier=3, bias=False), [MAP]),
    (Dense(3), [(7,)]),
    (Dense(3, bias=False), [(7,)]),
    (BatchNorm(1e-3), [MAP]),
    (BatchNorm(0.0), [(5,)]),
    (Add(), [MAP, MAP]),
    (Concat(), [MAP, (4, 6, 1), MAP]),
    (Concat(axis=0), [MAP, (1, 6, 4)]),
    (Split((1, 3)), [MAP]),
    (Split((2, 1, 3), axis=1), [MAP]),
    (AveragePool(3, 2, padding=1), [MAP]),
    (AveragePool(3, 2, padding=1, ceil=True, count_padding=True), [MAP]),
    (GlobalAveragePool(), [MAP]),
    (GlobalAveragePool(keep_dims=True), [MAP]),
    (ChannelShuffle(2), [MAP]),
    (SpaceToDepth(2), [MAP]),
    (Pad(((1, 0), (2, 3))), [MAP]),
    (Resize(5, 11), [MAP]),
    (Resize(3, 4), [MAP]),
    (Resize(5, 1, "align_corners"), [MAP]),
    (Resize(4, 6), [MAP]),
    (Reshape((-1, 3)), [MAP]),
    (Flatten(), [MAP]),
    (Transpose((2, 0, 1)), [MAP]),
    (Slice((1, 5, 0), (2, 3, 4), (2, -2, 1)), [MAP]),
    (Slice((3,), (4,), (1,)), [(7,)]),
    (Broadcast((4, 6, 4)), [(4, 1, 4)]),
    (Broadcast((2, 3, 2, 3, 2, 2)), [(1, 3, 1, 3, 1, 2)]),
]

CURVED: list[tuple[Layer, list[tuple[int, ...]]]] = [
    (Conv2D(6, 3, clip=(0.1, 2.0)), [MAP]),
    (Dense(4, clip=(-math.inf, 0.3)), [(7,)]),
    (Add(clip=(0.0, math.inf)), [MAP, MAP]),
    (LocalResponseNorm(3, 0.1, 0.75, 2.0), [MAP]),
    (LocalResponseNorm(99, 1e-4, 0.5, 0.1), [MAP]),
    (L2Normalize(), [MAP]),
    (L2Normalize(0.0), [(5,)]),
    (Clip(0.0, 6.0), [MAP]),
    (Clip(-0.3, 0.7), [MAP]),
    (LeakyReLU(0.1), [MAP]),
    (LeakyReLU(-1.7), [MAP]),
    (HardSwish(), [MAP]),
    (HardSigmoid(), [MAP]),
    (Sigmoid(), [MAP]),
    (Softmax(), [(9,)]),
    (Softmax(axis=0), [MAP]),
    (Mul(), [MAP, MAP]),
    (Mul(), [MAP, (4,)]),
    (Mul(), [(1, 1, 4), MAP]),
    (MaxPool(3, 2, padding="same"), [MAP]),
    (MaxPool(2, 3, padding=1, ceil=True), [MAP]),
]

ALL = LINEAR + CURVED


def name_of(case: object) -> str:
    """A test's name for a layer."""
    return repr(case) if isinstance(case, Layer) else ""


def random_weights(
    layer: Layer, shapes: Sequence[tuple[int, ...]], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Float32 weights of one layer; gamma has both signs and a zero."""
    weights = {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in layer.parameters(shapes).items()
    }
    if "variance" in weights:
        weights["variance"] = np.abs(weights["variance"]) + np.float32(0.01)
        weights["gamma"][0] = 0
    return weights
