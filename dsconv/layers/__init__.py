"""Describe the layer kinds, one small class each: shapes, parameters and cost, no arithmetic.

A layer holds its static attributes only; its name and its inputs belong to the graph's `Node`.
Attributes are checked and brought to one form on construction: ``kernel=3`` becomes ``(3, 3)`` and
``padding=1`` becomes ``((1, 1), (1, 1))``. `KINDS` maps the name of a kind, as JSON files and
automatic layer names spell it, to its class.
"""

from __future__ import annotations

from dsconv.layers.activation import (
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    Sigmoid,
    Softmax,
)
from dsconv.layers.base import Input, Layer, Shape
from dsconv.layers.convolution import Conv2D, Dense, DepthwiseConv2D
from dsconv.layers.merging import Add, Concat, Mul, Split
from dsconv.layers.normalization import BatchNorm, L2Normalize, LocalResponseNorm
from dsconv.layers.pooling import AveragePool, GlobalAveragePool, MaxPool
from dsconv.layers.shaping import (
    Broadcast,
    ChannelShuffle,
    Flatten,
    Pad,
    Reshape,
    Resize,
    Slice,
    SpaceToDepth,
    Transpose,
)

_ALL: tuple[type[Layer], ...] = (
    Input, Conv2D, DepthwiseConv2D, Dense, BatchNorm, LocalResponseNorm, L2Normalize,
    Clip, LeakyReLU, HardSwish, HardSigmoid, Sigmoid, Softmax, Add, Mul, Concat, Split,
    MaxPool, AveragePool, GlobalAveragePool, ChannelShuffle, SpaceToDepth, Pad, Resize,
    Reshape, Flatten, Transpose, Slice, Broadcast,
)  # fmt: skip

KINDS: dict[str, type[Layer]] = {cls.kind: cls for cls in _ALL}

__all__ = [
    "KINDS",
    "Add",
    "AveragePool",
    "BatchNorm",
    "Broadcast",
    "ChannelShuffle",
    "Clip",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Flatten",
    "GlobalAveragePool",
    "HardSigmoid",
    "HardSwish",
    "Input",
    "L2Normalize",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool",
    "Mul",
    "Pad",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Transpose",
]
