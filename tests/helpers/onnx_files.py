"""Write small ONNX files node by node, and load them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dsconv.layers import Layer
from dsconv.onnx.reading.model import OnnxModel, load_onnx, read_onnx

Sizes = Sequence[int | str]

_random = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    """Return normal numbers, others at every call."""
    return _random.normal(size=shape).astype(np.float32)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """Make a node named as its first output. Spaces separate tensors, and "-" leaves one out."""
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(operator, *names, name=names[1][0], **attributes)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sizes],
    outputs: str,
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
) -> ModelProto:
    """Make a model of float32 tensors. Lists of integers become int64 constants."""
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
    """Write a file, and return its path."""
    path = folder / "network.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return str(path)


def loaded(content: ModelProto | bytes, folder: Path) -> OnnxModel:
    """Write a file, and load it."""
    return load_onnx(saved(content, folder), threads=1)


def layers_of(content: ModelProto, folder: Path) -> list[Layer]:
    """Return the layers of the graph that a file becomes."""
    return [node.layer for node in read_onnx(saved(content, folder)).graph.nodes.values()]


def kinds(content: ModelProto, folder: Path) -> list[str]:
    """Return the kinds of these layers."""
    return [layer.kind for layer in layers_of(content, folder)]


def listed(results: Any) -> list[np.ndarray]:
    """Return the outputs of a model as a list, even if it has only one."""
    return results if isinstance(results, list) else [results]


def refused(content: Any, folder: Path, message: str) -> None:
    """Check that loading raises an error that begins with the path and holds `message`."""
    path = saved(content, folder)
    with pytest.raises(ValueError, match=message) as error:
        load_onnx(path)
    assert str(error.value).startswith(f"{path}: ")
