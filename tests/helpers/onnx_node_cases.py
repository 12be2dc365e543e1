"""Collect the onnx package's own node tests of the operators that we read."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

FILES = (
    "add averagepool batch_normalization cast clip concat constantofshape conv "
    "depthtospace div dropout expand flatten gather gemm globalaveragepool hardsigmoid hardswish "
    "identity leakyrelu lrn matmul max maxpool min mul pad reducemean "
    "relu reshape resize shape sigmoid slice softmax spacetodepth split squeeze sub sum "
    "transpose unsqueeze upsample"
)
TENSORS = {"Add", "Sub", "Mul", "Div", "Sum", "Concat", "Min", "Max"}  # may have several


class NodeCase(NamedTuple):
    """A model with its inputs and the outputs that are expected."""

    name: str
    model: Any  # onnx.ModelProto
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    rtol: float
    atol: float


def node_cases() -> Iterator[NodeCase]:
    """Yield the tests whose inputs are float32.

    A test gives all its inputs as inputs of the model. In networks, weights, axes and shapes are
    initializers, so all inputs but the first become initializers here. If an operator takes several
    tensors, both forms are tested.
    """
    from onnx.backend.test.case import node

    for name in FILES.split():
        import_module(f"onnx.backend.test.case.node.{name}")
    seen = set()
    for case in node._NodeTestCases:
        if case.name in seen:
            continue
        seen.add(case.name)
        if not all(
            isinstance(a, (np.ndarray, np.generic)) for data in case.data_sets[0] for a in data
        ):
            continue
        inputs, outputs = ([np.asarray(array) for array in data] for data in case.data_sets[0])
        if inputs and (inputs[0].dtype != np.float32 or outputs[0].dtype != np.float32):
            continue
        wholes = [False]
        if {n.op_type for n in case.model.graph.node} & TENSORS and len(inputs) > 1:
            wholes = [True, False]
        for whole in wholes:
            model, rest = (case.model, inputs) if whole else _with_initializers(case.model, inputs)
            name = f"{case.name}{'_all_inputs' if whole else ''}"
            yield NodeCase(name, model, rest, outputs, case.rtol, case.atol)


def _with_initializers(model: Any, inputs: list[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
    """Copy the model with all inputs but the first as initializers."""
    from onnx import ModelProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    for value, array in list(zip(copy.graph.input, inputs, strict=True))[1:]:
        copy.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return copy, inputs[:1]
