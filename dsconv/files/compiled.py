r"""Compiled models in files: `dsconv.save(model, "network.dsconv")`, the way to the fastest start.

    dsconv 3 5120 18301 4234816      version; bytes of the next two parts, floats of the last
    class Classifier                 lines of text (`_lines`): all that a call needs,
    ...                                  shapes, arrays, one line for each step
    {"format": "dsconv graph", ...   the optimised graph, as JSON
    zeros                            up to a multiple of 64 bytes
    floats                           the arrays one after the other, little-endian

The arrays are weights that are folded and packed, each filled up with zeros to whole cache lines. The
file is mapped into memory, and they are used where they lie. The graph is looked at only for what
layers are needed for: profiles, features, pickles - and kernels of other widths than those that the
file was saved for. There the weights are packed again, and the results are those of a compilation
there.

Nothing in a file is trusted: the kernels check each step, and the graph is checked like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from dsconv.compiler.executable import MOST_STEPS, Executable, line_of
from dsconv.files.formats import COMPILED
from dsconv.files.mapped import MappedFile
from dsconv.kernels import dispatch
from dsconv.text.lines import Fields, from_text, number, one, shape_lines, shapes_of, to_text

if TYPE_CHECKING:
    from dsconv.compiler.lowering import Lowered
    from dsconv.compiler.model import Model, Runnable

__all__ = ["SUFFIX", "load_compiled", "write_compiled"]

SUFFIX = ".dsconv"
VERSION = 3  # of lines and arrays: another one wherever a kernel takes them otherwise
_CLASSES = {  # name in the file -> module of the class
    "Model": "dsconv.compiler.model",
    "Classifier": "dsconv.vision.classifier",
    "OnnxModel": "dsconv.onnx.reading.model",
}
_MOST_TEXT = 4 << 20  # bytes
_LINE = 128  # bytes: more than the first line has
_ALIGNMENT = 64  # bytes: a cache line
_MOST_MESSAGE = 1000  # characters; names out of a file may have millions
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
    ValueError
        If names and layers would take more than 4 MB of text.
    """
    from dsconv.compiler.stored import arrays_of, recipe_of
    from dsconv.network.json import to_json
    from dsconv.weights.writing import replacing

    cls = type(model).__name__
    if _CLASSES.get(cls) != type(model).__module__:
        raise TypeError(f"a model must be one of {', '.join(_CLASSES)}, got {type(model)!r}")
    lowered = model._lowered
    recipe, arrays = recipe_of(lowered), arrays_of(lowered)
    sizes = {n: -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for n, array in arrays.items()}
    fields = {
        "class": [cls],
        "name": [model.name],
        "lanes": [str(recipe.widths[0])],
        "block": [str(recipe.widths[1])],
        "unshared": [str(lowered.unshared)],
        "mult_adds": [str(lowered.mult_adds)],
        **model._details(),
        "tile": [f"{tile} {name}" for name, tile in recipe.tiles.items()],
        "input": shape_lines(lowered.inputs),
        "output": shape_lines(lowered.outputs),
        "array": [f"{size // 4} {name}" for name, size in sizes.items()],
        "step": _step_lines(lowered, list(arrays)),
    }
    text = to_text(fields).encode("utf-8", "surrogatepass")
    graph = to_json(recipe.graph).encode()
    if len(text) + len(graph) > _MOST_TEXT:
        raise ValueError(f"the model takes more than {_MOST_TEXT} bytes of text")
    first = f"{VERSION} {len(text)} {len(graph)} {sum(sizes.values()) // 4}\n"
    head = COMPILED + first.encode() + text + graph
    with replacing(path) as file:
        file.write(head + bytes(-len(head) % _ALIGNMENT))
        for name, size in sizes.items():
            file.write(arrays[name].astype("<f4", copy=False).tobytes().ljust(size, b"\0"))


def _step_lines(lowered: Lowered, names: Sequence[str]) -> list[str]:
    """The lines of the steps; `names` are those of all arrays in the order of the file."""
    from dsconv.compiler.stored import array_names

    numbers = {name: str(i) for i, name in enumerate(names)}
    return [
        line_of(step, {f: numbers[name] for f, name in taken.items()}, lowered.kernels.GEOMETRY)
        for step, taken in zip(lowered.steps, array_names(lowered), strict=True)
    ]


def load_compiled(path: str, threads: int | None) -> Model:
    """The model in a file.

    Parameters
    ----------
    path
        The file begins with `COMPILED`.
    threads
        For every call; None: the default at the time of the call.

    Raises
    ------
    ValueError
        If the file was written by another version, or is damaged; names the file.
    """
    try:
        file = MappedFile(path)
        text, graph, floats = _parts(file)
        content = _Content(from_text(text.decode("utf-8", "surrogatepass")), floats)
        cls = getattr(import_module(_CLASSES[content.cls]), content.cls)
        details = cls._checked_details(content.details)
        lower = partial(_from_graph, file, graph, content)
        runnable = _from_steps(content, lower, file.check) if content.fits else lower()
        return cls(content.name, runnable, threads, **details)
    except _FAULTS as error:
        raise _named(path, error) from None


