"""From the nodes of an ONNX file to a graph with weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dsconv import layers
from dsconv.graph import Graph
from dsconv.layers import Shape
from dsconv.onnx.reading.building import Builder, LazyWeights, Read, legal
from dsconv.onnx.reading.file import DOMAINS, FileInput, FileNode, OnnxFile
from dsconv.onnx.reading.folding import FOLDS, fold
from dsconv.onnx.reading.operators import OPERATORS, Call, Result
from dsconv.onnx.reading.values import Budget, Constant, Missing, SquareSum, Tensor, Value
from dsconv.weights.file import shorten


class Network(NamedTuple):
    """What `translate` makes."""

    graph: Graph
    weights: Mapping[str, np.ndarray]  # read from the file when they are asked for
    inputs: dict[str, Shape]  # as in the file, without the batch
    outputs: dict[str, Shape]


def translate(file: OnnxFile) -> Network:
    """Translate all nodes.

    Raises
    ------
    ValueError
        Names operator and node of whatever is not supported, and the tensors that are missing.
    """
    inputs: dict[str, Shape] = {}
    names: dict[str, str] = {}
    batch: int | None = None
    for number, value in enumerate(file.inputs):
        shape, size = _input_shape(value)
        if number and size != batch:
            raise ValueError("the inputs have batches of different sizes")
        batch = size
        if value.name in inputs:
            raise ValueError(f"two inputs are named {shorten(value.name)}")
        inputs[value.name] = shape
        names[value.name] = _unique(value.name, names.values())
    if not inputs:
        raise ValueError("the network has no inputs")
    if len(set(file.outputs)) < len(file.outputs):
        raise ValueError("two outputs have the same name")
    outputs: list[str] = []
    for name in file.outputs:
        outputs.append(names.get(name) or _unique(name, [*names.values(), *outputs]))
    builder = Builder(file.name, Budget(file.size), [*names.values(), *outputs])
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
    return Network(
        graph,
        LazyWeights(reads),
        inputs,
        {name: value.shape for name, value in zip(file.outputs, results, strict=True)},
    )


def _input_shape(value: FileInput) -> tuple[Shape, int | None]:
    """Shape of one example, and the batch size if it is fixed."""
    what = f"input {shorten(value.name)}"
    if not value.sizes:
        raise ValueError(f"{what} is a single number; it must have a batch axis")
    for size in value.sizes[1:]:
        if not isinstance(size, int):
            raise ValueError(
                f"{what} has the shape {value.sizes}; only the first size may be left open: "
                "export the network with fixed sizes"
            )
    if any(isinstance(size, int) and size < 1 for size in value.sizes):
        raise ValueError(f"{what} has the shape {value.sizes}")
    first, *rest = value.sizes
    return tuple(int(size) for size in rest if size is not None), (
        first if isinstance(first, int) else None
    )


def _add(
    node: FileNode, values: dict[str, Value], builder: Builder, opset: int, batch: int | None
) -> None:
    """Translate one node; errors name it."""
    try:
        if node.domain not in DOMAINS or (
            node.operator not in OPERATORS and node.operator not in FOLDS
        ):
            domain = "" if node.domain in DOMAINS else f" of {shorten(node.domain)}"
            raise ValueError(f"the operator{domain} is not supported")
        inputs = [_input(name, values) for name in node.inputs]
        while inputs and inputs[-1] is None:
            inputs.pop()
        known = [value for value in inputs if value is None or isinstance(value, Constant)]
        result: Result
        if len(known) == len(inputs) and node.operator in FOLDS:
            result = fold(node, known, opset, builder.budget)
        elif node.operator in OPERATORS:
            builder.hint = node.name
            result = OPERATORS[node.operator](Call(node, inputs, builder, opset, batch))
        else:
            raise ValueError("supported only on constants")
        node.finish()
        found: list[Value] = (
            [result] if isinstance(result, (Tensor, Constant, SquareSum)) else list(result)  # type: ignore[arg-type]
        )
        for index, name in enumerate(node.outputs):
            if not name:
                continue
            if name in values:
                raise ValueError(f"the tensor {shorten(name)} is there already")
            values[name] = (
                found[index] if index < len(found) else Missing("the operator has no such output")
            )
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{node}: {error}") from None


def _input(name: str, values: dict[str, Value]) -> Value | None:
    """What stands behind the name of an input."""
    if not name:
        return None
    if name not in values:
        raise ValueError(f"the input {shorten(name)} is made by nothing before this node")
    value = values[name]
    if isinstance(value, Missing):
        raise ValueError(f"the input {shorten(name)} is not there: {value.why}")
    return value


def _output(name: str, values: dict[str, Value]) -> Tensor:
    """What stands behind the name of an output."""
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


def _unique(name: str, taken: object) -> str:
    """A name as graphs allow it, unlike those in `taken`."""
    base = unique = legal(name) or "tensor"
    number = 2
    while unique in taken:  # type: ignore[operator]
        unique = f"{base}_{number}"
        number += 1
    return unique


def _finished(
    builder: Builder, results: list[str], outputs: list[str]
) -> tuple[Graph, dict[str, Read]]:
    """The graph without what no output needs, and with the outputs under their names."""
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
