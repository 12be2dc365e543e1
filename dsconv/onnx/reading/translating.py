"""Translate the nodes of an ONNX file, one by one, to a graph with weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from dsconv import layers
from dsconv.graph import Graph
from dsconv.layers import Shape
from dsconv.onnx.reading.budget import Budget
from dsconv.onnx.reading.constant_folding import FOLDS, fold
from dsconv.onnx.reading.file import DOMAINS, FileInput, FileNode, OnnxFile
from dsconv.onnx.reading.graph_builder import GraphBuilder, Read
from dsconv.onnx.reading.operators import OPERATORS, Call
from dsconv.onnx.reading.values import Constant, Missing, Tensor, Value
from dsconv.weights.file import shorten


class Network(NamedTuple):
    """The translated file."""

    graph: Graph
    weights: Mapping[str, np.ndarray]
    inputs: dict[str, Shape]  # as in the file, without the batch
    outputs: dict[str, Shape]


class LazyWeights(Mapping[str, np.ndarray]):
    """Arrays by parameter name. Each use reads the array from the file and transposes it."""

    def __init__(self, reads: dict[str, Read]) -> None:
        self._reads = reads

    def __getitem__(self, name: str) -> np.ndarray:
        return self._reads[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._reads)

    def __len__(self) -> int:
        return len(self._reads)


def translate(file: OnnxFile) -> Network:
    """Translate all nodes.

    Raises
    ------
    ValueError
        If something is not supported, or a tensor is missing. The message names the operator and
        the node, or the tensor.
    """
    builder = GraphBuilder(file.name, Budget(file.size))
    inputs: dict[str, Shape] = {}
    names: dict[str, str] = {}  # in the file -> in the graph
    batch: int | None = None
    for number, value in enumerate(file.inputs):
        shape, size = _input_shape(value)
        if number and size != batch:
            raise ValueError(
                f"the inputs have batches of different sizes: {batch or 'N'} and {size or 'N'}"
            )
        batch = size
        if value.name in inputs:
            raise ValueError(f"two inputs are named {shorten(value.name)}")
        inputs[value.name] = shape
        names[value.name] = builder.unique_name(value.name)
    if not inputs:
        raise ValueError("the network has no inputs")
    if len(set(file.outputs)) < len(file.outputs):
        raise ValueError("two outputs have the same name")
    outputs = [names.get(name) or builder.unique_name(name) for name in file.outputs]
    values: dict[str, Value] = dict(file.constants)
    for name, shape in inputs.items():
        values[name] = builder.input(names[name], shape)
    for node in file.nodes:
        _add(node, values, builder, file.opset, batch)
    results: list[Tensor] = []
    for name, output in zip(file.outputs, outputs, strict=True):
        builder.hint = output
        result = _output(name, values)
        results.append(result._replace(name=builder.plain(result)))
    graph, reads = _finished(builder, [value.name for value in results], outputs)
    unused = [name for name in inputs if names[name] not in graph.nodes]
    if unused:
        raise ValueError(f"no output depends on the input {shorten(unused[0])}")
    shapes = {name: value.shape for name, value in zip(file.outputs, results, strict=True)}
    return Network(graph, LazyWeights(reads), inputs, shapes)


def _input_shape(value: FileInput) -> tuple[Shape, int | None]:
    """Return the shape of one example, and the batch size if the file fixes it."""
    what = f"input {shorten(value.name)}"
    if not value.sizes:
        raise ValueError(f"{what} is a single number; it must have a batch axis")
    batch, *rest = value.sizes
    shape = tuple(size for size in rest if isinstance(size, int))
    if len(shape) < len(rest):
        raise ValueError(
            f"{what} has the shape {value.sizes}; only the first size may be left open: "
            "export the network with fixed sizes"
        )
    if any(isinstance(size, int) and size < 1 for size in value.sizes):
        raise ValueError(f"{what} has the shape {value.sizes}; sizes must be at least 1")
    return shape, batch if isinstance(batch, int) else None


def _add(
    node: FileNode, values: dict[str, Value], builder: GraphBuilder, opset: int, batch: int | None
) -> None:
    """Translate one node, and name it in errors."""
    try:
        if node.domain not in DOMAINS:
            raise ValueError(f"the operator of {shorten(node.domain)} is not supported")
        if node.operator not in OPERATORS and node.operator not in FOLDS:
            raise ValueError("the operator is not supported")
        inputs = [_input(name, values) for name in node.inputs]
        while inputs and inputs[-1] is None:
            inputs.pop()
        constants = [value for value in inputs if value is None or isinstance(value, Constant)]
        result: Value | list[Value]
        if len(constants) == len(inputs) and node.operator in FOLDS:
            result = [*fold(node, constants, opset, builder.budget)]
        elif node.operator in OPERATORS:
            builder.hint = node.name
            result = OPERATORS[node.operator](Call(node, inputs, builder, opset, batch))
        else:
            raise ValueError("supported only on constants")
        node.finish()
        found = result if isinstance(result, list) else [result]
        found += [Missing("the operator has no such output")] * (len(node.outputs) - len(found))
        for name, value in zip(node.outputs, found, strict=False):
            if name in values:
                raise ValueError(f"the tensor {shorten(name)} is there already")
            if name:
                values[name] = value
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{node}: {error}") from None


def _input(name: str, values: dict[str, Value]) -> Value | None:
    """Return the value of an input of a node, or None if the input is left out."""
    if not name:
        return None
    if name not in values:
        raise ValueError(f"the input {shorten(name)} is made by nothing before this node")
    value = values[name]
    if isinstance(value, Missing):
        raise ValueError(f"the input {shorten(name)} is not there: {value.why}")
    return value


def _output(name: str, values: dict[str, Value]) -> Tensor:
    """Return the tensor of an output of the network."""
    value = values.get(name)
    if isinstance(value, Tensor):
        return value
    if value is None:
        why = "is made by nothing"
    elif isinstance(value, Constant):
        why = "does not depend on an input"
    else:
        why = f"is not there: {value.why}" if isinstance(value, Missing) else "is a sum of squares"
    raise ValueError(f"the output {shorten(name)} {why}")


def _finished(
    builder: GraphBuilder, results: list[str], outputs: list[str]
) -> tuple[Graph, dict[str, Read]]:
    """Leave out what no output needs, and give the outputs their names."""
    old = builder.graph
    needed = {tensor.partition(":")[0] for tensor in results}
    for node in reversed(old.nodes.values()):
        if node.name in needed:
            needed.update(tensor.partition(":")[0] for tensor in node.inputs)
    renamed: dict[str, str] = {}
    for tensor, output in zip(results, outputs, strict=True):
        if tensor in old.nodes and tensor not in renamed and tensor not in old.inputs:
            renamed[tensor] = output
    graph = Graph(old.name)
    reads = {}
    for node in old.nodes.values():
        if node.name not in needed:
            continue
        name = renamed.get(node.name, node.name)
        graph.add(node.layer, *(renamed.get(t, t) for t in node.inputs), name=name)
        for parameter in node.layer.parameters(graph.input_shapes(name)):
            reads[f"{name}/{parameter}"] = builder.reads[f"{node.name}/{parameter}"]
    final = []
    for tensor, output in zip(results, outputs, strict=True):
        tensor = renamed.get(tensor, tensor)
        if tensor != output:  # an input, a part of a split, or one tensor under two names
            tensor = graph.add(layers.Reshape(graph.shape(tensor)), tensor, name=output)
        final.append(tensor)
    graph.output(*final)
    return graph, reads