def _named(path: str, error: Exception) -> ValueError:
    text = str(error).removeprefix(f"{path}: ").removeprefix("compiled model: ")
    return ValueError(f"{path}: compiled model: {text[:_MOST_MESSAGE]}")


def _parts(file: MappedFile) -> tuple[bytes, bytes, np.ndarray]:
    """Text, graph and arrays: with the first line they are the whole file."""
    first = file[:_LINE].partition(b"\n")[0]
    version, *sizes = first.removeprefix(COMPILED).decode("latin-1").split(" ")
    if version != str(VERSION):
        raise ValueError(f"version {version[:20]!r}; this one reads {VERSION}")
    if len(sizes) != 3:
        raise ValueError("the first line must have a version and three sizes")
    text, graph, floats = (number(size, "a size", 0, 1 << 60) for size in sizes)
    if text + graph > _MOST_TEXT:
        raise ValueError(f"{text + graph} bytes of text; at most {_MOST_TEXT} are allowed")
    begin = len(first) + 1
    middle, end = begin + text, begin + text + graph
    start = -(-end // _ALIGNMENT) * _ALIGNMENT
    if len(file) != start + 4 * floats:
        raise ValueError(f"the file must have {start + 4 * floats} bytes, got {len(file)}")
    return file[begin:middle], file[middle:end], file.floats(start)


class _Content:
    """The lines of a file, checked."""

    def __init__(self, fields: Fields, floats: np.ndarray) -> None:
        self.cls, self.name = one(fields, "class"), one(fields, "name")
        if self.cls not in _CLASSES:
            raise ValueError(f"class {self.cls[:80]!r}; allowed are {', '.join(_CLASSES)}")
        lanes, block = (number(one(fields, key), key, 1, _WIDEST) for key in ("lanes", "block"))
        self.widths = lanes, block
        self.unshared, self.mult_adds = (
            number(one(fields, key), key) for key in ("unshared", "mult_adds")
        )
        self.inputs = shapes_of(fields.pop("input", []), "input")
        self.outputs = shapes_of(fields.pop("output", []), "output")
        tiles = [line.partition(" ") for line in fields.pop("tile", [])]
        self.tiles = {name: number(tile, "tile", 2, 4) for tile, _, name in tiles}
        if 3 in self.tiles.values():
            raise ValueError("tile must be 2 or 4, got 3")
        self.arrays = _arrays(fields.pop("array", []), floats)
        self.steps = fields.pop("step", [])
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise ValueError(f"there must be from 1 to {MOST_STEPS} steps, got {len(self.steps)}")
        self.details = fields  # what is left
        # Whether the weights are packed for the kernels in use.
        self.fits = self.widths == (dispatch.kernels.lanes, dispatch.kernels.block)


def _arrays(lines: Sequence[str], floats: np.ndarray) -> dict[str, np.ndarray]:
    """Array by name: views of all floats of the file, which they cover."""
    arrays: dict[str, np.ndarray] = {}
    start = 0
    for line in lines:
        length, _, name = line.partition(" ")
        end = start + number(length, "array")
        arrays[name] = floats[start:end]
        start = end
    if start != len(floats) or len(arrays) != len(lines):
        raise ValueError("the arrays must have names of their own and cover the file")
    return arrays


def _from_steps(
    content: _Content, lower: Callable[[], Lowered], check: Callable[[], None]
) -> Runnable:
    arrays = {str(i): array for i, array in enumerate(content.arrays.values())}
    return Executable(
        dispatch.kernels, content.steps, arrays, content.inputs, content.outputs,
        content.unshared, content.mult_adds, lower, check,
    )  # fmt: skip


def _from_graph(file: MappedFile, text: bytes, content: _Content) -> Lowered:
    """The layers, which must be those of the steps where these run; errors name the file."""
    from dsconv.compiler.fused import Fused
    from dsconv.compiler.stored import Recipe, restore
    from dsconv.layers import KINDS
    from dsconv.network.json import from_json

    try:
        graph = from_json(text.decode(), {**KINDS, "fused": Fused})
        lowered = restore(Recipe(graph, content.tiles, content.widths), content.arrays)
        same = _named_shapes(lowered) == _named_shapes(content)
        if not same or content.fits and _step_lines(lowered, [*content.arrays]) != content.steps:
            raise ValueError("its graph is not that of its steps")
    except _FAULTS as error:
        raise _named(file.path, error) from None
    if content.fits:  # else all weights are packed anew, or copied
        lowered.check = file.check
    return lowered


def _named_shapes(model: Lowered | _Content) -> list[list[tuple[str, tuple[int, ...]]]]:
    """Inputs and outputs, in order."""
    return [list(model.inputs.items()), list(model.outputs.items())]
