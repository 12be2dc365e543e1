"""Files that are damaged, lie, or ask for too much: a ValueError names the file and the fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper  # noqa: E402
from onnx_files import model, node, refused  # noqa: E402

from dsconv.onnx.reading.model import load_onnx  # noqa: E402

SIZES = {"x": ["N", 3, 5, 4]}


def convolution(opset: int = 17) -> Any:
    nodes = [node("Conv", "x w", "y", group=1)]
    return model(nodes, SIZES, "y", {"w": np.ones((4, 3, 1, 1), np.float32)}, opset)


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
    content = convolution().SerializeToString()
    for length in range(len(content)):
        refused(content[:length], tmp_path, ".")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_onnx(tmp_path / "none.onnx")


@pytest.mark.parametrize("opset", [1, 6, 29, 10**6, -3])
def test_opsets(opset: int, tmp_path: Path) -> None:
    refused(convolution(opset), tmp_path, f"opset {opset} is not supported, only 7 to 28")


# Well-formed files with one thing changed


def weight(**fields: Any) -> Callable[[Any], None]:
    """Set fields of the convolution's weight."""

    def change(content: Any) -> None:
        for field, value in fields.items():
            if field == "dims":
                content.graph.initializer[0].dims[:] = value
            else:
                setattr(content.graph.initializer[0], field, value)

    return change


def attribute(**attributes: Any) -> Callable[[Any], None]:
    """Replace the attributes of the convolution."""

    def change(content: Any) -> None:
        del content.graph.node[0].attribute[:]
        content.graph.node[0].CopyFrom(node("Conv", "x w", "y", **attributes))

    return change


def external(content: Any) -> None:
    entry = content.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def both_forms(content: Any) -> None:
    content.graph.initializer[0].float_data.append(1.0)


def one_number(content: Any) -> None:
    both_forms(content)
    content.graph.initializer[0].ClearField("raw_data")


