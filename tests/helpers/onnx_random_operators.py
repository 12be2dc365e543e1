"""Operators of random ONNX models: each method adds one or two nodes behind the newest tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import helper, numpy_helper

Shape = tuple[int, ...]


class Writer:
    """A model under construction; `shape` is the newest tensor's, without the batch."""

    def __init__(self, draw: Any, random: np.random.Generator, opset: int, batch: int) -> None:
        self.draw, self.random, self.opset, self.batch = draw, random, opset, batch
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.resized = False  # to sizes that name the batch
        self.tensors: list[tuple[str, Shape]] = []

    @property
    def name(self) -> str:
        return self.tensors[-1][0]

    @property
    def shape(self) -> Shape:
        return self.tensors[-1][1]

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def normal(self, *shape: int) -> str:
        return self.constant(self.random.normal(size=shape))

    def emit(self, operator: str, shape: Shape, *inputs: str, **attributes: Any) -> None:
        """Add a node that reads the newest tensor, or `inputs`; the result has `shape`."""
        name = f"t{len(self.nodes)}"
        node = helper.make_node(operator, inputs or [self.name], [name], name=name, **attributes)
        self.nodes.append(node)
        self.tensors.append((name, shape))

    def grow(self) -> None:
        steps = [self.activation, self.constant_operand, self.transpose, self.reshape, self.slice,
                 self.mean, self.softmax, self.sum, self.pad, self.gather, self.matmul, self.ends]  # fmt: skip
        if len(self.shape) == 3:
            steps += [self.conv, self.pool, self.batch_norm, self.resize, self.gate] * 2
        if len(self.shape) == 1:
            steps += [self.gemm] * 4
        self.draw(st.sampled_from(steps))()

    def conv(self) -> None:
        channels, *size = self.shape
        groups = self.one_of(*(g for g in (1, 1, 2, channels) if channels % g == 0))
        filters = groups * self.one_of(1, 2, 3)
        kernel = [self.one_of(1, 2, 3) for _ in size]
        strides, dilations = ([self.one_of(1, 1, 2) for _ in size] for _ in range(2))
        pads = [self.one_of(0, 1, 2) for _ in range(4)]
        auto = self.one_of("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        if auto.startswith("SAME"):
            dilations = [1, 1]  # onnxruntime knows no others here
            out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        else:
            both = [0, 0] if auto == "VALID" else [pads[0] + pads[2], pads[1] + pads[3]]
            room = [n + b - r for n, b, r in zip(size, both, reach, strict=True)]
            if min(room) < 0:
                return
            out = [r // s + 1 for r, s in zip(room, strides, strict=True)]
        weights = [self.normal(filters, channels // groups, *kernel)]
        if self.one_of(True, False):
            weights.append(self.normal(filters))
        options = {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
        self.emit(
            "Conv", (filters, *out), self.name, *weights,
            strides=strides, dilations=dilations, group=groups, **options,
        )  # fmt: skip

    def pool(self) -> None:
        channels, *size = self.shape
        kernel = [self.one_of(1, 2, 3) for _ in size]
        strides = [self.one_of(1, 2) for _ in size]
        pads = [self.draw(st.integers(0, kernel[i % 2] // 2)) for i in range(4)]
        room = [n + pads[i] + pads[i + 2] - kernel[i] for i, n in enumerate(size)]
        if min(room) < 0:
            return
        out = [r // s + 1 for r, s in zip(room, strides, strict=True)]
        options = {"kernel_shape": kernel, "strides": strides, "pads": pads}
        if self.one_of(True, False):
            self.emit("MaxPool", (channels, *out), **options)
        else:
            self.emit(
                "AveragePool", (channels, *out), count_include_pad=self.one_of(0, 1), **options
            )

    def batch_norm(self) -> None:
        channels = self.shape[0]
        variance = self.constant(self.random.uniform(0.5, 2, channels))
        parameters = [self.normal(channels) for _ in range(3)]
        self.emit("BatchNormalization", self.shape, self.name, *parameters, variance, epsilon=1e-3)

    def gate(self) -> None:
        x, shape = self.tensors[-1]
        self.emit("GlobalAveragePool", (shape[0], 1, 1))
        self.emit("Sigmoid", self.shape)
        self.emit(self.one_of("Mul", "Add"), shape, *self.one_of((self.name, x), (x, self.name)))

    def resize(self) -> None:
        """Resize so that positions are multiples of 1/8, which are exact in every engine."""
        channels, *size = self.shape
        if self.opset < 11 or max(size) > 12:
            return
        if self.one_of("nearest", "linear") == "nearest":
            scales = [self.one_of(1, 2, 3) for _ in size]
            inputs = [self.name, self.constant([]), self.constant([1, 1, *scales])]
            how = {"mode": "nearest", "nearest_mode": "floor",
                   "coordinate_transformation_mode": "asymmetric"}  # fmt: skip
            out = [n * s for n, s in zip(size, scales, strict=True)]
        else:
            mode = self.one_of("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
            if mode == "align_corners":
                out = [self.one_of(n, 2 * n - 1, 4 * n - 3) for n in size]
            else:
                out = [self.one_of(n, 2 * n, 4 * n, n // 2 if n % 4 == 0 else n) for n in size]
            sizes = self.constant([self.batch, channels, *out], np.int64)
            inputs = [self.name, self.constant([]), self.constant([]), sizes]
            how = {"mode": "linear", "coordinate_transformation_mode": mode}
            self.resized = True
        self.emit("Resize", (channels, *out), *inputs, **how)

    def activation(self) -> None:
        kind = self.one_of("Relu", "Clip", "LeakyRelu", "HardSigmoid", "Sigmoid", "Identity")
        if kind == "Clip" and self.opset >= 11:
            limits = self.constant(-0.5), self.one_of("", self.constant(0.75))
            self.emit("Clip", self.shape, self.name, *limits)
        else:
            self.emit(kind, self.shape)

    def constant_operand(self) -> None:
        """Combine the tensor with a constant whose shape broadcasts to its own."""
        shape = tuple(self.one_of(1, n) for n in self.shape)
        if self.one_of(True, False):
            shape = (1, *shape)
        else:
            shape = shape[self.draw(st.integers(0, len(shape))) :]
        operator = self.one_of("Add", "Sub", "Mul", "Div")
        values = self.random.uniform(0.5, 2, shape) * self.random.choice([-1, 1], shape)
        inputs = [self.name, self.constant(values)]
        if operator != "Div" and self.one_of(True, False):
            inputs.reverse()
        self.emit(operator, self.shape, *inputs)

    def sum(self) -> None:
        """Combine the tensor with an older one of the same rank that broadcasts."""
        x, shape = self.tensors[-1]
        fitting = [
            (name, other)
            for name, other in self.tensors
            if len(other) == len(shape)
            and all(a == b or 1 in (a, b) for a, b in zip(shape, other, strict=True))
        ]
        name, other = self.one_of(*fitting)
        result = np.broadcast_shapes(shape, other)
        self.emit(self.one_of("Add", "Sub"), result, *self.one_of((x, name), (name, x)))

    def transpose(self) -> None:
        order = self.draw(st.permutations(range(len(self.shape))))
        shape = tuple(self.shape[axis] for axis in order)
        self.emit("Transpose", shape, perm=[0, *(axis + 1 for axis in order)])

    def reshape(self) -> None:
        """Split an axis, join two, or flatten."""
        shape = list(self.shape)
        kind = self.one_of("split", "join", "flatten", "unsqueeze", "squeeze")
        axis = self.draw(st.integers(0, len(shape) - 1))
        if kind == "split" and len(shape) < 5:
            first = self.one_of(*(d for d in range(1, shape[axis] + 1) if shape[axis] % d == 0))
            shape[axis : axis + 1] = [first, shape[axis] // first]
        elif kind == "join" and axis + 1 < len(shape):
            shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
        elif kind == "flatten":
            self.emit("Flatten", (math.prod(shape),))
            return
        elif kind == "unsqueeze" and len(shape) < 5 and self.opset >= 13:
            shape.insert(axis, 1)
            axes = self.constant([axis + 1], np.int64)
            self.emit("Unsqueeze", tuple(shape), self.name, axes)
            return
        elif kind == "squeeze" and shape[axis] == 1 and len(shape) > 1 and self.opset < 13:
            del shape[axis]
            self.emit("Squeeze", tuple(shape), axes=[axis + 1])
            return
        target = self.constant([self.one_of(0, -1), *shape], np.int64)
        self.emit("Reshape", tuple(shape), self.name, target)

    def slice(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        size = self.shape[axis]
        start = self.draw(st.integers(-size, size - 1))
        end, step = self.one_of(size, -1, 2**31 - 1), self.one_of(1, 2, -1, 3)
        end = -(2**31) if step < 0 else end
        count = len(range(*slice(start, end, step).indices(size)))
        if count == 0 or self.opset < 10:
            return
        shape = (*self.shape[:axis], count, *self.shape[axis + 1 :])
        numbers = [self.constant([n], np.int64) for n in (start, end, axis + 1, step)]
        self.emit("Slice", shape, self.name, *numbers)

    def gather(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        size = self.shape[axis]
        if len(self.shape) == 1:
            return
        indices = self.draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=5))
        shape = (*self.shape[:axis], len(indices), *self.shape[axis + 1 :])
        given = self.constant(indices, np.int64)
        if self.one_of(True, False):
            shape = (*shape[:axis], *shape[axis + 1 :])
            given = self.constant(indices[0], np.int64)
        self.emit("Gather", shape, self.name, given, axis=axis + 1)

    def mean(self) -> None:
        axes = self.draw(st.sets(st.integers(0, len(self.shape) - 1), min_size=1))
        keep = self.one_of(0, 1)
        shape = tuple(
            1 if axis in axes else n
            for axis, n in enumerate(self.shape)
            if keep or axis not in axes
        )
        if not shape:
            return
        listed = [self.one_of(axis + 1, axis - len(self.shape)) for axis in axes]
        if self.opset >= 18:
            given = self.constant(listed, np.int64)
            self.emit("ReduceMean", shape, self.name, given, keepdims=keep)
        else:
            self.emit("ReduceMean", shape, axes=listed, keepdims=keep)

    def softmax(self) -> None:
        self.emit("Softmax", self.shape, axis=self.draw(st.integers(1, len(self.shape))))

    def pad(self) -> None:
        rank = len(self.shape)
        if self.opset < 11 or rank > 4:
            return
        before, after = ([self.one_of(0, 0, 1, 2) for _ in self.shape] for _ in range(2))
        shape = tuple(n + a + b for n, a, b in zip(self.shape, before, after, strict=True))
        self.emit("Pad", shape, self.name, self.constant([0, *before, 0, *after], np.int64))

    def matmul(self) -> None:
        units = self.one_of(1, 2, 5)
        self.emit("MatMul", (*self.shape[:-1], units), self.name,
                  self.normal(self.shape[-1], units))  # fmt: skip

    def gemm(self) -> None:
        units, (size,) = self.one_of(1, 2, 5), self.shape
        transposed = self.one_of(0, 1)
        weight = self.normal(*((units, size) if transposed else (size, units)))
        bias = self.one_of(None, (units,), (1, units), (1,), ())
        inputs = [self.name, weight] + ([] if bias is None else [self.normal(*bias)])
        if bias is None and self.opset < 11:
            return
        options = {"alpha": self.one_of(1.0, 0.5), "beta": self.one_of(1.0, 2.0)}
        self.emit("Gemm", (units,), *inputs, transB=transposed, **options)

    def ends(self) -> None:
        """Split into two parts, and join them in the other order with a third."""
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        size = self.shape[axis]
        if size < 2:
            return
        x, whole = self.tensors[-1]
        first = self.draw(st.integers(1, size - 1))
        names = [f"s{len(self.nodes)}_{i}" for i in (0, 1)]
        if self.opset >= 13:
            given, options = [self.constant([first, size - first], np.int64)], {}
        else:
            given, options = [], {"split": [first, size - first]}
        node = helper.make_node("Split", [x, *given], names, axis=axis + 1, **options)
        self.nodes.append(node)
        shape = (*whole[:axis], size + first, *whole[axis + 1 :])
        self.emit("Concat", shape, names[1], names[0], names[0], axis=axis - len(whole))
