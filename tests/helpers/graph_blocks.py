"""Blocks of layers that a random graph grows by: every layer kind, alone and as networks use it."""

from __future__ import annotations

import math
from typing import Any

from graph_choices import CLIPS, WIDTHS, Choices
from hypothesis import strategies as st

from dsconv.layers import Add

Shape = tuple[int, ...]


class Grower(Choices):
    """Adds blocks behind tensors that are there already, mostly the newest."""

    def grow(self) -> None:
        """Add one more block."""
        blocks = (
            self.convolution, self.pointwise, self.depthwise, self.separable,
            self.inverted_residual, self.normalised_sum, self.shortcut, self.dense,
            self.batch_norm, self.clip, self.activation, self.addition, self.product,
            self.concat, self.split, self.pool, self.global_pool, self.shuffle,
            self.normalisation, self.move, self.view,
        )  # fmt: skip
        self.draw(st.sampled_from(blocks))()

    def maybe_norm(self, x: str) -> str:
        return self.graph.batch_norm(x, self.one_of([1e-3, 1e-5])) if self.coin() else x

    def maybe_clip(self, x: str) -> str:
        return self.graph.clip(x, *self.one_of(CLIPS)) if self.coin() else x

    def convolution(self) -> None:
        x = self.map()
        channels = self.graph.shape(x)[2]
        groups = self.one_of([g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0])
        filters = groups * self.one_of([w for w in WIDTHS if w == 1 or groups * w <= 40])
        clip = self.one_of(CLIPS) if self.rarely() else None
        y = self.graph.conv2d(
            x, filters, **self.window(x), groups=groups, bias=self.coin(), clip=clip
        )
        self.maybe_clip(self.maybe_norm(y))

    def pointwise(self) -> None:
        x = self.map()
        y = self.graph.conv2d(
            x, self.one_of(WIDTHS), stride=self.one_of([1, 1, 2]), bias=self.coin()
        )
        self.maybe_clip(self.maybe_norm(y))

    def depthwise_of(self, x: str) -> str:
        multiplier = 1
        if self.graph.shape(x)[2] <= 17:
            multiplier = self.one_of([1, 1, 1, 2, 3])
        y = self.graph.depthwise_conv2d(
            x, **self.window(x), multiplier=multiplier, bias=self.coin()
        )
        return self.maybe_clip(self.maybe_norm(y))

    def depthwise(self) -> None:
        self.depthwise_of(self.map())

    def separable(self) -> None:
        y = self.depthwise_of(self.map())
        y = self.graph.conv2d(y, self.one_of(WIDTHS), bias=self.coin())
        self.maybe_clip(self.maybe_norm(y))

    def inverted_residual(self) -> None:
        x = self.map()
        channels = self.graph.shape(x)[2]
        y = self.graph.conv2d(x, self.one_of(WIDTHS), bias=self.coin())
        y = self.depthwise_of(self.maybe_clip(self.maybe_norm(y)))
        same = self.graph.shape(y)[:2] == self.graph.shape(x)[:2]
        y = self.graph.conv2d(y, channels if same else self.one_of(WIDTHS), bias=self.coin())
        y = self.maybe_norm(y)
        if same:
            y = self.graph.add(Add(), *self.either_way(x, y))
        self.maybe_clip(y)

    def normalised_sum(self) -> None:
        """Add conv - batch norm - add, as in ResNet, with any tensor of the same shape."""
        x = self.map()
        y = self.graph.conv2d(x, self.graph.shape(x)[2], self.one_of([1, 3]), bias=self.coin())
        y = self.maybe_norm(y)
        self.maybe_clip(self.graph.add(Add(), *self.either_way(y, self.like(x))))

    def shortcut(self) -> None:
        """Add two convolutions."""
        x = self.map()
        filters, stride = self.one_of(WIDTHS), self.one_of([1, 2])
        a, b = (
            self.maybe_norm(self.graph.conv2d(x, filters, kernel, stride=stride))
            for kernel in (3, 1)
        )
        self.maybe_clip(self.graph.add(Add(), a, b))

    def dense(self) -> None:
        x = self.vector()
        y = self.graph.dense(x, self.one_of(WIDTHS), bias=self.coin())
        self.maybe_clip(self.maybe_norm(y))

    def batch_norm(self) -> None:
        """Add it behind anything: a tensor with other readers, an input, another batch norm."""
        self.maybe_clip(self.graph.batch_norm(self.any(), self.one_of([1e-3, 1e-5])))

    def clip(self) -> None:
        self.graph.clip(self.any(), *self.one_of(CLIPS))

    def activation(self) -> None:
        x = self.any()
        kind = self.one_of(["leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "softmax"])
        if kind == "softmax":
            rank = len(self.graph.shape(x))
            self.graph.softmax(x, axis=self.draw(st.integers(-rank, rank - 1)))
        elif kind == "leaky_relu":
            self.graph.leaky_relu(x, self.one_of([0.1, 0.0, 1.5, -0.5]))
        else:
            getattr(self.graph, kind)(x)

    def either_way(self, a: str, b: str) -> tuple[str, str]:
        return (a, b) if self.coin() else (b, a)

    def addition(self) -> None:
        x = self.any()
        clip = self.one_of(CLIPS) if self.rarely() else None
        self.maybe_clip(self.graph.add(Add(clip), x, self.like(x)))

    def product(self) -> None:
        """Multiply a map by its gate, or at most twice two tensors of one shape."""
        x = self.any()
        if len(self.graph.shape(x)) == 3 and self.coin():
            gate = self.graph.global_average_pool(x, keep_dims=self.coin())
            gate = self.one_of([self.graph.sigmoid, self.graph.hard_sigmoid])(gate)
            self.graph.mul(*self.either_way(x, gate))
        elif self.products < 2:
            self.products += 1
            self.graph.mul(x, self.like(x))

    def concat(self) -> None:
        x = self.any()
        shape = self.graph.shape(x)
        axis = self.draw(st.integers(-len(shape), len(shape) - 1))

        def rest(tensor: str) -> tuple[int, Shape]:
            other = self.graph.shape(tensor)
            index = axis % len(shape)
            return len(other), other[:index] + other[index + 1 :]

        fitting = [t for t in self.tensors() if rest(t) == rest(x)]
        others = [self.recent(fitting) for _ in range(self.draw(st.integers(0, 2)))]
        self.graph.concat(x, *others, axis=axis)

    def split(self) -> None:
        x = self.any()
        shape = self.graph.shape(x)
        axes = [axis for axis, size in enumerate(shape) if size > 1]
        if not axes:
            return
        axis = self.one_of(axes[::-1])
        first = self.draw(st.integers(1, shape[axis] - 1))
        sizes = [first, shape[axis] - first]
        if sizes[1] > 1 and self.coin():
            sizes[1:] = [1, sizes[1] - 1]
        self.graph.split(x, tuple(sizes), axis=axis - len(shape) if self.coin() else axis)

    def pool(self) -> None:
        x = self.map()
        kernel, stride = self.one_of([2, 3, (1, 2)]), self.one_of([1, 2, (2, 1), 3])
        options: dict[str, Any] = {"padding": "same"}
        if min(self.graph.shape(x)[:2]) >= 3 and self.coin():
            padding = self.one_of(["valid", ((0, 1), (0, 1)) if kernel == 3 else "valid"])
            options = {"padding": padding, "ceil": self.coin()}
        if self.coin():
            self.graph.max_pool(x, kernel, stride, **options)
        else:
            self.graph.average_pool(x, kernel, stride, **options, count_padding=self.coin())

    def global_pool(self) -> None:
        self.graph.global_average_pool(self.map(), keep_dims=self.coin())

    def shuffle(self) -> None:
        x = self.map()
        channels = self.graph.shape(x)[2]
        self.graph.channel_shuffle(x, self.one_of([g for g in (1, 2, 3, 8) if channels % g == 0]))

    def normalisation(self) -> None:
        if self.coin():
            self.graph.local_response_norm(
                self.map(), size=self.one_of([1, 3, 5, 99]), alpha=self.one_of([1e-4, 0.1])
            )
        else:
            self.graph.l2_normalize(self.any(), self.one_of([1e-2, 1e-6]))

    def move(self) -> None:
        """Space to depth, pad, resize or transpose."""
        kind = self.one_of(["space_to_depth", "pad", "resize", "transpose"])
        if kind == "transpose":
            x = self.any()
            axes = range(len(self.graph.shape(x)))
            self.graph.transpose(x, tuple(self.draw(st.permutations(axes))))
            return
        x = self.map()
        height, width, channels = self.graph.shape(x)
        if kind == "space_to_depth":
            blocks = [b for b in (1, 2, 3) if height % b == width % b == 0]
            self.graph.space_to_depth(x, max(blocks) if channels <= 9 else 1)
        elif kind == "pad":
            self.graph.pad(x, self.one_of([0, 1, (2, 0), ((0, 3), (1, 2))]))
        else:
            size = self.draw(st.integers(1, 9)), self.draw(st.integers(1, 9))
            self.graph.resize(x, *size, self.one_of(["half_pixel", "align_corners"]))

    def view(self) -> None:
        """Flatten, or another shape of the same values."""
        x = self.any()
        if self.coin():
            self.graph.flatten(x)
            return
        size = math.prod(self.graph.shape(x))
        divisors = [d for d in range(1, 13) if size % d == 0]
        first = self.one_of(divisors)
        second = self.one_of([d for d in divisors if size // first % d == 0])
        self.graph.reshape(x, self.one_of([(first, second, -1), (first, -1), (-1, second)]))
