"""Every format of files that is read: small sound files, and what may become of any other.

A reader refuses a file with an error that names it, or gives what the file declares. Anything else
that `Format.check` raises is a fault.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import compiled_files
import numpy as np
import torch_files
from checkpoint_files import npz
from damage import damaged
from small_models import one_input, two_inputs

from dsconv import weights
from dsconv.graph import Graph
from dsconv.weights.safetensors import write_safetensors

ARRAYS = {
    "conv1/kernel": np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2),
    "conv1_bn/gamma": np.ones(2, np.float32),
    "conv1_bn/beta": np.zeros(2, np.float32),
    "predictions/bias": np.arange(5, dtype=np.float32),
}


class Format(NamedTuple):
    """A format: its sound files, what a reader makes of a file, how to damage one.

    `check` raises the error with which the reader refuses a file, if it names the file.
    """

    name: str  # of a file
    sound: Callable[[], list[bytes]]
    check: Callable[[Path], None]
    damage: Callable[[bytes, Random], bytes] = damaged


# Weights


def _in_a_file(write: Callable[[Path], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.dsconv"
        write(path)
        return path.read_bytes()


def _safetensors() -> list[bytes]:
    return [_in_a_file(lambda path: write_safetensors(path, ARRAYS, {"format": "np"}))]


def _tensors() -> dict[str, Any]:
    return {n: torch_files.full("Float", str(i), a) for i, (n, a) in enumerate(ARRAYS.items())}


def _pth() -> list[bytes]:
    zipped = torch_files.zipped(_tensors(), compression=zipfile.ZIP_DEFLATED)
    return [torch_files.legacy(_tensors()), zipped]


def _keras() -> list[bytes]:
    import keras_files

    def chunked(file: Any) -> None:
        for i in range(12):
            values = np.arange(63, dtype=np.float32).reshape(7, 9) * i
            file.create_dataset(f"l{i}/a", data=values, chunks=(3, 4), compression="gzip")

    kinds = (keras_files.old, keras_files.new, keras_files.keras)
    network = keras_files.network(ARRAYS)
    return [*(kind(network) for kind in kinds), keras_files.h5(chunked, libver="earliest")]


def refused_by_name(error: Exception, path: Path) -> None:
    """Check that the message begins with the path, and raise the error."""
    assert str(error).startswith(str(path)), f"the message does not name the file: {error}"
    raise error


def read_weights(path: Path) -> int:
    """Read all arrays, and return their bytes."""
    try:
        with weights.open_weights(path) as file:
            arrays = file.read_all()
            for name, array in arrays.items():
                assert array.shape == file.shape(name) and array.dtype == file.dtype(name)
    except ValueError as error:
        refused_by_name(error, path)
    return sum(array.nbytes for array in arrays.values())


def _check_weights(path: Path) -> None:
    read_weights(path)


# Networks


def _graphs() -> list[Graph]:
    return [one_input(), two_inputs(), compiled_files.picture_network()]


def _onnx() -> list[bytes]:
    from dsconv.onnx.writing.export import to_onnx

    return [to_onnx(graph).SerializeToString() for graph in _graphs()]


def check_onnx(path: Path) -> None:
    """Load a network and run it on a batch of two, unless that would take long."""
    from dsconv.onnx.reading.model import load_onnx

    try:
        loaded = load_onnx(path, threads=1)
    except (TypeError, ValueError) as error:
        refused_by_name(error, path)
    sizes = [int(np.prod(shape)) for shape in (*loaded.inputs.values(), *loaded.outputs.values())]
    if max(sizes) < 10**6 and loaded.arena_bytes[1] < 10**8:
        loaded(*(np.ones((2, *shape), np.float32) for shape in loaded.inputs.values()))


def _json() -> list[bytes]:
    return [graph.to_json().encode() for graph in _graphs()]


def _check_json(path: Path) -> None:
    graph = Graph.from_json(path.read_bytes().decode("utf-8", "replace"))
    assert Graph.from_json(graph.to_json()).to_json() == graph.to_json()


def _compiled() -> list[bytes]:
    def saved(kind: str) -> bytes:
        return _in_a_file(lambda path: compiled_files.saved(kind, path.parent))

    return [saved(kind) for kind in compiled_files.KINDS]


def _check_compiled(path: Path) -> None:
    from dsconv.files.load import load

    try:
        model = load(path)
    except ValueError as error:
        refused_by_name(error, path)
    compiled_files.runs(model, path)


def _damaged_compiled(data: bytes, random: Random) -> bytes:
    """Change a word or a number of a compiled model and write its sizes and sums anew, or any bytes.

    The second keeps the reader from refusing every change for its checksum alone.
    """
    if random.random() < 0.2:
        return damaged(data, random)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.dsconv"
        path.write_bytes(data)
        try:
            content = compiled_files.Content(path)
        except (ValueError, IndexError):  # the file is not of this form any more
            return damaged(data, random)
        for _ in range(random.randint(1, 3)):
            keys = [*content.fields, *["step"] * 9 * ("step" in content.fields)]
            if lines := content.fields[random.choice(keys)]:
                at = random.randrange(len(lines))
                lines[at] = _other_word(lines[at], random)
        content.write(path)
        return path.read_bytes()


def _other_word(line: str, random: Random) -> str:
    words = line.split(" ")
    at = random.randrange(len(words))
    key, equals, value = words[at].rpartition("=")
    others = [*compiled_files.JUNK, *map(str, range(12)), *words, damaged(value.encode(), random)]
    other = random.choice(others)
    words[at] = key + equals + (other if isinstance(other, str) else other.decode("latin-1"))
    return " ".join(words)


FORMATS = {
    "npz": Format(
        "weights.npz", lambda: [npz(ARRAYS), npz(ARRAYS, compressed=True)], _check_weights
    ),
    "safetensors": Format("weights.safetensors", _safetensors, _check_weights),
    "pth": Format("weights.pth", _pth, _check_weights),
    "keras": Format("weights.h5", _keras, _check_weights),
    "onnx": Format("network.onnx", _onnx, check_onnx),
    "json": Format("graph.json", _json, _check_json),
    "dsconv": Format("model.dsconv", _compiled, _check_compiled, _damaged_compiled),
}
