"""Compiled models in files: `dsconv.save(model, "network.dsconv")`, the way to the fastest start.

Such a file has the layout of .safetensors. Its arrays are weights that are folded and packed, each
filled up with zeros to whole cache lines, so that one read puts all of them where they are used.
The metadata hold two texts of JSON: what a call needs, steps and shapes and what else makes the
model; and the optimised graph, which is looked at only for what layers are needed for: profiles,
features, pickles - and kernels of other widths than those that the file was saved for. There the
weights are packed again, and the results are those of a compilation there.

Nothing in a file is trusted: the kernels check each step, and the graph is checked like any other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv import _dispatch
from dsconv.loading import COMPILED
from dsconv.weights._file import MAX_DIMENSIONS, shorten
from dsconv.weights._json import parse_json

if TYPE_CHECKING:
    from dsconv.compiler.lowering import Lowered
    from dsconv.compiler.model import Model, Runnable
    from dsconv.weights.safetensors import SafetensorsFile

__all__ = ["SUFFIX", "load_compiled", "write_compiled"]

SUFFIX = ".dsconv"
VERSION = 2  # of steps and arrays: another one wherever a kernel takes them otherwise
_GRAPH = "dsconv.compiled_graph"  # beside `COMPILED` in the metadata
_CLASSES = {  # name in the file -> module of the class
    "Model": "dsconv.compiler.model",
    "Classifier": "dsconv.classifier",
    "OnnxModel": "dsconv.onnx.loading",
}
_FIELDS = {
    "version": int, "class": str, "name": str, "details": dict, "tiles": dict, "lanes": int,
    "block": int, "inputs": dict, "outputs": dict, "unshared": int, "mult_adds": int, "steps": list,
}  # fmt: skip
_WIDEST = 1024  # floats of a vec or a panel
_FAULTS = (TypeError, ValueError, OverflowError, RecursionError)


def write_compiled(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model as it runs.

    Parameters
    ----------
    path
        The file; one that is there is replaced once the new one is complete.
    model
        Any model: compiled, loaded or out of a pickle.

    Raises
    ------
    TypeError
        For a model of a class that is not dsconv's.
    """
    from dsconv.compiler.stored import arrays_of, recipe_of
    from dsconv.serialization import to_json
    from dsconv.weights.safetensors import write_safetensors

    name = type(model).__name__
    if _CLASSES.get(name) != type(model).__module__:
        raise TypeError(f"a model must be one of {', '.join(_CLASSES)}, got {type(model)!r}")
    lowered = model._lowered
    recipe = recipe_of(lowered)
    about = {
        "version": VERSION,
        "class": name,
        "name": model.name,
        "details": model._details(),
        "tiles": recipe.tiles,
        "lanes": recipe.widths[0],
        "block": recipe.widths[1],
        "inputs": lowered.inputs,
        "outputs": lowered.outputs,
        "unshared": lowered.unshared,
        "mult_adds": lowered.mult_adds,
        "steps": _descriptions(lowered),
    }
    texts = {COMPILED: json.dumps(about), _GRAPH: to_json(recipe.graph)}
    arrays = {name: _whole_lines(array) for name, array in arrays_of(lowered).items()}
    write_safetensors(path, arrays, texts)


def _descriptions(lowered: Lowered) -> list[Any]:
    from dsconv.compiler.executable import describe
    from dsconv.compiler.stored import array_names

    return [
        describe(step, names, lowered.kernels.GEOMETRY)
        for step, names in zip(lowered.steps, array_names(lowered), strict=True)
    ]


