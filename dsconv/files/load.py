"""From a weight file or a name to a model: find, recognise, compile."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv.arguments.numbers import integer

if TYPE_CHECKING:
    from dsconv.compiler.lowering import Lowered
    from dsconv.compiler.model import Model
    from dsconv.graph import Graph
    from dsconv.weights.file import WeightFile

__all__ = ["load"]

COMPILED = b"dsconv "  # at the beginning of files that hold a compiled model

Labels = Sequence[str] | str | os.PathLike  # names, or a text file with one in each line


def load(
    path_or_name: str | os.PathLike[str],
    threads: int | None = None,
    *,
    resolution: int | None = None,
    classes: int | None = None,
    labels: Labels | None = None,
) -> Any:
    """Load a network, from a file or by the name of published weights.

    Of weights, the names and shapes in the file tell the family of files that it belongs to, and
    with it widths, classes, padding, epsilon and the preparation of pictures; .onnx and .dsconv
    files hold their network. Nothing in a file is executed. A .dsconv file is mapped into memory: it
    must not be overwritten in its place while the model is in use, only deleted or replaced.

    Parameters
    ----------
    path_or_name : path, or str
        Weights as .npz, .safetensors, .pth, .pt, .h5, .keras; a network as .onnx; a compiled model
        as .dsconv; or, where there is no such file, one of `dsconv.pretrained.names()`.
    threads : int, optional
        For every call; default: `dsconv.get_num_threads()` at the time of the call.
    resolution : int, optional
        Height and width of the input in pixels; by default those of the family, mostly 224. rho
        is resolution / 224. Refused for files that hold their network.
    classes : int, optional
        How many classes the file must have; for networks that were trained further. Not for .onnx.
    labels : sequence of str, or path, optional
        Names of the classes in the order of the outputs, or a text file with one in each line.
        Not for .onnx.

    Returns
    -------
    Classifier
        For .onnx `dsconv.onnx.reading.model.OnnxModel`; for a saved graph that is no classifier `Model`;
        for .dsconv what was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file and no such name.
    ValueError, TypeError
        If it is damaged, of another format, the weights of no known network, has not as many
        classes as `classes` or `labels`, or for an option that does not apply to such files.
    """
    path = _find(path_or_name)
    if threads is not None:
        threads = integer(threads, "threads")
    if os.path.splitext(path)[1].lower() == ".onnx":
        options = {"resolution": resolution, "classes": classes, "labels": labels}
        _refuse(path, "a file that holds its graph", **options)
        from dsconv.onnx.reading.model import load_onnx

        return load_onnx(path, threads)
    if classes is not None:
        classes = integer(classes, "classes")
    if resolution is not None:
        resolution = integer(resolution, "resolution")
    names = None if labels is None else _labels(labels)
    with open(path, "rb") as head:
        compiled = head.read(len(COMPILED)) == COMPILED
    if compiled:
        _refuse(path, "a compiled model", resolution=resolution)
        return _compiled(path, threads, classes, names)
    from dsconv.weights import open_weights

    with open_weights(path) as file:
        return _from_weights(file, threads, resolution, classes, names)


def _from_weights(
    file: WeightFile,
    threads: int | None,
    resolution: int | None,
    classes: int | None,
    labels: Sequence[str] | None,
) -> Model:
    """The network that the names and shapes in the file belong to."""
    from dsconv.compiler.model import Model
    from dsconv.vision.classifier import Classifier, takes_pictures
    from dsconv.weights.families import recognise
    from dsconv.weights.source import FileSource

    found = recognise(file, resolution)
    graph = found.graph
    _check_classes(file.path, found.classes, classes, labels)
    lowered = _lower(file.path, graph, found.weights, found.family)
    model: Model
    if takes_pictures(lowered.inputs, lowered.outputs):
        about = found.family, found.preprocessing, found.classes, labels
        model = Classifier(graph.name, lowered, threads, *about)
    else:
        model = Model(graph.name, lowered, threads)
    model.source = FileSource.of(file)
    return model


def _compiled(
    path: str, threads: int | None, classes: int | None, labels: Sequence[str] | None
) -> Model:
    """The model in a file that holds a compiled one."""
    from dsconv.files.compiled import load_compiled

    model = load_compiled(path, threads)
    _check_classes(path, getattr(model, "classes", None), classes, labels)
    if labels is not None:  # it has classes
        model._labels = tuple(labels)  # type: ignore[attr-defined]
    return model


def _find(path_or_name: str | os.PathLike[str]) -> str:
    """The file, or that of the published weights of this name."""
    path = os.fspath(path_or_name)
    if not isinstance(path, str):
        raise TypeError(f"path_or_name must be a path or a name, got {path_or_name!r}")
    if os.path.exists(path) and not os.path.isdir(path) or os.path.basename(path) != path:
        return path
    from dsconv import pretrained

    if path in pretrained.PINNED:
        return pretrained.path_of(path)
    if os.path.splitext(path)[1] or os.path.isdir(path):
        return path
    known = ", ".join(pretrained.names())
    raise FileNotFoundError(f"{path}: no such file, and no name of published weights ({known})")


def _lower(path: str, graph: Graph, weights: Mapping[str, np.ndarray], family: str) -> Lowered:
    """Read, fold and pack the weights; errors name the file."""
    from dsconv.compiler.lowering import lower
    from dsconv.compiler.parameters import Parameters
    from dsconv.compiler.passes import optimise

    try:
        return lower(optimise(graph), Parameters(graph, weights))
    except (TypeError, ValueError) as error:
        if str(error).startswith(path):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: taken for {family}: {error}") from None


def _refuse(path: str, what: str, **options: object) -> None:
    for name, option in options.items():
        if option is not None:
            raise ValueError(f"{path}: {name} does not apply to {what}")


def _labels(labels: Labels) -> list[str]:
    """Names of classes, given as they are or as a text file."""
    if isinstance(labels, (str, os.PathLike)):
        with open(labels, encoding="utf-8-sig") as file:
            try:
                return file.read().rstrip().splitlines()
            except UnicodeDecodeError as error:
                raise ValueError(f"{os.fspath(labels)}: labels must be UTF-8: {error}") from None
    if not isinstance(labels, Sequence) or not all(isinstance(name, str) for name in labels):
        raise TypeError(f"labels must be names or the path of a text file, got {labels!r}")
    return list(labels)


def _check_classes(
    path: str, found: int | None, classes: int | None, labels: Sequence[str] | None
) -> None:
    for name, count in (("classes", classes), ("labels", None if labels is None else len(labels))):
        if count is not None and found is None:
            raise ValueError(f"{path}: {name} given, but the weights hold no classifier")
        if count is not None and count != found:
            of = f"{count} {name}" if name == "labels" else f"classes={count}"
            raise ValueError(f"{path}: the classifier has {found} classes, not those of {of}")
