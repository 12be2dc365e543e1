"""Files that are damaged or lie: a ValueError names the file and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto  # noqa: E402
from onnx_files import model, node, refused  # noqa: E402

from dsconv.onnx.reading.model import load_onnx  # noqa: E402

SIZES = {"x": ["N", 3, 5, 4]}
WEIGHTS = {"w": np.ones((4, 3, 1, 1), np.float32)}
CONV = [node("Conv", "x w", "y")]


# Not a model


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"PK\x03\x04" + bytes(90),
        b"\x89HDF\r\n\x1a\n",
        b"{}",
        bytes(999),
        b"\xff" * 99,
    ],
)
def test_other_formats(content: bytes, tmp_path: Path) -> None:
    refused(content, tmp_path, "not an ONNX file, or a damaged one")


def test_every_truncation(tmp_path: Path) -> None:
    content = model(CONV, SIZES, "y", WEIGHTS).SerializeToString()
    for length in range(len(content)):
        refused(content[:length], tmp_path, ".")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_onnx(tmp_path / "none.onnx")


@pytest.mark.parametrize("opset", [1, 6, 29, 10**6, -3])
def test_opsets(opset: int, tmp_path: Path) -> None:
    refused(model(CONV, SIZES, "y", WEIGHTS, opset), tmp_path, f"opset {opset} is not supported")


def test_no_opset(tmp_path: Path) -> None:
    content = model(CONV, SIZES, "y", WEIGHTS)
    del content.opset_import[:]
    refused(content, tmp_path, "one version of the operators, got 0")


# Nodes


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Relu", "none", "y")], "Relu node 'y': the input 'none' is made by nothing before"),
        ([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")],
         "Add node 'a': the input 'b' is made by nothing before"),
        ([node("Relu", "y", "y")], "the input 'y' is made by nothing before"),
        ([node("Relu", "x", "x")], "the tensor 'x' is there already"),
        ([node("Relu", "x", "y"), node("Relu", "x", "y")], "the tensor 'y' is there already"),
        ([node("Relu", "x", "other")], "the output 'y' is made by nothing"),
        ([node("Celu", "x", "y")], "Celu node 'y': the operator is not supported"),
        ([node("Relu", "x", "y", domain="com.example")], "the operator of 'com.example' is not"),
        ([node("Relu", "x", "y", alpha=1.0)], "Relu node 'y': the attribute 'alpha' is not supp"),
        ([node("Relu", "x x", "y")], "takes at most 1 inputs, got 2"),
        ([node("Relu", "-", "y")], "needs 1 inputs"),
        ([node("Relu", "c", "y")], r"input 1 \('c'\) must be computed from the network's input"),
        ([node("LeakyRelu", "x", "y", alpha=1)], "the attribute 'alpha' must be a number"),
        ([node("LeakyRelu", "x", "y", alpha=float("nan"))], "slope must be finite"),
        ([node("Concat", "x x", "y")], "the attribute 'axis' is missing"),
        ([node("Concat", "x x", "y", axis=4)], "axis 4 is out of range"),
        ([node("Transpose", "x", "y", perm=[0, 1, 1, 2])], "'perm' .* does not fit"),
        ([node("MaxPool", "x", "y")], "only poolings of maps"),
        ([node("MaxPool", "x", "y", kernel_shape=[0, 2])], "kernel must be at least 1"),
        ([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[9, 0, 0, 0])], "must be smaller"),
        ([node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[0, 1])], "'strides' must be"),
        ([node("LRN", "x", "y", size=4)], "the attribute 'size' must be odd"),
        ([node("MaxPool", "x", "m y", kernel_shape=[2, 2])], "'y' is not there: the indices of"),
        ([node("Relu", "x", "z"), node("Identity", "c", "y")], "the output 'y' does not depend on"),
    ],
)  # fmt: skip
def test_nodes(nodes: Any, message: str, tmp_path: Path) -> None:
    refused(model(nodes, SIZES, "y", {"c": np.ones(3, np.float32)}), tmp_path, message)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"group": 2}, "in 2 groups do not fit the input"),
        ({"group": 0}, "in 0 groups"),
        ({"group": -1}, "in -1 groups"),
        ({"kernel_shape": [3, 3]}, "'kernel_shape' does not fit the weights"),
        ({"pads": [1, 1]}, "'pads' must be four numbers"),
        ({"pads": [-1, 0, 0, 0]}, "'pads' must be four numbers"),
        ({"pads": [2**40, 0, 0, 0]}, "padding must be at most"),
        ({"pads": [2**30] * 4}, "values|too large"),
        ({"dilations": [2**62, 1]}, "'dilations' must be at most"),
        ({"strides": [1, 2, 3]}, "'strides' must be an int or a pair"),
        ({"auto_pad": "SAME"}, "'auto_pad' is 'SAME'"),
        ({"auto_pad": "VALID", "pads": [1, 1, 1, 1]}, "'pads' is given beside"),
        ({"auto_pad": 1}, "'auto_pad' must be a string"),
    ],
)
def test_convolutions(attributes: Any, message: str, tmp_path: Path) -> None:
    content = model([node("Conv", "x w", "y", **attributes)], SIZES, "y", WEIGHTS)
    refused(content, tmp_path, message)


def test_an_attribute_twice(tmp_path: Path) -> None:
    content = model([node("Conv", "x w", "y", group=1)], SIZES, "y", WEIGHTS)
    content.graph.node[0].attribute.append(content.graph.node[0].attribute[0])
    refused(content, tmp_path, "Conv node 'y': the attribute 'group' is there twice")


def test_subgraphs(tmp_path: Path) -> None:
    body = model([node("Relu", "x", "z")], SIZES, "z").graph
    content = model([node("If", "x", "y", then_branch=body, else_branch=body)], SIZES, "y")
    refused(content, tmp_path, "If node 'y': the operator is not supported")


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Mul", "s two", "t"), node("Reshape", "x t", "y")],
        [node("Equal", "s two", "e"), node("Where", "e s two", "t"), node("Reshape", "x t", "y")],
        [node("Cast", "s", "t", to=1), node("Add", "x t", "y")],
        [node("ConstantOfShape", "s", "t"), node("Add", "x t", "y")],
        [node("Expand", "one s", "t"), node("Add", "x t", "y")],
        [node("Range", "zero n one", "t"), node("Add", "x t", "y")],
    ],
)
def test_numbers_that_depend_on_the_batch(nodes: Any, tmp_path: Path) -> None:
    """Known only at the call: never taken to be that of an example."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s first", "n"), *nodes]
    constants = {"two": [2], "one": np.int64(1), "zero": np.int64(0), "first": np.int64(0)}
    refused(model(nodes, SIZES, "y", constants), tmp_path, "depends on the batch size")


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Div", "one zero", "t")],
        [node("Range", "zero one zero", "t")],
        [node("Gather", "one two", "t")],
        [node("Slice", "one one", "t")],
        [node("Cast", "one", "t", to=8)],
        [node("Reshape", "one two", "t")],
        [node("Concat", "one one", "t", axis=7)],
        [node("Constant", "-", "t")],
        [node("Squeeze", "two two", "t")],
    ],
)
def test_constants_that_cannot_be_computed(nodes: Any, tmp_path: Path) -> None:
    constants = {"two": [2], "one": np.int64(1), "zero": np.int64(0)}
    content = model([*nodes, node("Reshape", "x t", "y")], SIZES, "y", constants)
    refused(content, tmp_path, f"{nodes[0].op_type} node 't'")