def _whole_lines(array: np.ndarray) -> np.ndarray:
    """Filled up with zeros to a multiple of 16 floats."""
    whole = np.zeros(-(-len(array) // 16) * 16, np.float32)
    whole[: len(array)] = array
    return whole


def load_compiled(file: SafetensorsFile, threads: int | None) -> Model:
    """The model in an open file.

    Parameters
    ----------
    file
        Its metadata have the entry `COMPILED`.
    threads
        For every call; None: the default at the time of the call.

    Raises
    ------
    ValueError
        If the file was written by another version, or is damaged; names the file.
    """
    for name in file.names():
        if file.dtype(name) != np.float32 or len(file.shape(name)) != 1:
            raise ValueError(f"{file.path}: array {shorten(name)} must be a vector of float32")
    try:
        with file.reading() as arrays:  # which takes as long as the imports and the steps
            about = _checked(parse_json(file.metadata[COMPILED].encode()))
            cls = getattr(import_module(_CLASSES[about["class"]]), about["class"])
            details = cls._checked_details(about["details"])
            runnable: Runnable | None = None
            graph, fits = file.metadata.get(_GRAPH, ""), _fits(about)
            lower = partial(_from_graph, file.path, graph, about, arrays, fits)
            if fits:
                runnable = _from_steps(about, arrays, lower)
        return cls(about["name"], runnable or lower(), threads, **details)
    except _FAULTS as error:
        raise _named(file.path, error) from None


def _named(path: str, error: Exception) -> ValueError:
    text = str(error).removeprefix(f"{path}: ").removeprefix("compiled model: ")
    return ValueError(f"{path}: compiled model: {text}")


def _checked(about: Any) -> dict[str, Any]:
    """What the file says of the model, with the types that it must have."""
    if type(about) is dict and about.get("version") != VERSION:
        raise ValueError(f"version {about.get('version')!r:.20}; this one reads {VERSION}")
    if type(about) is not dict or about.keys() != _FIELDS.keys():
        raise ValueError(f"must be described by {', '.join(_FIELDS)}")
    for field, kind in _FIELDS.items():
        if type(about[field]) is not kind:
            raise ValueError(f"{field} must be of type {kind.__name__}")
    if about["class"] not in _CLASSES:
        raise ValueError(f"class {shorten(about['class'])}; allowed are {', '.join(_CLASSES)}")
    if any(type(tile) is not int or tile not in (2, 4) for tile in about["tiles"].values()):
        raise ValueError("tiles must map names to 2 or 4")
    for field in ("lanes", "block"):
        if not 1 <= about[field] <= _WIDEST:
            raise ValueError(f"{field} must be from 1 to {_WIDEST}, got {about[field]}")
    for field in ("unshared", "mult_adds"):
        if about[field] < 0:
            raise ValueError(f"{field} must be at least 0, got {about[field]}")
    if not about["steps"]:
        raise ValueError("there must be at least one step")
    return {**about, **{field: _shapes(about[field], field) for field in ("inputs", "outputs")}}


def _shapes(values: dict[str, Any], field: str) -> dict[str, tuple[int, ...]]:
    sound = (
        type(shape) is list
        and len(shape) < MAX_DIMENSIONS  # beside the batch
        and all(type(size) is int and size > 0 for size in shape)
        for shape in values.values()
    )
    if not values or not all(sound):
        raise ValueError(f"{field} must map names to shapes")
    return {name: tuple(shape) for name, shape in values.items()}


def _fits(about: Mapping[str, Any]) -> bool:
    """Whether the weights are packed for the kernels in use."""
    kernels = _dispatch.kernels
    return (about["lanes"], about["block"]) == (kernels.lanes, kernels.block)


def _from_steps(
    about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], lower: Callable[[], Lowered]
) -> Runnable:
    from dsconv.compiler.executable import Executable

    return Executable(
        _dispatch.kernels, about["steps"], arrays, about["inputs"], about["outputs"],
        about["unshared"], about["mult_adds"], lower,
    )  # fmt: skip


def _from_graph(
    path: str, text: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], runs: bool
) -> Lowered:
    """The layers, which must be those of the steps if these run; errors name the file."""
    from dsconv.compiler.fused import Fused
    from dsconv.compiler.stored import Recipe, restore
    from dsconv.layers import KINDS
    from dsconv.serialization import from_json

    try:
        graph = from_json(text, {**KINDS, "fused": Fused})
        widths = about["lanes"], about["block"]
        lowered = restore(Recipe(graph, about["tiles"], widths), arrays)
        steps = json.loads(json.dumps(_descriptions(lowered)))
        shapes = [[*about[field].items()] for field in ("inputs", "outputs")]
        if [[*lowered.inputs.items()], [*lowered.outputs.items()]] != shapes or (
            runs and steps != about["steps"]
        ):
            raise ValueError("its graph is not that of its steps")
    except _FAULTS as error:
        raise _named(path, error) from None
    return lowered
