"""Compiled models in files: `dsconv.save(model, "network.dsconv")`, the way to the fastest start.

Such a file has the layout of .safetensors. Its arrays are those of `dsconv.compiler.stored`:
weights that are folded and packed, so that loading is little more than reading. The metadata hold the
optimised graph and what else makes the model, as JSON. On kernels of other widths than those that
it was saved for the weights are packed again; the results are those of a compilation there.

Nothing in a file is trusted: its graph is checked like any other, and every array against it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from dsconv.compiler.fused import Fused
from dsconv.compiler.lowering import Lowered
from dsconv.compiler.model import Model
from dsconv.compiler.stored import (
    COMPILED,
    Recipe,
    Sizes,
    arrays_of,
    recipe_of,
    restore,
)
from dsconv.layers import KINDS
from dsconv.serialization import from_json, to_json
from dsconv.weights._file import WeightFile, shorten
from dsconv.weights._json import parse_json

__all__ = ["SUFFIX", "load_compiled", "write_compiled"]

SUFFIX = ".dsconv"
VERSION = 1
_GRAPH = "dsconv.compiled_graph"  # in the metadata, beside `COMPILED`
_KINDS = {**KINDS, "fused": Fused}
_CLASSES = {  # name in the file -> module of the class
    "Model": "dsconv.compiler.model",
    "Classifier": "dsconv.classifier",
    "OnnxModel": "dsconv.onnx.loading",
}
_FIELDS = {"version", "class", "name", "tiles", "lanes", "block", "details"}
_WIDEST = 1024  # floats of a vec or a panel


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
    from dsconv.weights.safetensors import write_safetensors

    name = type(model).__name__
    if _CLASSES.get(name) != type(model).__module__:
        raise TypeError(f"a model must be one of {', '.join(_CLASSES)}, got {type(model)!r}")
    recipe = recipe_of(model._lowered)
    about = {
        "version": VERSION,
        "class": name,
        "name": model.name,
        "tiles": recipe.tiles,
        "lanes": recipe.widths[0],
        "block": recipe.widths[1],
        "details": model._details(),
    }
    texts = {COMPILED: json.dumps(about), _GRAPH: to_json(recipe.graph)}
    write_safetensors(path, arrays_of(model._lowered), texts)


def load_compiled(file: WeightFile, threads: int | None) -> Model:
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
        If the file was written by a later version, or is damaged; names the file.
    """
    try:
        about = _checked(parse_json(file.metadata[COMPILED].encode()))  # type: ignore[attr-defined]
        lowered = _lowered(file, about)
        cls = getattr(import_module(_CLASSES[about["class"]]), about["class"])
        details = cls._checked_details(about["details"])
        return cls(about["name"], lowered, threads, **details)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{file.path}: compiled model: {error}") from None


def _checked(about: Any) -> dict[str, Any]:
    """What the file says of the model, with the types that it must have."""
    if type(about) is dict and about.get("version") != VERSION:
        raise ValueError(f"version {shorten(about.get('version'))}; this one reads {VERSION}")
    if type(about) is not dict or set(about) != _FIELDS:
        raise ValueError(f"must be described by {', '.join(sorted(_FIELDS))}")
    if type(about["class"]) is not str or about["class"] not in _CLASSES:
        raise ValueError(f"class {shorten(about['class'])}; allowed are {', '.join(_CLASSES)}")
    for field, kind in (("name", str), ("tiles", dict), ("details", dict)):
        if type(about[field]) is not kind:
            raise ValueError(f"{field} must be of type {kind.__name__}")
    if any(type(tile) is not int or tile not in (2, 4) for tile in about["tiles"].values()):
        raise ValueError("tiles must map names to 2 or 4")
    for field in ("lanes", "block"):
        if type(about[field]) is not int or not 1 <= about[field] <= _WIDEST:
            raise ValueError(f"{field} must be an integer from 1 to {_WIDEST}")
    return about


def _lowered(file: WeightFile, about: Mapping[str, Any]) -> Lowered:
    """The steps; the arrays of the file must be those of its graph."""
    graph = from_json(file.metadata.get(_GRAPH, ""), _KINDS)  # type: ignore[attr-defined]
    recipe = Recipe(graph, about["tiles"], (about["lanes"], about["block"]))
    return restore(recipe, lambda sizes: _check_arrays(file, sizes), file.read_into)


def _check_arrays(file: WeightFile, sizes: Sizes) -> None:
    there = set(file.names())
    for what, names in (("missing", sizes.keys() - there), ("left over", there - sizes.keys())):
        if names:
            raise ValueError(f"array {shorten(min(names))} is {what}")
    for name, (size, dtype) in sizes.items():
        found = file.shape(name), file.dtype(name)
        if found != ((size,), dtype):
            raise ValueError(
                f"array {shorten(name)} must have shape ({size},) and dtype {dtype}, got "
                f"{found[0]} and {found[1]}"
            )