# Inputs and outputs


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (["N", 3, "height", 4], "input 'x' has the shape .*height.* only the first size"),
        (["N", 3, 0, 4], "input 'x' has the shape"),
        ([0, 3, 5, 4], "input 'x' has the shape"),
        (["N", 3, -1, 4], "input 'x' has the shape"),
        ([], "input 'x' is a single number"),
        (["N", 3, 2**40, 4], "more than 2147483647 values"),
    ],
)
def test_inputs(sizes: Any, message: str, tmp_path: Path) -> None:
    refused(model([node("Relu", "x", "y")], {"x": sizes}, "y"), tmp_path, message)


def test_inputs_of_other_types(tmp_path: Path) -> None:
    content = model([node("Relu", "x", "y")], SIZES, "y")
    value = content.graph.input[0].type.tensor_type
    for kind, name in (
        (TensorProto.FLOAT16, "FLOAT16"),
        (TensorProto.STRING, "STRING"),
        (99, "99"),
    ):
        value.elem_type = kind
        refused(content, tmp_path, f"input 'x' is .*{name}.*; only FLOAT is supported")
    value.elem_type = TensorProto.FLOAT
    value.ClearField("shape")
    refused(content, tmp_path, "input 'x' has no shape")
    content.graph.input[0].type.Clear()
    refused(content, tmp_path, "input 'x' is not a tensor")


