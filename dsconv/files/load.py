"""Load a network from a weight file, an ONNX file, a compiled model, or by a name.

A weight file goes this way, in the direction of the data:

1. `formats.format_of` tells the format by the first bytes;
2. `weights.open_weights` lists the names and shapes of the arrays, and checks them;
3. `weights.families.recognise` tells by the names which publisher's scheme they follow (the
   family), reads channels and classes off the shapes, builds the family's graph with them, and says
   which array holds which parameter of the graph;
4. the compiler asks for the parameters of one layer after the other (`compiler.weights`): each is
   read from the file, folded with its batch norm, packed for the kernels, and dropped.

No array is read before all names, shapes and dtypes fit, and at no time are all raw weights in
memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsconv.arguments.files import read_bytes
from dsconv.arguments.numbers import integer
from dsconv.files.formats import format_of

if TYPE_CHECKING:
    from dsconv.compiler.model import Model

__all__ = ["load"]

_MOST_LABELS = 4 << 20  # bytes of text
WORK_LIMIT = 1e12  # operations for an image; the largest network built in takes 1e11

Labels = Sequence[str] | str | os.PathLike  # names, or a text file with one in each line


def load(
    path_or_name: str | os.PathLike[str],
    threads: int | None = None,
    *,
    resolution: int | None = None,
    classes: int | None = None,
    labels: Labels | None = None,
    mmap: bool = True,
    verify: bool = False,
    work_limit: float | None = WORK_LIMIT,
) -> Any:
    """Load a network, from a file or by the name of published weights.

    The names and shapes in a weight file tell the family of files that it belongs to, and with it
    widths, classes, padding, epsilon and the preparation of pictures; .onnx and .dsconv files hold
    their network. Nothing in a file is executed. A .dsconv file is mapped into memory: it must not
    be overwritten in its place while the model is in use, only deleted or replaced. If it is cut
    short during a call, the process ends with SIGBUS. `mmap=False` is the remedy.

    Parameters
    ----------
    path_or_name : path, or str
        Weights as .npz, .safetensors, .pth, .pt, .h5, .keras; a network as .onnx; a compiled model
        as .dsconv; or, if there is no such file, one of `dsconv.pretrained.names()`.
    threads : int, optional
        Threads of every call; default: `dsconv.get_num_threads()` at the time of the call.
    resolution : int, optional
        Height and width of the input in pixels; by default those of the family, mostly 224. rho
        is resolution / 224. Refused for files that hold their network.
    classes : int, optional
        Number of classes that the file must have; for networks that were trained further. Not for
        .onnx.
    labels : sequence of str, or path, optional
        Names of the classes in the order of the outputs, or a text file with one in each line.
        Not for .onnx.
    mmap : bool, optional
        False reads the weights of a .dsconv file into memory, so that whatever becomes of the file
        does not matter. Other files are always read.
    verify : bool, optional
        True compares the weights of a .dsconv file with the checksum in it, which reads all of
        them. Only for .dsconv; the rest of such a file is compared in any case.
    work_limit : float, optional
        The most operations that one image may take, as counted on the steps of the model: a few
        bytes can describe a network that runs for days. None: no limit.

    Returns
    -------
    Classifier
        Or `dsconv.onnx.reading.model.OnnxModel` for .onnx, `Model` for a saved graph that is no
        classifier, and what was saved for .dsconv.

    Raises
    ------
    FileNotFoundError
        If there is no such file and no such name.
    ValueError, TypeError
        If the file is damaged, of another format or the weights of no known network, if it is a
        FIFO, a device or a socket, if it has not as many classes as `classes` or `labels`, if it
        takes more work than `work_limit`, or if an option does not apply to such files.
    """
    path = _find(path_or_name)
    threads = None if threads is None else integer(threads, "threads")
    form = format_of(path)
    if form != "dsconv":
        _refuse(path, "a file that is no compiled model", verify=verify or None)
    if form == "onnx":
        options = {"resolution": resolution, "classes": classes, "labels": labels}
        _refuse(path, "a file that holds its graph", **options)
        from dsconv.onnx.reading.model import load_onnx

        return _within(work_limit, path, load_onnx(path, threads))
    classes = None if classes is None else integer(classes, "classes")
    resolution = None if resolution is None else integer(resolution, "resolution")
    names = None if labels is None else _labels(labels)
    if form == "dsconv":
        from dsconv.files.compiled import load_compiled

        _refuse(path, "a compiled model", resolution=resolution)
        model = load_compiled(path, threads, mmap=mmap, verify=verify)
        _check_classes(path, getattr(model, "classes", None), classes, names)
        if names is not None:  # it has classes
            model._labels = tuple(names)  # type: ignore[attr-defined]
    else:
        model = _load_weights(path, threads, resolution, classes, names)
    return _within(work_limit, path, model)


def _within(work_limit: float | None, path: str, model: Model) -> Model:
    """Return the model, unless it takes more work than allowed."""
    work = model._program.work
    if work_limit is not None and not work <= work_limit:
        raise ValueError(
            f"{path}: one image takes about {work:.3g} operations, and work_limit is "
            f"{work_limit:.3g}; work_limit=None loads the model all the same"
        )
    return model


def _load_weights(
    path: str,
    threads: int | None,
    resolution: int | None,
    classes: int | None,
    labels: Sequence[str] | None,
) -> Model:
    """Return the network that the names and shapes in a weight file belong to."""
    from dsconv.compiler.lowering import lower
    from dsconv.compiler.model import Model
    from dsconv.compiler.passes import optimise
    from dsconv.compiler.weights import FoldedWeights
    from dsconv.vision.classifier import Classifier, takes_pictures
    from dsconv.weights import open_weights
    from dsconv.weights.families import recognise
    from dsconv.weights.file import errors_name
    from dsconv.weights.source import FileSource

    with open_weights(path) as file:
        found = recognise(file, resolution)
        _check_classes(path, found.classes, classes, labels)
        with errors_name(path, f"taken for {found.family}: "):
            program = lower(optimise(found.graph), FoldedWeights(found.graph, found.weights))
    model: Model
    if takes_pictures(program.inputs, program.outputs):
        about = found.family, found.preprocessing, found.classes, labels
        model = Classifier(found.graph.name, program, threads, *about)
    else:
        model = Model(found.graph.name, program, threads)
    model.source = FileSource(os.path.abspath(path), file.stamp)
    return model


def _find(path_or_name: str | os.PathLike[str]) -> str:
    """Return the path of a file, or of the published weights of this name."""
    path = os.fspath(path_or_name)
    if not isinstance(path, str):
        raise TypeError(f"path_or_name must be a path or a name, got {path_or_name!r}")
    can_be_name = path == os.path.splitext(os.path.basename(path))[0]
    if not can_be_name or os.path.exists(path) and not os.path.isdir(path):
        return path
    from dsconv.files import pretrained

    if path in pretrained.PINNED:
        return pretrained.path_of(path)
    if os.path.isdir(path):
        return path
    known = ", ".join(pretrained.names())
    raise FileNotFoundError(f"{path}: no such file, and no name of published weights ({known})")


def _refuse(path: str, what: str, **options: object) -> None:
    """Raise ValueError if one of these options is given."""
    for name, option in options.items():
        if option is not None:
            raise ValueError(f"{path}: {name} does not apply to {what}")


def _labels(labels: Labels) -> list[str]:
    """Return the names of classes, given as they are or as a text file."""
    if isinstance(labels, (str, os.PathLike)):
        try:
            return read_bytes(labels, _MOST_LABELS).decode("utf-8-sig").rstrip().splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{os.fspath(labels)}: labels must be UTF-8: {error}") from None
    if not isinstance(labels, Sequence) or not all(isinstance(name, str) for name in labels):
        raise TypeError(f"labels must be names or the path of a text file, got {labels!r}")
    return list(labels)


def _check_classes(
    path: str, found: int | None, classes: int | None, labels: Sequence[str] | None
) -> None:
    """Check that a network has as many classes as the caller says."""
    for name, count in (("classes", classes), ("labels", None if labels is None else len(labels))):
        if count is not None and found is None:
            raise ValueError(f"{path}: {name} given, but the weights hold no classifier")
        if count is not None and count != found:
            of = f"{count} {name}" if name == "labels" else f"classes={count}"
            raise ValueError(f"{path}: the classifier has {found} classes, not those of {of}")
