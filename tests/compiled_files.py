"""What tests of hostile .dsconv files share: good files, and how to change and try them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import two_inputs

from dsconv.classifier import Classifier
from dsconv.compiled import _GRAPH
from dsconv.graph import Graph
from dsconv.layers import Add
from dsconv.loading import COMPILED, load
from dsconv.onnx.loading import OnnxModel
from dsconv.preprocessing import Preprocessing
from dsconv.saving import save
from dsconv.weights.safetensors import SafetensorsFile, write_safetensors

MEGABYTE = 2**20
KINDS = ("Model", "Classifier", "OnnxModel")


def picture_network() -> Graph:
    """Every kind of array and a chain of three stages."""
    graph = Graph("pictures")
    x = graph.l2_normalize(graph.batch_norm(graph.input((6, 6, 3), name="picture")))
    y = graph.conv2d(graph.relu6(graph.depthwise_conv2d(graph.conv2d(x, 9, bias=False))), 3)
    y = graph.conv2d(graph.add(Add(), x, y), 4, 3, stride=2, groups=1, padding=1)
    y = graph.local_response_norm(graph.depthwise_conv2d(y, 3, multiplier=2))
    graph.output(graph.softmax(graph.dense(graph.global_average_pool(y), 5, name="logits")))
    return graph


def saved(kind: str, folder: Path) -> Path:
    path = folder / "model.dsconv"
    model = two_inputs().compile()
    if kind != "Model":
        model = picture_network().compile()
    if kind == "Classifier":
        about = Preprocessing("tensorflow"), 5, list("abcde")
        model = Classifier(model.name, model._lowered, None, "a family", *about)
    if kind == "OnnxModel":
        shapes: tuple[Any, Any] = ({"x": (3, 6, 6)}, {"y": (5, 1)})
        model = OnnxModel(model.name, model._lowered, None, *shapes)
    save(model, path)
    return path


class Content:
    """What is in such a file, to be changed and written again."""

    def __init__(self, path: Path) -> None:
        with SafetensorsFile(path) as file:
            self.about, self.graph = (json.loads(file.metadata[n]) for n in (COMPILED, _GRAPH))
            self.arrays = file.read_all()

    def write(self, path: Path) -> None:
        write(path, json.dumps(self.about), json.dumps(self.graph), self.arrays)


def write(path: Path, about: str, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
    write_safetensors(path, arrays, {COMPILED: about, _GRAPH: graph})


def refused(path: Path, message: str = "") -> None:
    with pytest.raises(ValueError, match=f"(?s)model.dsconv: .*{message}"):
        load(path)


def attempt(path: Path) -> Any:
    """The model, or None where the file is refused by a ValueError that names it."""
    try:
        return load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        return None


def runs(model: Any) -> None:
    """Whatever was loaded, on a batch of two unless that would take long."""
    if model is None:
        return
    sizes = [math.prod(shape) for shape in (*model.inputs.values(), *model.outputs.values())]
    if max(*sizes, *model.arena_bytes) > 10 * MEGABYTE:
        return
    x = tuple(np.ones((2, *shape), np.float32) for shape in model.inputs.values())
    y = model(*x) if isinstance(model, OnnxModel) else model(x)
    y = y if isinstance(y, (tuple, list)) else (y,)
    assert [a.shape for a in y] == [(2, *shape) for shape in model.outputs.values()]
    if isinstance(model, Classifier) and model.classes:
        assert model.features(x[0]).ndim == 2
        if model.preprocessing:
            (shape,) = model.inputs.values()
            assert model.classify(np.zeros(shape, np.uint8), top=99)