def input_type(kind: int) -> Callable[[Any], None]:
    return lambda c: setattr(c.graph.input[0].type.tensor_type, "elem_type", kind)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.ClearField("opset_import"), "one version of the operators, got 0"),
        (lambda c: c.graph.node[0].attribute.append(c.graph.node[0].attribute[0]),
         "Conv node 'y': the attribute 'group' is there twice"),
        # The convolution
        (attribute(group=2), "in 2 groups do not fit the input"),
        (attribute(group=0), "in 0 groups"),
        (attribute(group=-1), "in -1 groups"),
        (attribute(kernel_shape=[3, 3]), "'kernel_shape' does not fit the weights"),
        (attribute(pads=[1, 1]), "'pads' must be four numbers"),
        (attribute(pads=[-1, 0, 0, 0]), "'pads' must be four numbers"),
        (attribute(pads=[2**40, 0, 0, 0]), "padding must be at most"),
        (attribute(pads=[2**30] * 4), "values|too large"),
        (attribute(dilations=[2**62, 1]), "'dilations' must be at most"),
        (attribute(strides=[1, 2, 3]), "'strides' must be an int or a pair"),
        (attribute(auto_pad="SAME"), "'auto_pad' is 'SAME'"),
        (attribute(auto_pad="VALID", pads=[1, 1, 1, 1]), "'pads' is given beside"),
        (attribute(auto_pad=1), "'auto_pad' must be a string"),
        # Its weight. No other file is opened, whatever its path.
        (weight(raw_data=bytes(47)), r"initializer 'w' has 47 bytes, its shape .* takes 48"),
        (weight(raw_data=b""), "has 0 bytes"),
        (weight(dims=[4, 3, 1, 2**60]), "has 48 bytes"),
        (weight(dims=[2**62, 3, 2**62, 2]), "has 48 bytes"),
        (weight(dims=[4, 3, 1, -1]), r"initializer 'w' has the shape \(4, 3, 1, -1\)"),
        (weight(dims=[4, 3, 0, 1], raw_data=b""), "kernel must be at least 1"),
        (weight(dims=[0, 3, 1, 1], raw_data=b""), "do not fit the input"),
        (weight(dims=[1] * 99), "initializer 'w' has the shape .* of 99 sizes"),
        (weight(dims=[4, 3]), "only convolutions of maps"),
        (weight(data_type=TensorProto.FLOAT16), "initializer 'w' is FLOAT16.*float32"),
        (weight(data_type=TensorProto.INT8), "initializer 'w' is INT8"),
        (weight(data_type=TensorProto.DOUBLE, raw_data=bytes(96)),
         "initializer 'w', is float64; only float32"),
        (weight(data_type=TensorProto.INT64, raw_data=bytes(96)),
         "initializer 'w', is int64; only float32"),
        (weight(data_type=77), "unknown type 77"),
        (weight(data_location=TensorProto.EXTERNAL), "initializer 'w' lies in another file"),
        (external, "initializer 'w' lies in another file"),
        (both_forms, "has 48 bytes"),
        (one_number, "initializer 'w' has 1 values, its shape .* takes 12"),
        (lambda c: setattr(c.graph.initializer[0].segment, "begin", 1), "'w' is a segment"),
        (lambda c: c.graph.sparse_initializer.add(), "sparse initializers are not supported"),
        (lambda c: c.graph.initializer.append(c.graph.initializer[0]),
         "two initializers are named 'w'"),
        # Its input
        (input_type(TensorProto.FLOAT16), "input 'x' is FLOAT16; only FLOAT is supported"),
        (input_type(TensorProto.STRING), "input 'x' is STRING; only FLOAT is supported"),
        (input_type(99), "input 'x' is .*99.*; only FLOAT is supported"),
        (lambda c: c.graph.input[0].type.tensor_type.ClearField("shape"), "'x' has no shape"),
        (lambda c: c.graph.input[0].type.Clear(), "input 'x' is not a tensor"),
    ],
)  # fmt: skip
def test_a_changed_convolution(change: Any, message: str, tmp_path: Path) -> None:
    content = convolution()
    change(content)
    refused(content, tmp_path, message)


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
        ([node("If", "x", "y", then_branch=convolution().graph, else_branch=convolution().graph)],
         "If node 'y': the operator is not supported"),
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
        ([node("BatchNormalization", "x c c c v", "y")], r"variance \+ epsilon must be above 0"),
        # An infinite factor: batch norms, which compute scalings, would make NaN of it.
        ([node("Div", "x zero", "y")], "Div node 'y': scaling by infinity"),
        ([node("Div", "x tiny", "y")], "Div node 'y': scaling by infinity"),
        ([node("Mul", "x inf", "y")], "Mul node 'y': scaling by infinity"),
    ],
)  # fmt: skip
def test_nodes(nodes: Any, message: str, tmp_path: Path) -> None:
    ones = np.ones(3, np.float32)
    numbers = {"zero": np.float32(0), "tiny": np.float32(1e-40), "inf": np.float32(np.inf)}
    refused(model(nodes, SIZES, "y", {"c": ones, "v": -ones, **numbers}), tmp_path, message)


