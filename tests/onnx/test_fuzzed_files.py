"""Files in which anything is changed: they load and run, or an error names the file."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from file_formats import check_onnx  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto  # noqa: E402
from onnx_files import saved  # noqa: E402
from onnx_random_models import RandomModel, random_models  # noqa: E402


@given(case=random_models(), data=st.data())
def test_flipped_bytes(case: RandomModel, data: Any, tmp_path_factory: Any) -> None:
    """Change bytes to any value."""
    content = bytearray(case.model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    loads_or_refuses(bytes(content), tmp_path_factory)


@given(case=random_models(), data=st.data())
def test_tampered_models(case: RandomModel, data: Any, tmp_path_factory: Any) -> None:
    """Change numbers, names and types in well-formed files."""
    for _ in range(data.draw(st.integers(1, 3))):
        tamper(case.model, data)
    loads_or_refuses(case.model.SerializeToString(), tmp_path_factory)


ODD = [0, 1, -1, 2, 3, 5, 64, 2**31 - 1, 2**31, -(2**31), 2**62, -(2**63)]
KINDS = "operator input attribute dims numbers size drop type opset".split()


def tamper(content: Any, data: Any) -> None:
    """Change one thing in a model."""

    def index(values: Any) -> int:
        return data.draw(st.integers(0, len(values) - 1))

    odd, kind = data.draw(st.sampled_from(ODD)), data.draw(st.sampled_from(KINDS))
    graph = content.graph
    if not graph.node:
        return
    a, b = graph.node[index(graph.node)], graph.node[index(graph.node)]
    if kind == "operator":
        a.op_type = b.op_type
    elif kind == "input" and a.input and b.input:
        a.input[index(a.input)] = data.draw(st.sampled_from([*b.input, *b.output, "x", ""]))
    elif kind == "attribute" and a.attribute:
        attribute = a.attribute[index(a.attribute)]
        attribute.i, attribute.f = odd, float(odd)
        if attribute.ints:
            attribute.ints[index(attribute.ints)] = odd
    elif kind in ("dims", "numbers", "type") and graph.initializer:
        array = graph.initializer[index(graph.initializer)]
        if kind == "dims" and array.dims:
            array.dims[0] = odd
        elif kind == "numbers" and array.data_type == TensorProto.INT64 and array.raw_data:
            array.raw_data = struct.pack("<q", odd) + array.raw_data[8:]
        elif kind == "type":
            array.data_type = data.draw(st.integers(0, 25))
    elif kind == "size":
        sizes = graph.input[0].type.tensor_type.shape.dim
        sizes[index(sizes)].dim_value = odd
    elif kind == "drop":
        graph.node.remove(a)
    elif kind == "opset":
        content.opset_import[0].version = data.draw(st.integers(5, 30))


def loads_or_refuses(content: bytes, folders: Any) -> None:
    path = Path(saved(content, folders.mktemp("fuzz")))
    with contextlib.suppress(TypeError, ValueError):  # with a message that names the file
        check_onnx(path)
