"""Good .dsconv files for tests, and how to change and try them."""

from __future__ import annotations

import copy
import math
import pickle
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import two_inputs

from dsconv.compiler.model import Model
from dsconv.files.compiled import VERSION
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.images.preprocessing import Preprocessing
from dsconv.kernels import dispatch
from dsconv.kernels.packing import Widths
from dsconv.layers import Add
from dsconv.onnx.reading.model import OnnxModel
from dsconv.text.lines import from_text, to_text
from dsconv.vision.classifier import Classifier

MEGABYTE = 2**20
KINDS = ("Model", "Classifier", "OnnxModel")

# Words in the place of others

JUNK = [
    "", "-", "x", "None", "True", "0", "1", "-1", "2", "7", str(2**31 - 1), str(2**31),
    str(2**40 + 1), str(10**18), str(10**30), "0.5", "1.0", "1e308", "inf", "-inf", "nan", "same",
    "Model", "OnnxModel", "tensorflow", "[1]", "3,3", "1:0", "4@0", "x=3", "0x10", "1_0", "+1",
    "\u0663", "1,", ",", "\\", "\x00", " 1", "\n",
]  # fmt: skip


# Good files


def picture_network() -> Graph:
    """Build a network with every kind of array and a chain of three stages."""
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
        model = Classifier(model.name, model._program, None, "a family", *about)
    if kind == "OnnxModel":
        shapes: tuple[Any, Any] = ({"x": (3, 6, 6)}, {"y": (5, 1)})
        model = OnnxModel(model.name, model._program, None, *shapes)
    save(model, path)
    return path


def through_a_file(model: Model, folder: Path) -> Any:
    """Check that the model comes back as the same kind, and saves as the same file again."""
    save(model, folder / "model.dsconv")
    again = load(folder / "model.dsconv", model.threads)
    assert type(again) is type(model) and repr(again) == repr(model)
    assert (again.name, again.threads) == (model.name, model.threads)
    assert list(again.inputs.items()) == list(model.inputs.items())
    assert list(again.outputs.items()) == list(model.outputs.items())
    assert again.arena_bytes == model.arena_bytes
    for same in (copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        assert repr(same) == repr(model) and same._details() == model._details()
    save(again, folder / "again.dsconv")
    assert (folder / "again.dsconv").read_bytes() == (folder / "model.dsconv").read_bytes()
    return again


class Content:
    """The parts of such a file, to be changed and written again."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        first, _, rest = data.partition(b"\n")
        text, floats = map(int, first.split()[2:4])
        self.fields = from_text(rest[:text].decode("utf-8", "surrogatepass"))
        self.floats = np.frombuffer(data, np.float32, floats, len(data) - 4 * floats).copy()

    def write(self, path: Path) -> None:
        write(path, self.fields, self.floats)


def write(path: Path, fields: Mapping[str, Sequence[str]], floats: np.ndarray) -> None:
    """Write a file without the care that `write_compiled` takes."""
    write_text(path, to_text(fields), floats)


def write_text(path: Path, text: str, floats: np.ndarray) -> None:
    part = text.encode("utf-8", "surrogatepass")
    path.write_bytes(sealed(f"dsconv {VERSION} {len(part)} {len(floats)}", part, floats.tobytes()))


def sealed(first: str, text: bytes, floats: bytes) -> bytes:
    """Return a file of a first line without checksums, a text and floats, with right checksums."""
    line = first.encode("latin-1") + b" %08x" % zlib.crc32(floats)
    head = line + b" %08x\n" % zlib.crc32(line + text) + text
    return head + bytes(-len(head) % 64) + floats


def own_widths() -> dict[str, list[str]]:
    """Return the lines of a file whose weights are packed for the kernels in use."""
    return widths_of(Widths.of(dispatch.kernels))


def widths_of(widths: Widths) -> dict[str, list[str]]:
    return {key: [str(width)] for key, width in widths._asdict().items()}


def instruction_set_of_other_widths() -> str:
    """Return an instruction set for which weights that are saved here are packed again."""
    for name in dispatch.available():
        kernels = dispatch.kernel_module(name)
        if widths_of(Widths.of(kernels)) != own_widths():
            return name
    pytest.skip("there are no kernels of other widths on this machine")


# What becomes of bad ones


def refused(path: Path, message: str = "") -> None:
    with pytest.raises(ValueError, match=f"(?s)model.dsconv: .*{message}"):
        load(path)


def attempt(path: Path) -> Any:
    """Return the model, or None where the file is refused by a ValueError that names it."""
    try:
        return load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        return None


def runs(model: Any, path: Path) -> None:
    """Run the model on a batch of two and all threads, unless that would take long."""
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
        if model._program.features:
            assert model.features(x[0]).dtype == np.float32


def _runs_within_its_arrays(model: Any) -> None:
    """Run on one thread and on two, between numbers that must stay as they are."""
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