@pytest.mark.parametrize(
    "sizes", [[2**62, 2**62], [-5, 3], [0] * 5, [-1, -1], [1] * 70, [], [-(2**63), 1]]
)
def test_reshapes_to_anything(sizes: list[int], tmp_path: Path) -> None:
    constants = {"s": np.array(sizes, np.int64)}
    content = model([node("Reshape", "x s", "y")], SIZES, "y", constants)
    refused(content, tmp_path, "Reshape node 'y'")


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
    """Check that the batch of an example is not taken for that of each call."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s first", "n"), *nodes]
    constants = {"two": [2], "one": np.int64(1), "zero": np.int64(0), "first": np.int64(0)}
    refused(model(nodes, SIZES, "y", constants), tmp_path, "depends on the batch size")


@pytest.mark.parametrize(
    "made",
    [
        node("Div", "one zero", "t"),
        node("Range", "zero one zero", "t"),
        node("Gather", "one two", "t"),
        node("Slice", "one one", "t"),
        node("Cast", "one", "t", to=8),
        node("Reshape", "one two", "t"),
        node("Concat", "one one", "t", axis=7),
        node("Constant", "-", "t"),
        node("Squeeze", "two two", "t"),
    ],
)
def test_constants_that_cannot_be_computed(made: Any, tmp_path: Path) -> None:
    constants = {"two": [2], "one": np.int64(1), "zero": np.int64(0)}
    content = model([made, node("Reshape", "x t", "y")], SIZES, "y", constants)
    refused(content, tmp_path, f"{made.op_type} node 't'")


# Inputs and outputs


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs", "message"),
    [
        ("Relu", {"x": ["N", 3, "height", 4]}, "y", "'x' has the shape .*height.* only the first"),
        ("Relu", {"x": ["N", 3, 0, 4]}, "y", "input 'x' has the shape"),
        ("Relu", {"x": [0, 3, 5, 4]}, "y", "input 'x' has the shape"),
        ("Relu", {"x": ["N", 3, -1, 4]}, "y", "input 'x' has the shape"),
        ("Relu", {"x": []}, "y", "input 'x' is a single number"),
        ("Relu", {"x": ["N", 3, 2**40, 4]}, "y", "more than 2147483647 values"),
        ("Relu", {"x": ["N", 3], "z": ["N", 3]}, "y", "no output depends on the input 'z'"),
        ("Relu", {"x": [1, 3]}, "x x", "two outputs have the same name"),
        ("Add", {"x": [1, 3], "z": [2, 3]}, "y", "batches of different sizes: 1 and 2"),
        ("Add", {"x": [1, 3], "z": [1, 3, 3]}, "y", "batch on different axes"),
    ],
)
def test_inputs(operator: str, inputs: Any, outputs: str, message: str, tmp_path: Path) -> None:
    nodes = [node(operator, "x z" if operator == "Add" else "x", "y")]
    refused(model(nodes, inputs, outputs), tmp_path, message)


# Too much memory or time


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ConstantOfShape", "huge", "c")],
        [node("Expand", "one huge", "c")],
        [node("Range", "zero many step", "c")],
        [node("ConstantOfShape", "long", "i", value=helper.make_tensor("v", 7, [1], [0])),
         node("Gather", "long i", "c")],
        # Each node doubles the constant before it.
        [node("Identity", "ones", "c0"),
         *(node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(60)),
         node("Identity", "c60", "c")],
    ],
)  # fmt: skip
def test_huge_constants(nodes: Any, tmp_path: Path) -> None:
    """Check that huge constants are refused before they are made."""
    constants = {
        "huge": [2**20, 2**20], "one": np.ones(1, np.float32), "long": [2**33],
        "zero": np.float32(0), "many": np.float32(1e12), "step": np.float32(1),
        "ones": np.ones(64, np.float32),
    }  # fmt: skip
    content = model([*nodes, node("Add", "x c", "y")], {"x": ["N", 1]}, "y", constants)
    refused(content, tmp_path, "would take .* bytes, which this file does not account for")


def test_scalings_of_huge_tensors(tmp_path: Path) -> None:
    """Check that a batch norm of 2^29 channels is refused, whose factors would take 10 GB."""
    content = model([node("Mul", "x two", "y")], {"x": ["N", 2**29]}, "y", {"two": np.float32(2)})
    refused(content, tmp_path, "the factors of a scaling would take")


@pytest.mark.parametrize(
    "made",
    [
        node("Resize", "x - - sizes", "y", mode="nearest"),
        node("Resize", "x - - sizes", "y", mode="linear"),
        node("Expand", "x sizes", "y"),
        node("Pad", "x pads", "y"),
        node("Upsample", "x scales", "y"),
        node("Resize", "x - scales", "y"),
        node("Resize", "x - inf", "y"),
    ],
)
def test_huge_tensors(made: Any, tmp_path: Path) -> None:
    constants = {
        "sizes": [1, 3, 2**40, 2**40], "pads": [0] * 6 + [2**40] * 2,
        "scales": np.array([1, 1, 1e9, 1e9], np.float32),
        "inf": np.array([1, 1, np.inf, np.nan], np.float32),
    }  # fmt: skip
    opset = 9 if made.op_type == "Upsample" else 17
    content = model([made], {"x": [1, 3, 1, 1]}, "y", constants, opset)
    refused(content, tmp_path, f"{made.op_type} node 'y'")


def test_many_axes(tmp_path: Path) -> None:
    """Check that a transpose of many axes is refused, because its steps would be too many."""
    nodes = [node("Transpose", "x", "y", perm=[0, *range(20, 0, -1)])]
    refused(model(nodes, {"x": ["N", *[2] * 20]}, "y"), tmp_path, "more than five axes")
