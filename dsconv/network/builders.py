"""Add one thin method for each layer kind, so that a model reads like its paper's table.

``x = graph.conv2d(x, 32, 3, stride=2, name="conv0")`` is short for
``x = graph.add(Conv2D(32, 3, stride=2), x, name="conv0")``, and an error in the attributes names
the layer. Defaults that are not spelled out here are those of the class. The sum of two tensors is
``graph.add(Add(), a, b)``: `Structure.add` is the general method.
"""

from __future__ import annotations

import math
from typing import Any

from dsconv import layers
from dsconv.arguments.numbers import Pair
from dsconv.layers import Shape
from dsconv.network.structure import Structure

Name = str | None


class Builders(Structure):
    """Add layers by a method for each kind, which returns the name of the output tensor."""

    def input(self, shape: Shape, name: str = "input") -> str:
        return self._add(layers.Input, (), name, shape=shape)

    def conv2d(
        self, x: str, filters: int, kernel: Pair = 1, name: Name = None, **attributes: Any
    ) -> str:
        return self._add(layers.Conv2D, (x,), name, filters=filters, kernel=kernel, **attributes)

    def depthwise_conv2d(
        self, x: str, kernel: Pair = 3, name: Name = None, **attributes: Any
    ) -> str:
        return self._add(layers.DepthwiseConv2D, (x,), name, kernel=kernel, **attributes)

    def dense(self, x: str, units: int, bias: bool = True, name: Name = None) -> str:
        return self._add(layers.Dense, (x,), name, units=units, bias=bias)

    def batch_norm(self, x: str, epsilon: float = 1e-3, name: Name = None) -> str:
        return self._add(layers.BatchNorm, (x,), name, epsilon=epsilon)

    def local_response_norm(self, x: str, name: Name = None, **attributes: Any) -> str:
        return self._add(layers.LocalResponseNorm, (x,), name, **attributes)

    def l2_normalize(self, x: str, epsilon: float = 1e-10, name: Name = None) -> str:
        return self._add(layers.L2Normalize, (x,), name, epsilon=epsilon)

    def clip(self, x: str, low: float, high: float, name: Name = None) -> str:
        return self._add(layers.Clip, (x,), name, low=low, high=high)

    def relu(self, x: str, name: Name = None) -> str:
        return self.clip(x, 0.0, math.inf, name)

    def relu6(self, x: str, name: Name = None) -> str:
        return self.clip(x, 0.0, 6.0, name)

    def leaky_relu(self, x: str, slope: float = 0.1, name: Name = None) -> str:
        return self._add(layers.LeakyReLU, (x,), name, slope=slope)

    def hard_swish(self, x: str, name: Name = None) -> str:
        return self._add(layers.HardSwish, (x,), name)

    def hard_sigmoid(self, x: str, name: Name = None) -> str:
        return self._add(layers.HardSigmoid, (x,), name)

    def sigmoid(self, x: str, name: Name = None) -> str:
        return self._add(layers.Sigmoid, (x,), name)

    def softmax(self, x: str, axis: int = -1, name: Name = None) -> str:
        return self._add(layers.Softmax, (x,), name, axis=axis)

    def mul(self, a: str, b: str, name: Name = None) -> str:
        return self._add(layers.Mul, (a, b), name)

    def concat(self, *inputs: str, axis: int = -1, name: Name = None) -> str:
        return self._add(layers.Concat, inputs, name, axis=axis)

    def split(
        self, x: str, sizes: tuple[int, ...], axis: int = -1, name: Name = None
    ) -> tuple[str, ...]:
        return self._add(layers.Split, (x,), name, sizes=sizes, axis=axis)

    def max_pool(
        self, x: str, kernel: Pair = 2, stride: Pair = 2, name: Name = None, **attributes: Any
    ) -> str:
        return self._add(layers.MaxPool, (x,), name, kernel=kernel, stride=stride, **attributes)

    def average_pool(
        self, x: str, kernel: Pair = 2, stride: Pair = 2, name: Name = None, **attributes: Any
    ) -> str:
        return self._add(layers.AveragePool, (x,), name, kernel=kernel, stride=stride, **attributes)

    def global_average_pool(self, x: str, keep_dims: bool = False, name: Name = None) -> str:
        return self._add(layers.GlobalAveragePool, (x,), name, keep_dims=keep_dims)

    def channel_shuffle(self, x: str, groups: int, name: Name = None) -> str:
        return self._add(layers.ChannelShuffle, (x,), name, groups=groups)

    def space_to_depth(self, x: str, block: int, name: Name = None) -> str:
        return self._add(layers.SpaceToDepth, (x,), name, block=block)

    def pad(self, x: str, padding: Any, name: Name = None) -> str:
        return self._add(layers.Pad, (x,), name, padding=padding)

    def resize(
        self, x: str, height: int, width: int, mode: str = "half_pixel", name: Name = None
    ) -> str:
        return self._add(layers.Resize, (x,), name, height=height, width=width, mode=mode)

    def reshape(self, x: str, shape: Shape, name: Name = None) -> str:
        return self._add(layers.Reshape, (x,), name, shape=shape)

    def flatten(self, x: str, name: Name = None) -> str:
        return self._add(layers.Flatten, (x,), name)

    def slice(
        self,
        x: str,
        starts: tuple[int, ...],
        sizes: tuple[int, ...],
        steps: tuple[int, ...],
        name: Name = None,
    ) -> str:
        return self._add(layers.Slice, (x,), name, starts=starts, sizes=sizes, steps=steps)

    def broadcast(self, x: str, shape: Shape, name: Name = None) -> str:
        return self._add(layers.Broadcast, (x,), name, shape=shape)

    def transpose(self, x: str, permutation: tuple[int, ...], name: Name = None) -> str:
        return self._add(layers.Transpose, (x,), name, permutation=permutation)
