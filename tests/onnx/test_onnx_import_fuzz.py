"""Files that ask for too much memory or time, and files with anything in them changed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402
from onnx_files import model, node, refused, saved  # noqa: E402
from onnx_random_models import RandomModel, random_models  # noqa: E402

from dsconv.onnx.reading.model import load_onnx  # noqa: E402

SIZES = {"x": ["N", 3, 5, 4]}


# Too much


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ConstantOfShape", "huge", "c")],
        [node("Expand", "one huge", "c")],
        [node("Range", "zero many step", "c")],
        [node("ConstantOfShape", "long", "i", value=helper.make_tensor("v", 7, [1], [0])),
         node("Gather", "long i", "c")],
    ],
)  # fmt: skip
def test_huge_constants(nodes: Any, tmp_path: Path) -> None:
    """Refused before they are made."""
    constants = {
        "huge": [2**20, 2**20], "one": np.ones(1, np.float32), "long": [2**33],
        "zero": np.float32(0), "many": np.float32(1e12), "step": np.float32(1),
    }  # fmt: skip
    content = model([*nodes, node("Add", "x c", "y")], {"x": ["N", 1]}, "y", constants)
    refused(content, tmp_path, "would take .* bytes, which this file does not account for")


def test_constants_that_double(tmp_path: Path) -> None:
    nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(60)]
    content = model(
        [*nodes, node("Add", "x c60", "y")], {"x": ["N", 1]}, "y", {"c0": np.ones(64, np.float32)}
    )
    refused(content, tmp_path, "would take .* bytes")


def test_scalings_of_huge_tensors(tmp_path: Path) -> None:
    """The factors of a batch norm for 2^29 channels would take 10 GB."""
    nodes = [node("Mul", "x two", "y")]
    content = model(nodes, {"x": ["N", 2**29]}, "y", {"two": np.float32(2)})
    refused(content, tmp_path, "the factors of a scaling would take")


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Resize", "x - - sizes", "y", mode="nearest")],
        [node("Resize", "x - - sizes", "y", mode="linear")],
        [node("Expand", "x sizes", "y")],
        [node("Pad", "x pads", "y")],
        [node("Upsample", "x scales", "y")],
        [node("Resize", "x - scales", "y")],
        [node("Resize", "x - inf", "y")],
    ],
)
def test_huge_tensors(nodes: Any, tmp_path: Path) -> None:
    constants = {
        "sizes": [1, 3, 2**40, 2**40], "pads": [0] * 6 + [2**40] * 2,
        "scales": np.array([1, 1, 1e9, 1e9], np.float32),
        "inf": np.array([1, 1, np.inf, np.nan], np.float32),
    }  # fmt: skip
    content = model(
        nodes, {"x": [1, 3, 1, 1]}, "y", constants, 9 if nodes[0].op_type == "Upsample" else 17
    )
    refused(content, tmp_path, f"{nodes[0].op_type} node 'y'")


def test_many_axes(tmp_path: Path) -> None:
    """A transpose of many axes would be a step for each index of the outer ones."""
    nodes = [node("Transpose", "x", "y", perm=[0, *range(20, 0, -1)])]
    refused(model(nodes, {"x": ["N", *[2] * 20]}, "y"), tmp_path, "more than five axes")


# Fuzzing


def test_reshapes_to_anything(tmp_path: Path) -> None:
    for sizes in ([2**62, 2**62], [-5, 3], [0, 0, 0, 0, 0], [-1, -1], [1] * 70, [], [-(2**63), 1]):
        nodes = [node("Reshape", "x s", "y")]
        constants = {"s": np.array(sizes, np.int64)}
        refused(model(nodes, SIZES, "y", constants), tmp_path, "Reshape node 'y'")


@given(case=random_models(), data=st.data())
def test_flipped_bytes(case: RandomModel, data: Any, tmp_path_factory: Any) -> None:
    """Whatever a byte says, the file loads or is refused."""
    content = bytearray(case.model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    loads_or_refuses(bytes(content), tmp_path_factory)


@given(case=random_models(), data=st.data())
def test_tampered_models(case: RandomModel, data: Any, tmp_path_factory: Any) -> None:
    """Numbers, names and types that are wrong in well-formed files."""
    for _ in range(data.draw(st.integers(1, 3))):
        tamper(case.model, data)
    loads_or_refuses(case.model.SerializeToString(), tmp_path_factory)


ODD = [0, 1, -1, 2, 3, 5, 64, 2**31 - 1, 2**31, -(2**31), 2**62, -(2**63)]


def tamper(content: Any, data: Any) -> None:
    """Change one thing in a model."""
    odd = data.draw(st.sampled_from(ODD))
    graph = content.graph
    if not graph.node:
        return
    a = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
    b = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
    kind = data.draw(st.sampled_from(["operator", "input", "attribute", "dims", "numbers", "size",
                                      "drop", "type", "opset"]))  # fmt: skip
    if kind == "operator":
        a.op_type = b.op_type
    elif kind == "input" and a.input and b.input:
        a.input[data.draw(st.integers(0, len(a.input) - 1))] = data.draw(
            st.sampled_from([*b.input, *b.output, "x", ""])
        )
    elif kind == "attribute" and a.attribute:
        attribute = a.attribute[data.draw(st.integers(0, len(a.attribute) - 1))]
        attribute.i, attribute.f = odd, float(odd)
        if attribute.ints:
            attribute.ints[data.draw(st.integers(0, len(attribute.ints) - 1))] = odd
    elif kind in ("dims", "numbers", "type") and graph.initializer:
        array = graph.initializer[data.draw(st.integers(0, len(graph.initializer) - 1))]
        if kind == "dims" and array.dims:
            array.dims[0] = odd
        elif kind == "numbers" and array.data_type == TensorProto.INT64 and array.raw_data:
            array.raw_data = struct.pack("<q", odd) + array.raw_data[8:]
        elif kind == "type":
            array.data_type = data.draw(st.integers(0, 25))
    elif kind == "size":
        sizes = graph.input[0].type.tensor_type.shape.dim
        sizes[data.draw(st.integers(0, len(sizes) - 1))].dim_value = odd
    elif kind == "drop":
        graph.node.remove(a)
    elif kind == "opset":
        content.opset_import[0].version = data.draw(st.integers(5, 30))


def loads_or_refuses(content: bytes, folders: Any) -> None:
    path = saved(content, folders.mktemp("fuzz"))
    try:
        loaded = load_onnx(path, threads=1)
    except (TypeError, ValueError) as error:
        assert str(error).startswith(f"{path}: ")
        return
    sizes = [int(np.prod(shape)) for shape in (*loaded.inputs.values(), *loaded.outputs.values())]
    if max(sizes) < 10**6 and loaded.arena_bytes[1] < 10**8:
        loaded(*(np.ones((2, *shape), np.float32) for shape in loaded.inputs.values()))
