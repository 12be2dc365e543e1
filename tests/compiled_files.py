"""What tests of hostile .dsconv files share: good files, and how to change and try them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import two_inputs

from dsconv import _dispatch
from dsconv.classifier import Classifier
from dsconv.compiled import _GRAPH, VERSION
from dsconv.graph import Graph
from dsconv.layers import Add
from dsconv.loading import COMPILED, load
from dsconv.onnx.loading import OnnxModel
from dsconv.preprocessing import Preprocessing
from dsconv.saving import save
from dsconv.weights.safetensors import SafetensorsFile

MEGABYTE = 2**20
KINDS = ("Model", "Classifier", "OnnxModel")

# Every value in the metadata

JUNK = [
    None, True, False, 0, 1, -1, 2, 7, 2**31 - 1, 2**31, 2**40 + 1, 10**18, 10**30, 0.5, 1e308, "",
    "x", "inf", "-inf", "same", "fused", "Model", "OnnxModel", "tensorflow", [], [1], [0, 1], [3, 3],
    [[1, 2], [0, 0]], ["a", "b", "c"], [[[[]]]], {}, {"x": [3]}, {"x": 3}, {"kind": "fused"},
    {"kind": "clip", "attributes": {"low": 0, "high": 1}},
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All containers of a JSON value, each with all its keys."""
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in list(items):
        yield value, key
        if isinstance(item, (list, dict)):
            yield from places(item)


def repeat(container: Any, key: Any) -> None:
    """A value twice: at the end of its list, or under another key."""
    if isinstance(container, list):
        container.append(container[key])
    else:
        container[f"{key}_"] = container[key]


# Good files


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
    """Without the care and the time that `write_safetensors` takes."""
    header: dict[str, Any] = {"__metadata__": {COMPILED: about, _GRAPH: graph}}
    end = 0
    for name, array in arrays.items():
        code = {"f": "F", "i": "I", "b": "BOOL"}[array.dtype.kind]
        code += str(8 * array.itemsize) if len(code) == 1 else ""
        start, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    data = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def description(**changes: Any) -> dict[str, Any]:
    """Of a model that ignores x0 and returns a zero."""
    zero = ["zero", {}, [[1, 0], [2, 0], None], {}, None]
    about = {
        "version": VERSION, "class": "Model", "name": "chain", "details": {}, "tiles": {},
        "lanes": 1, "block": 1, "inputs": {"x0": [1]}, "outputs": {"y": [1]}, "unshared": 0,
        "mult_adds": 0, "steps": [zero],
    }  # fmt: skip
    return {**about, **changes}


def own_widths() -> dict[str, int]:
    """The entries of a file whose weights are packed for the kernels in use."""
    return {"lanes": _dispatch.kernels.lanes, "block": _dispatch.kernels.block}


def instruction_set_of_other_widths() -> str:
    """Where a file that is saved here is loaded through its graph; none: the test is skipped."""
    for name in _dispatch.available():
        kernels = _dispatch.kernel_module(name)
        if {"lanes": kernels.lanes, "block": kernels.block} != own_widths():
            return name
    pytest.skip("there are no kernels of other widths on this machine")


# What becomes of bad ones


def refused(path: Path, message: str = "") -> None:
    with pytest.raises(ValueError, match=f"(?s)model.dsconv: .*{message}"):
        load(path)


def refused_graph(
    path: Path, graph: str, message: str, arrays: Mapping[str, np.ndarray] | None = None
) -> None:
    """At once by kernels of other widths; where they fit as soon as layers are asked for."""
    write(path, json.dumps(description()), graph, arrays or {})
    refused(path, message)
    write(path, json.dumps(description(**own_widths())), graph, arrays or {})
    refused_layers(path, message)


def refused_layers(path: Path, message: str) -> None:
    """The file is loaded, and it runs; its layers are refused each time."""
    model = load(path)
    runs(model, path)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"(?s)model.dsconv: compiled model: .*{message}"):
            _ = model._lowered


def attempt(path: Path) -> Any:
    """The model, or None where the file is refused by a ValueError that names it."""
    try:
        return load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        return None


def layers(model: Any, path: Path) -> Any:
    """The layers, or None where the graph is refused by a ValueError that names the file."""
    try:
        return model._lowered
    except ValueError as error:
        assert str(error).startswith(f"{path}: compiled model: ")
        return None


def runs(model: Any, path: Path) -> None:
    """Whatever was loaded, on a batch of two and all threads, unless that would take long."""
    if model is None:
        return
    sizes = [math.prod(shape) for shape in (*model.inputs.values(), *model.outputs.values())]
    if max(*sizes, *model.arena_bytes) > 10 * MEGABYTE:
        return
    _runs_within_its_arrays(model)
    x = tuple(np.ones((2, *shape), np.float32) for shape in model.inputs.values())
    y = model(*x) if isinstance(model, OnnxModel) else model(x)
    y = y if isinstance(y, (tuple, list)) else (y,)
    assert [a.shape for a in y] == [(2, *shape) for shape in model.outputs.values()]
    if isinstance(model, Classifier) and model.classes:
        if model.preprocessing:
            (shape,) = model.inputs.values()
            assert model.classify(np.zeros(shape, np.uint8), top=99)
        if layers(model, path):
            assert model.features(x[0]).ndim == 2


def _runs_within_its_arrays(model: Any) -> None:
    """On one thread and on two, between numbers that stay as they are."""
    for step in model._program.steps:
        if step.op == "copy":  # else a few bytes could keep a core busy for years
            written = step.geometry.get("oc", 1) * step.geometry.get("oh", 1)
            assert math.prod(step.layout[0]) <= written * step.geometry.get("ow", 1)
    guard, shapes = 64, [*model.inputs.values(), *model.outputs.values()]
    rooms = [np.full(2 * math.prod(shape) + 2 * guard, 3, np.float32) for shape in shapes]
    arrays = tuple(room[guard:-guard] for room in rooms)
    for threads in (1, 2):
        model._program.run(arrays, 2, threads)
        assert all((room[:guard] == 3).all() and (room[-guard:] == 3).all() for room in rooms)
        assert all((array == 3).all() for array in arrays[: len(model.inputs)])
