"""From a model or a dict of weights to a file: unfolded, under the names they came with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np

from dsconv.compiler.model import Model
from dsconv.files.compiled import SUFFIX, write_compiled
from dsconv.graph import Graph
from dsconv.weights.file import WeightFile
from dsconv.weights.own import GRAPH, own_graph, write_own
from dsconv.weights.source import FileSource, GraphSource

__all__ = ["save"]

_SUFFIXES = (".safetensors", ".npz", ".onnx", SUFFIX)


def save(
    model_or_weights: Model | Graph | Mapping[str, np.ndarray], path: str | os.PathLike[str]
) -> None:
    """Write a model, or weights, as .safetensors, .npz, .onnx or .dsconv, for `dsconv.load`.

    A .dsconv file holds a model as it runs: compiled, with folded and packed weights. It takes any
    model and is the fastest to load. The other formats hold weights as they were before. The file
    appears whole or not at all. What is written:

    - a dict of arrays as it is;
    - of a model that `dsconv.load` made the arrays of its file, with their names, shapes and
      values; the file is read again for it, since the model holds folded weights only;
    - of a model that `Graph.compile` made the mapping that it was given, and the graph as JSON
      beside it, so that `dsconv.load` gets the network back.

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
        longer at hand (.dsconv takes it all the same): its file is gone or has changed, or it comes
        out of a pickle or a .dsconv file. For a name by which the new file would be
        taken for another network than the old one ("tf_" in front tells some of timm's).
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
        _write_onnx(path, model_or_weights, None)
    elif isinstance(model_or_weights, Mapping):
        if suffix == ".onnx":
            raise ValueError("an ONNX file needs a graph: save a model, not only its weights")
        if suffix == SUFFIX:
            raise ValueError(f"a {SUFFIX} file holds a compiled model, not only weights")
        _write_arrays(path, model_or_weights)
    elif isinstance(model_or_weights, Model):
        _save_model(path, suffix, model_or_weights)
    else:
        raise TypeError(
            "model_or_weights must be a model, a graph or a mapping of arrays, got "
            f"{type(model_or_weights).__name__}"
        )


def _save_model(path: str, suffix: str, model: Model) -> None:
    if suffix == SUFFIX:
        write_compiled(path, model)
        return
    source = model.source
    if source is None:
        raise ValueError(
            f"the model {model.name!r} has no unfolded weights: it does not come from dsconv.load of "
            f"a weight file or Graph.compile, or went through a pickle or a {SUFFIX} file; save it "
            "where it was made"
        )
    if isinstance(source, FileSource):
        with source.open() as file:
            _copy(path, suffix, file, model)
        return
    weights = source.graph.init_weights(0) if source.weights is None else source.weights
    _check_unchanged(source, weights)
    if suffix == ".onnx":
        _write_onnx(path, source.graph, weights)
    else:
        write_own(path, source.graph, weights)


def _copy(path: str, suffix: str, file: WeightFile, model: Model) -> None:
    """Write what a weight file holds."""
    graph = own_graph(file)
    if suffix == ".onnx":
        if graph is None:
            from dsconv.weights.families import recognise

            (shape,) = model.inputs.values()
            found = recognise(file, shape[0])
            _write_onnx(path, found.graph, found.weights)
        else:
            _write_onnx(path, graph, {name: file.read(name) for name in graph.parameters()})
        return
    arrays = file.read_all()
    arrays.pop(GRAPH, None)
    if graph is None:
        _check_name(path, file)
        _write_arrays(path, arrays, getattr(file, "metadata", None))
    else:
        write_own(path, graph, arrays)


def _check_name(path: str, file: WeightFile) -> None:
    """Some families are told by the name of the file as well: the new one must say the same."""
    from dsconv.weights.families import recognise

    renamed = copy(file)
    renamed.path = path
    old, new = recognise(file), recognise(renamed)
    if (old.preprocessing, old.graph.to_json()) != (new.preprocessing, new.graph.to_json()):
        raise ValueError(
            f"{path}: would be taken for another network than {os.path.basename(file.path)!r}, "
            "whose name tells padding, epsilon or preparation of pictures: keep that name, with "
            "another suffix"
        )


def _write_arrays(
    path: str, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    if path.endswith(".npz"):
        from dsconv.weights.npz import write_npz

        write_npz(path, arrays)
    else:
        from dsconv.weights.safetensors import write_safetensors

        write_safetensors(path, arrays, metadata)


def _write_onnx(path: str, graph: Graph, weights: Mapping[str, Any] | None) -> None:
    from dsconv.onnx.writing.export import write_onnx

    write_onnx(graph, weights, path)


def _check_unchanged(source: GraphSource, weights: Mapping[str, Any]) -> None:
    """Graph and weights belong to the caller, who may have changed them since."""
    from dsconv.network.check_weights import check_weights

    try:
        check_weights(source.graph, weights)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the model {source.graph.name!r} was compiled from a graph and weights that have been "
            f"changed since: {error}"
        ) from None