def test_inputs_that_do_not_fit_each_other(tmp_path: Path) -> None:
    nodes = [node("Add", "x z", "y")]
    refused(model(nodes, {"x": [1, 3], "z": [2, 3]}, "y"), tmp_path, "batches of different sizes")
    refused(model(nodes, {"x": [1, 3], "z": [1, 3, 3]}, "y"), tmp_path, "batch on different axes")
    refused(model(nodes[:0], {"x": [1, 3]}, "x x"), tmp_path, "two outputs have the same name")
    unused = model([node("Relu", "x", "y")], {"x": ["N", 3], "z": ["N", 3]}, "y")
    refused(unused, tmp_path, "no output depends on the input 'z'")


# Arrays


def with_weight(**changes: Any) -> Any:
    """A convolution whose weight is tampered with."""
    content = model(CONV, SIZES, "y", WEIGHTS)
    for field, value in changes.items():
        if field == "dims":
            content.graph.initializer[0].dims[:] = value
        else:
            setattr(content.graph.initializer[0], field, value)
    return content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw_data": bytes(47)}, r"initializer 'w' has 47 bytes, its shape .* takes 48"),
        ({"raw_data": b""}, "has 0 bytes"),
        ({"dims": [4, 3, 1, 2**60]}, "has 48 bytes"),
        ({"dims": [2**62, 3, 2**62, 2]}, "has 48 bytes"),
        ({"dims": [4, 3, 1, -1]}, r"initializer 'w' has the shape \(4, 3, 1, -1\)"),
        ({"dims": [4, 3, 0, 1], "raw_data": b""}, "kernel must be at least 1"),
        ({"dims": [0, 3, 1, 1], "raw_data": b""}, "do not fit the input"),
        ({"dims": [1] * 99}, "initializer 'w' has the shape"),
        ({"dims": [4, 3]}, "only convolutions of maps"),
        ({"data_type": TensorProto.FLOAT16}, "initializer 'w' is FLOAT16.*float32"),
        ({"data_type": TensorProto.INT8}, "initializer 'w' is INT8"),
        (
            {"data_type": TensorProto.DOUBLE, "raw_data": bytes(96)},
            "initializer 'w', is float64; only float32",
        ),
        (
            {"data_type": TensorProto.INT64, "raw_data": bytes(96)},
            "initializer 'w', is int64; only float32",
        ),
        ({"data_type": 77}, "unknown type 77"),
        ({"data_location": TensorProto.EXTERNAL}, "initializer 'w' lies in another file"),
    ],
)
def test_arrays(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    refused(with_weight(**changes), tmp_path, message)


def test_arrays_in_other_files(tmp_path: Path) -> None:
    """Never opened, whatever their path."""
    content = with_weight()
    entry = content.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    refused(content, tmp_path, "initializer 'w' lies in another file")


def test_arrays_in_two_forms(tmp_path: Path) -> None:
    content = with_weight()
    content.graph.initializer[0].float_data.append(1.0)
    refused(content, tmp_path, "has 48 bytes")
    content.graph.initializer[0].ClearField("raw_data")
    refused(content, tmp_path, "initializer 'w' has 1 values, its shape .* takes 12")


def test_segments_sparse_and_nameless_arrays(tmp_path: Path) -> None:
    content = with_weight()
    content.graph.initializer[0].segment.begin = 1
    refused(content, tmp_path, "initializer 'w' is a segment")
    content = with_weight()
    content.graph.sparse_initializer.add()
    refused(content, tmp_path, "sparse initializers are not supported")
    content = with_weight()
    content.graph.initializer.append(content.graph.initializer[0])
    refused(content, tmp_path, "two initializers are named 'w'")


def test_variances_below_zero(tmp_path: Path) -> None:
    ones = np.ones(3, np.float32)
    content = model(
        [node("BatchNormalization", "x s s s v", "y")], SIZES, "y", {"s": ones, "v": -ones}
    )
    refused(content, tmp_path, r"variance \+ epsilon must be above 0")
