"""Small ONNX files, written node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dsconv.onnx.reading.model import read_onnx

Sizes = Sequence[int | str]

_random = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    """Normal numbers, other ones at every call."""
    return _random.normal(size=shape).astype(np.float32)


def kinds(path: str) -> list[str]:
    """The layer kinds of the graph that a file becomes."""
    return [n.layer.kind for n in read_onnx(path).graph.nodes.values()]


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node named as its first output; names of tensors by spaces, "-" leaves one out."""
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(operator, *names, name=names[1][0], **attributes)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sizes],
    outputs: str,
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
) -> ModelProto:
    """A model of float32 tensors; lists of integers are int64 constants."""
    arrays = {
        name: np.asarray(value, np.int64 if _whole(value) else None)
        for name, value in (constants or {}).items()
    }
    return helper.make_model(
        helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs.split()],
            [numpy_helper.from_array(array, name) for name, array in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def _whole(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) for item in value)


def saved(content: ModelProto | bytes, folder: Path) -> str:
    """The path of a file."""
    path = folder / "network.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return str(path)


def refused(content: Any, folder: Path, message: str) -> None:
    """Loading the file raises an error that begins with its path and holds `message`."""
    path = saved(content, folder)
    from dsconv.onnx.reading.model import load_onnx

    with pytest.raises(ValueError, match=message) as error:
        load_onnx(path)
    assert str(error.value).startswith(f"{path}: ")
