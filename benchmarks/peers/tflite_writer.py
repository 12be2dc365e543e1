"""Write a graph as a .tflite file: a flatbuffer of tensors, buffers and operators.

The schema's classes come with the package `ai-edge-litert`. Tensors are NHWC, convolution weights
OHWI, depthwise weights (1, KH, KW, C), dense weights (units, Cin). Where the padding is neither
"same" nor "valid", a PAD of zeros goes before the operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.folding import Clip, Operation, folded
from dsconv import layers
from dsconv.arguments.window import Window, padding_pixels
from dsconv.graph import Graph

IDENTIFIER = b"TFL3"
VERSION = 3  # of the file format
ALIGNMENT = 16  # bytes, of the buffers


def write_tflite(
    graph: Graph, weights: Mapping[str, Any], path: str | Path, batch: int = 1
) -> None:
    """Write a graph of the layers that `folding` knows.

    Parameters
    ----------
    graph
        One input, one output.
    weights
        Float32 array by parameter name.
    path
        The file.
    batch
        Images in one call; a part of every shape in the file.

    Raises
    ------
    ValueError
        Names a layer that cannot be written.
    """
    Path(path).write_bytes(_Model(folded(graph, weights), batch).packed())


class _Model:
    """Collects tensors and operators, then packs them."""

    def __init__(self, operations: Sequence[Operation], batch: int) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self._batch = batch
        self._buffers = [schema.BufferT()]  # the first one is empty, as the format demands
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[int] = []
        self._index: dict[str, int] = {}  # tensor by the name of its operation
        self._lowest: dict[str, float] = {}  # a lower bound of its values
        for operation in operations:
            self._write[type(operation.layer)](self, operation)
            self._lowest[operation.name] = operation.clip[0] if operation.clip else -math.inf
        self._ends = (self._index[operations[0].name], self._index[operations[-1].name])

    def packed(self) -> bytes:
        import flatbuffers

        schema = self.schema
        graph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=[self._ends[0]],
            outputs=[self._ends[1]],
            operators=self._operators,
            name="main",
        )
        model = schema.ModelT(
            version=VERSION,
            operatorCodes=[
                # codes up to 127 stand in both fields, for older readers
                schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
                for code in self._codes
            ],
            subgraphs=[graph],
            description="",
            buffers=self._buffers,
        )
        builder = flatbuffers.Builder(sum(len(b.data) for b in self._buffers[1:]) + 2**16)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    # Tensors

    def _variable(self, name: str, shape: Sequence[int]) -> int:
        return self._tensor(name, (self._batch, *shape), self.schema.TensorType.FLOAT32, 0)

    def _constant(self, name: str, array: np.ndarray) -> int:
        types = {"f": self.schema.TensorType.FLOAT32, "i": self.schema.TensorType.INT32}
        buffer = _aligned(self.schema)
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._buffers.append(buffer)
        return self._tensor(name, array.shape, types[array.dtype.kind], len(self._buffers) - 1)

    def _tensor(self, name: str, shape: Sequence[int], kind: int, buffer: int) -> int:
        self._tensors.append(
            self.schema.TensorT(shape=list(shape), type=kind, buffer=buffer, name=name)
        )
        return len(self._tensors) - 1

    # Operators

    def _operator(self, code: str, inputs: Sequence[int], output: int, options: Any) -> None:
        """Add an operator; `code` is its name in the schema."""
        number = getattr(self.schema.BuiltinOperator, code)
        if number not in self._codes:
            self._codes.append(number)
        name = type(options).__name__.removesuffix("T")
        self._operators.append(
            self.schema.OperatorT(
                opcodeIndex=self._codes.index(number),
                inputs=list(inputs),
                outputs=[output],
                builtinOptions=options,
                builtinOptionsType=getattr(self.schema.BuiltinOptions, name),
            )
        )

    def _input(self, operation: Operation) -> None:
        self._index[operation.name] = self._variable(operation.name, operation.output)

    def _convolution(self, operation: Operation) -> None:
        layer, weight = operation.layer, operation.weight
        assert isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)) and weight is not None
        place = layer.window([operation.shape])
        x, padding = self._padded(operation, place)
        options = {
            "padding": padding,
            "strideH": place.stride[0],
            "strideW": place.stride[1],
            "dilationHFactor": place.dilation[0],
            "dilationWFactor": place.dilation[1],
            "fusedActivationFunction": self._activation(operation.name, operation.clip),
        }
        if isinstance(layer, layers.DepthwiseConv2D):
            code = "DEPTHWISE_CONV_2D"
            # (KH, KW, C, m) -> (1, KH, KW, C * m)
            weight = weight.reshape(1, *weight.shape[:2], -1)
            chosen = self.schema.DepthwiseConv2DOptionsT(
                **options, depthMultiplier=layer.multiplier
            )
        else:
            code = "CONV_2D"
            weight = weight.transpose(3, 0, 1, 2)  # HWIO -> OHWI
            chosen = self.schema.Conv2DOptionsT(**options)
        self._weighted(code, x, operation, weight, chosen)

    def _dense(self, operation: Operation) -> None:
        assert operation.weight is not None
        options = self.schema.FullyConnectedOptionsT(
            fusedActivationFunction=self._activation(operation.name, operation.clip)
        )
        x = self._index[operation.inputs[0]]
        self._weighted("FULLY_CONNECTED", x, operation, operation.weight.T, options)

    def _weighted(
        self, code: str, x: int, operation: Operation, weight: np.ndarray, options: Any
    ) -> None:
        assert operation.bias is not None
        name = operation.name
        inputs = [
            x,
            self._constant(f"{name}/weight", weight),
            self._constant(f"{name}/bias", operation.bias),
        ]
        self._index[name] = output = self._variable(name, operation.output)
        self._operator(code, inputs, output, options)

    def _add(self, operation: Operation) -> None:
        options = self.schema.AddOptionsT(
            fusedActivationFunction=self._activation(operation.name, operation.clip)
        )
        inputs = [self._index[name] for name in operation.inputs]
        self._index[operation.name] = output = self._variable(operation.name, operation.output)
        self._operator("ADD", inputs, output, options)

    def _max_pool(self, operation: Operation) -> None:
        layer = operation.layer
        assert isinstance(layer, layers.MaxPool)
        place = layer.window([operation.shape])
        x, padding = self._padded(operation, place)
        if x != self._index[operation.inputs[0]] and self._lowest[operation.inputs[0]] < 0:
            raise ValueError(f"layer {operation.name!r}: zeros pad a max pool only behind a ReLU")
        options = self.schema.Pool2DOptionsT(
            padding=padding,
            strideH=place.stride[0],
            strideW=place.stride[1],
            filterHeight=place.kernel[0],
            filterWidth=place.kernel[1],
        )
        self._index[operation.name] = output = self._variable(operation.name, operation.output)
        self._operator("MAX_POOL_2D", [x], output, options)

    def _global_average_pool(self, operation: Operation) -> None:
        axes = self._constant(f"{operation.name}/axes", np.array([1, 2], np.int32))
        keep = len(operation.output) == 3
        inputs = [self._index[operation.inputs[0]], axes]
        self._index[operation.name] = output = self._variable(operation.name, operation.output)
        self._operator("MEAN", inputs, output, self.schema.ReducerOptionsT(keepDims=keep))

    def _padded(self, operation: Operation, place: Window) -> tuple[int, int]:
        """Return an operator's first input and the value of its option `padding`."""
        x = self._index[operation.inputs[0]]
        size = (operation.shape[0], operation.shape[1])
        kinds = {"same": self.schema.Padding.SAME, "valid": self.schema.Padding.VALID}
        for name, kind in kinds.items():
            if place.pad == padding_pixels(name, size, place.kernel, place.stride, place.dilation):
                return x, kind
        pixels = np.array([(0, 0), *place.pad, (0, 0)], np.int32)
        height, width = (size[axis] + sum(place.pad[axis]) for axis in (0, 1))
        name = f"{operation.name}/pad"
        padded = self._variable(name, (height, width, operation.shape[2]))
        inputs = [x, self._constant(f"{name}/pixels", pixels)]
        self._operator("PAD", inputs, padded, self.schema.PadOptionsT())
        return padded, kinds["valid"]

    def _activation(self, name: str, clip: Clip | None) -> int:
        kinds = self.schema.ActivationFunctionType
        known = {None: kinds.NONE, (0.0, math.inf): kinds.RELU, (0.0, 6.0): kinds.RELU6}
        if clip not in known:
            raise ValueError(f"layer {name!r}: the clip {clip} is not written")
        return known[clip]

    _write: dict[type, Callable[[_Model, Operation], None]] = {
        layers.Input: _input,
        layers.Conv2D: _convolution,
        layers.DepthwiseConv2D: _convolution,
        layers.Dense: _dense,
        layers.Add: _add,
        layers.MaxPool: _max_pool,
        layers.GlobalAveragePool: _global_average_pool,
    }


def _aligned(schema: Any) -> Any:
    """Return a buffer whose data start at a multiple of `ALIGNMENT` in the file."""

    class Aligned(schema.BufferT):
        def Pack(self, builder: Any) -> Any:
            builder.Prep(ALIGNMENT, self.data.nbytes)
            return super().Pack(builder)

    return Aligned()
