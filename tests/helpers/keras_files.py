"""Writes weights into HDF5 as the versions of Keras do; Keras is not needed.

Sources: keras/src/legacy/saving/legacy_h5_format.py, keras/src/saving/saving_lib.py.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from typing import Any, NamedTuple

import h5py
import numpy as np


class Layer(NamedTuple):
    """A layer with its arrays in Keras's order, or a model with layers."""

    kind: str  # class, e.g. "Conv2D"
    name: str
    arrays: dict[str, np.ndarray]  # by Keras's word
    layers: tuple[Layer, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012


SNAKE = {
    "Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "Dense": "dense",
    "BatchNormalization": "batch_normalization", "ReLU": "re_lu", "InputLayer": "input_layer",
    "Dropout": "dropout", "Functional": "functional", "Embedding": "embedding",
}  # fmt: skip


def old(layers: list[Layer], whole: bool = False, scope: str = "") -> bytes:
    """Write Keras 1 and 2's `save_weights`, or `save`; `scope` stands behind layers' names."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        top = file.create_group("model_weights") if whole else file
        top.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        top.attrs["backend"], top.attrs["keras_version"] = b"tensorflow", b"2.1.6"
        for layer in layers:
            group = top.create_group(layer.name)
            weights = {
                f"{owner.name}{scope}/{word}:0": array
                for owner in (layer, *layer.layers)
                for word, array in owner.arrays.items()
            }
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                group[name] = array
        if whole:
            file.attrs["model_config"] = json.dumps(config(layers)).encode()
            moments = file.create_group("optimizer_weights").create_group("training")
            moments["iterations:0"] = np.int64(7)
    return out.getvalue()


def new(layers: list[Layer], named: bool = False, container: str = "layers") -> bytes:
    """Write Keras 3's .weights.h5; `named`: with the attributes of newer versions.

    In the container of TensorFlow 2.12 and 2.13 layers with weights are there twice.
    """
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        _state(file, layers, named, container)
        optimizer = file.create_group("optimizer/vars")
        optimizer["0"] = np.int64(7)
        file.create_group("metrics/mean/vars")["0"] = np.float32(0.5)
    return out.getvalue()


def _state(file: Any, layers: Any, named: bool, container: str, at: str = "") -> None:
    used: dict[str, int] = defaultdict(int)
    twice = container != "layers"
    for layer in layers:
        kind = SNAKE[layer.kind]
        number = used[kind]
        used[kind] += 2 if twice and layer.arrays else 1
        path = f"{at}{container}/{kind}" + (f"_{number}" if number else "")
        group = file.create_group(path).create_group("vars")
        if named:
            group.attrs["name"] = layer.name
        for index, array in enumerate(layer.arrays.values()):
            group[str(index)] = array
        if layer.kind == "Dropout":
            file.create_group(f"{path}/seed_generator/vars")["0"] = np.zeros(2, np.uint32)
        _state(file, layer.layers, named, container, f"{path}/")


def config(layers: Any) -> dict[str, Any]:
    """Return the config of a functional model."""
    listed = []
    for layer in layers:
        options = {"name": layer.name, **layer.options}
        if layer.layers:
            options |= config(layer.layers)["config"] | {"name": layer.name}
        listed.append({"module": "keras.layers", "class_name": layer.kind, "config": options})
    return {"class_name": "Functional", "config": {"name": "model", "layers": listed}}


def keras(layers: list[Layer], method: int = zipfile.ZIP_STORED, **parts: bytes) -> bytes:
    """Write a .keras archive; the keywords metadata, config, weights replace its members."""
    members = {
        "metadata.json": parts.get("metadata", b'{"keras_version": "3.3.3"}'),
        "config.json": parts.get("config", json.dumps(config(layers)).encode()),
        "model.weights.h5": parts.get("weights", new(layers)),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def h5(write: Any, **options: Any) -> bytes:
    """Write an HDF5 file that `write` fills."""
    out = io.BytesIO()
    with h5py.File(out, "w", **options) as file:
        write(file)
    return out.getvalue()


def network(arrays: dict[str, np.ndarray]) -> list[Layer]:
    """Return the layers of a network of keras.applications from "layer/parameter" arrays."""
    layers: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for name, array in arrays.items():
        layer, _, word = name.rpartition("/")
        layers[layer][word] = array
    return [Layer(_kind(name, found), name, found) for name, found in layers.items()]


def _kind(name: str, arrays: dict[str, np.ndarray]) -> str:
    if "gamma" in arrays:
        return "BatchNormalization"
    if "dw" in name or "depthwise" in name:
        return "DepthwiseConv2D"
    return "Conv2D" if np.ndim(arrays.get("kernel")) == 4 else "Dense"
