"""Write a model or a dict of weights to a file: unfolded, under the names they came with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np

from dsconv.compiler.model import Model
from dsconv.files.compiled import SUFFIX, write_compiled
from dsconv.graph import Graph
from dsconv.weights import write
from dsconv.weights.families import recognise
from dsconv.weights.families.with_graph import GRAPH, graph_in, write_with_graph
from dsconv.weights.file import WeightFile
from dsconv.weights.source import FileSource

__all__ = ["save"]

_SUFFIXES = (".safetensors", ".npz", ".onnx", SUFFIX)


def save(
    model_or_weights: Model | Graph | Mapping[str, np.ndarray], path: str | os.PathLike[str]
) -> None:
    """Write a model, or weights, as .safetensors, .npz, .onnx or .dsconv, for `dsconv.load`.

    A .dsconv file holds a model as it runs: compiled, with folded and packed weights. It takes any
    model and is the fastest to load. The other formats hold weights as they were before, so the
    model reads them again from where they came from, and refuses if they have been changed since:
    what is saved is what runs. The file appears whole or not at all. It holds:

    - a dict of arrays as it is;
    - of a model that `dsconv.load` made the arrays of its file, with their names, shapes and values;
    - of a model that `Graph.compile` made the weights that it was given, and the graph as JSON
      beside them, so that `dsconv.load` gets the network back.

    ONNX files hold a graph: they take a model, or a `Graph` with seeded random weights. A .dsconv
    file is packed for the instruction set in use; elsewhere it is packed again when it is loaded.

    Parameters
    ----------
    model_or_weights
        A model, a graph (.onnx only), or array by name (.safetensors and .npz only).
    path
        The file; its suffix tells the format.

    Raises
    ------
    ValueError
        For another suffix, and for what a format does not take. For a model whose weights are no
        longer at hand (.dsconv takes it all the same): its file or its arrays have changed, or it
        comes out of a pickle or a .dsconv file. For a name by which the new file would be taken for
        another network than the old one ("tf_" in front tells some of timm's).
    TypeError
        For anything but a model, a graph or a mapping, and arrays of other dtypes than numbers.
    ImportError
        For .onnx without the package onnx.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1]
    if suffix not in _SUFFIXES:
        raise ValueError(f"path must end in {', '.join(_SUFFIXES)}, got {path!r}")
    if isinstance(model_or_weights, Graph):
        if suffix != ".onnx":
            raise ValueError(f"a graph without weights can be saved as .onnx only, got {path!r}")
        _write_network(path, model_or_weights, None)
    elif isinstance(model_or_weights, Mapping):
        if suffix == ".onnx":
            raise ValueError("an ONNX file needs a graph: save a model, not only its weights")
        if suffix == SUFFIX:
            raise ValueError(f"a {SUFFIX} file holds a compiled model, not only weights")
        write(path, model_or_weights)
    elif isinstance(model_or_weights, Model):
        _save_model(path, suffix, model_or_weights)
    else:
        raise TypeError(
            "model_or_weights must be a model, a graph or a mapping of arrays, got "
            f"{type(model_or_weights).__name__}"
        )


def _save_model(path: str, suffix: str, model: Model) -> None:
    """Write a compiled model, or its original weights under their original names."""
    source = model.source
    if suffix == SUFFIX:
        write_compiled(path, model)
    elif isinstance(source, FileSource):
        with source.open() as file:
            _copy(path, suffix, file, model)
    elif source is None:
        raise ValueError(
            f"the model {model.name!r} has no unfolded weights: it does not come from dsconv.load of "
            f"a weight file or Graph.compile, or went through a pickle or a {SUFFIX} file; save it "
            "where it was made"
        )
    else:
        _write_network(path, source.graph, source.read())


def _copy(path: str, suffix: str, file: WeightFile, model: Model) -> None:
    """Write the contents of a weight file, and as ONNX the network that the model is."""
    graph = graph_in(file)
    if suffix == ".onnx":
        (height, *_), *_ = model.inputs.values()
        found = recognise(file, height if graph is None else None)
        _write_network(path, found.graph, found.weights)
        return
    arrays = file.read_all()
    arrays.pop(GRAPH, None)
    if graph is None:
        _check_name(path, file)
        write(path, arrays, file.metadata)
    else:
        write_with_graph(path, graph, arrays)


def _check_name(path: str, file: WeightFile) -> None:
    """Check that the new name tells the same family as the old one, as some names do."""
    renamed = copy(file)
    renamed.path = path
    old, new = recognise(file), recognise(renamed)
    if (old.preprocessing, old.graph.to_json()) != (new.preprocessing, new.graph.to_json()):
        raise ValueError(
            f"{path}: would be taken for another network than {os.path.basename(file.path)!r}, "
            "whose name tells padding, epsilon or preparation of pictures: keep that name, with "
            "another suffix"
        )


def _write_network(path: str, graph: Graph, weights: Mapping[str, Any] | None) -> None:
    """Write a graph with its weights, by the suffix of `path`."""
    if path.endswith(".onnx"):
        from dsconv.onnx.writing.export import write_onnx

        write_onnx(graph, weights, path)
    else:
        assert weights is not None  # seeded ones are for ONNX only
        write_with_graph(path, graph, weights)
