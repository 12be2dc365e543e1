"""Write a graph as ncnn's two files: layers as lines of text (.param), weights as numbers (.bin).

A line is "kind name inputs outputs names... key=value...". A tensor that several layers read goes
through a Split, one copy for each. Weights are (Cout, Cin, KH, KW), of a depthwise convolution
(C, KH, KW), of a dense layer (units, Cin), each behind a word of zeros that says float32; biases
follow without that word. A file has no batch: ncnn runs one image at a time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.folding import Clip, Operation, folded
from dsconv import layers
from dsconv.arguments.window import Window
from dsconv.graph import Graph

MAGIC = 7767517
FLOAT32 = bytes(4)  # the word before weights


def write_ncnn(graph: Graph, weights: Mapping[str, Any], path: str | Path) -> None:
    """Write `path` (.param) and the weights beside it (.bin).

    Parameters
    ----------
    graph
        One input, one output, layers that `folding` knows.
    weights
        Float32 array by parameter name.
    path
        The .param file.

    Raises
    ------
    ValueError
        Names a layer that cannot be written.
    """
    files = _Files(folded(graph, weights))
    Path(path).write_text(files.param(), encoding="utf-8")
    Path(path).with_suffix(".bin").write_bytes(b"".join(files.weights))


class _Files:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self.weights: list[bytes] = []
        self._lines: list[str] = []
        self._blobs = 0
        self._uses = Counter(name for operation in operations for name in operation.inputs)
        self._used: Counter[str] = Counter()
        for operation in operations:
            self._write[type(operation.layer)](self, operation)

    def param(self) -> str:
        lines = [str(MAGIC), f"{len(self._lines)} {self._blobs}", *self._lines]
        return "\n".join(lines) + "\n"

    def _line(
        self, kind: str, operation: Operation, keys: Mapping[int, Any], outputs: int = 1
    ) -> None:
        name = operation.name
        inputs = [self._copy(tensor) for tensor in operation.inputs]
        values = [f"{key}={value}" for key, value in keys.items()]
        self._add(kind, name, inputs, [name], values)
        if self._uses[name] > 1:
            copies = [f"{name}#{i}" for i in range(self._uses[name])]
            self._add("Split", f"{name}#split", [name], copies, [])

    def _add(
        self,
        kind: str,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        values: Sequence[str],
    ) -> None:
        words = [kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs, *values]
        self._lines.append(" ".join(words))
        self._blobs += len(outputs)

    def _copy(self, tensor: str) -> str:
        """Return the tensor's name for its next reader."""
        if self._uses[tensor] == 1:
            return tensor
        self._used[tensor] += 1
        return f"{tensor}#{self._used[tensor] - 1}"

    def _input(self, operation: Operation) -> None:
        height, width, channels = operation.output
        self._line("Input", operation, {0: width, 1: height, 2: channels})

    def _convolution(self, operation: Operation) -> None:
        layer, weight = operation.layer, operation.weight
        assert isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)) and weight is not None
        place = layer.window([operation.shape])
        keys = {0: operation.output[2], **_window_keys(place, 1, 11, 3, 13)}
        keys |= {2: place.dilation[1], 12: place.dilation[0], **_sides(place, 4, 14, 15, 16)}
        keys |= {5: 1, 6: weight.size, **_activation(operation.name, operation.clip)}
        if isinstance(layer, layers.DepthwiseConv2D):
            keys[7] = operation.shape[2]  # groups
            self._line("ConvolutionDepthWise", operation, keys)
            self._weighted(operation, weight.transpose(2, 3, 0, 1))  # (C, m, KH, KW)
        else:
            self._line("Convolution", operation, keys)
            self._weighted(operation, weight.transpose(3, 2, 0, 1))  # OIHW

    def _dense(self, operation: Operation) -> None:
        weight = operation.weight
        assert weight is not None
        keys = {0: operation.output[0], 1: 1, 2: weight.size}
        self._line("InnerProduct", operation, keys | _activation(operation.name, operation.clip))
        self._weighted(operation, weight.T)

    def _weighted(self, operation: Operation, weight: np.ndarray) -> None:
        assert operation.bias is not None
        self.weights += [FLOAT32, weight.tobytes(), operation.bias.tobytes()]

    def _add_maps(self, operation: Operation) -> None:
        if operation.clip is None:
            self._line("BinaryOp", operation, {0: 0})
            return
        total = operation._replace(name=f"{operation.name}#sum")
        self._uses[total.name] = 1
        self._line("BinaryOp", total, {0: 0})
        low, high = operation.clip
        clipped = operation._replace(inputs=(total.name,))
        if operation.clip == (0.0, math.inf):
            self._line("ReLU", clipped, {})
        else:
            self._line("Clip", clipped, {0: low, 1: high})

    def _max_pool(self, operation: Operation) -> None:
        layer = operation.layer
        assert isinstance(layer, layers.MaxPool)
        place = layer.window([operation.shape])
        keys = {0: 0, **_window_keys(place, 1, 11, 2, 12), **_sides(place, 3, 13, 14, 15)}
        self._line("Pooling", operation, keys | {5: 1})  # 5: sizes round down

    def _global_average_pool(self, operation: Operation) -> None:
        self._line("Pooling", operation, {0: 1, 4: 1})

    _write: dict[type, Callable[[_Files, Operation], None]] = {
        layers.Input: _input,
        layers.Conv2D: _convolution,
        layers.DepthwiseConv2D: _convolution,
        layers.Dense: _dense,
        layers.Add: _add_maps,
        layers.MaxPool: _max_pool,
        layers.GlobalAveragePool: _global_average_pool,
    }


def _window_keys(place: Window, *keys: int) -> dict[int, int]:
    """Return kernel width and height, stride width and height."""
    return dict(zip(keys, (*place.kernel[::-1], *place.stride[::-1]), strict=True))


def _sides(place: Window, *keys: int) -> dict[int, int]:
    """Return the padding on the left, top, right, bottom."""
    (top, bottom), (left, right) = place.pad
    return dict(zip(keys, (left, top, right, bottom), strict=True))


def _activation(name: str, clip: Clip | None) -> dict[int, Any]:
    """Return keys 9, the kind of the activation, and -23310, an array of its parameters."""
    if clip is None:
        return {}
    if clip == (0.0, math.inf):
        return {9: 1}
    return {9: 3, -23310: f"2,{clip[0]:e},{clip[1]:e}"}
