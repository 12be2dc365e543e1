"""Name Keras weights, "layer/parameter", by the paths of HDF5 datasets: see `h5`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

Path = tuple[str, ...]  # names of groups from the top down, then of the dataset

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # Keras 3, and TensorFlow 2.12 and 2.13
_TRAINING = ("optimizer", "metrics", "seed_generator")
_PARAMETERS = {  # class in Keras 3's spelling: its variables in order
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def names(paths: Sequence[Path], config: Any = None) -> dict[Path, str]:
    """Return the names of the weights among the datasets of a file, by path.

    `config` is the parsed config.json of the model, which knows the layers' names in a .keras file.
    ValueError is raised if it describes no model.
    """
    whole = [path for path in paths if path[0] == "model_weights" and len(path) > 2]
    if whole:  # saved with the model's architecture and the optimizer's state
        return {("model_weights", *path): name for path, name in _old([p[1:] for p in whole])}
    if any(path[-2:-1] == ("vars",) for path in paths):
        return dict(_new([p for p in paths if p[-2:-1] == ("vars",) and not _training(p)], config))
    return dict(_old([path for path in paths if len(path) > 1]))


def _old(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield names of Keras 1 and 2: LAYER/SCOPE/.../PARAMETER:0.

    The scope mostly repeats the layer's name and is left out, unless the layer is a model with
    layers of its own, which are told apart by it.
    """
    scopes = defaultdict(set)
    for path in paths:
        scopes[path[0]].add(path[1:-1])
    for path in paths:
        scope = path[1:-1] if len(scopes[path[0]]) > 1 else ()
        yield path, "/".join((path[0], *scope, path[-1].removesuffix(":0")))


def _new(paths: Sequence[Path], config: Any) -> Iterator[tuple[Path, str]]:
    """Yield names of Keras 3: layers/CLASS_NUMBER/vars/INDEX, in models layers/MODEL/layers/..."""
    counts = Counter(path[:-2] for path in paths)
    described = _described(set(counts), config)
    for path in paths:
        layer, index = path[:-2], path[-1]
        parts = [
            described[layer[:end]][0] if layer[:end] in described else layer[end - 1]
            for end in range(1, len(layer) + 1)
            if layer[end - 1] not in _CONTAINERS
        ]
        words = _parameters(layer, counts[layer], described.get(layer, ("", {}))[1])
        numbered = index.isdecimal() and len(index) < 10 and int(index) < len(words)
        yield path, "/".join((*parts, words[int(index)] if numbered else index))


def _training(path: Path) -> bool:
    """Tell whether a Keras 3 path leads to the state of training, not to weights."""
    return any(
        part in _TRAINING or (part.startswith("_") and part not in _CONTAINERS) for part in path
    )


def _parameters(layer: Path, count: int, options: dict[str, Any]) -> tuple[str, ...]:
    """Return the variables of a layer in order; () if they cannot be told."""
    words = _PARAMETERS.get(_class_and_number(layer[-1])[0] if layer else "", ())
    if count < len(words) and words[0] == "gamma":  # not scaled, not centred, or neither
        absent = {
            word for word, option in (("gamma", "scale"), ("beta", "center"))
            if count == 2 or options.get(option) is False
        }  # fmt: skip
        words = tuple(word for word in words if word not in absent)
        return words if len(words) == count else ()
    return words if count <= len(words) else ()


def _described(layers: set[Path], config: Any) -> dict[Path, tuple[str, dict[str, Any]]]:
    """Return name and options of layers by path, as far as the model's config has them.

    The file counts the layers of each class in the model's order, and so does the config. Numbers
    may be skipped (where the container held a layer twice), so the k-th of the file is the k-th of
    the config, provided that they have equally many.
    """
    inside: dict[Path, set[str]] = defaultdict(set)
    for path in layers:
        for end in range(len(path)):
            inside[path[:end]].add(path[end])
    result: dict[Path, tuple[str, dict[str, Any]]] = {}
    todo: list[tuple[Path, Any]] = [((), config)]
    while todo:
        prefix, model = todo.pop()
        listed = defaultdict(list)
        for layer in _layers_of(model):
            listed[_snake_case(layer["class_name"])].append(layer)
        for container in _CONTAINERS:
            present = defaultdict(list)
            for part in inside.get((*prefix, container), ()):
                kind, number = _class_and_number(part)
                present[kind].append((number, part))
            for kind, parts in present.items():
                if len(parts) == len(listed[kind]):
                    for (_, part), layer in zip(sorted(parts), listed[kind], strict=True):
                        path = (*prefix, container, part)
                        result[path] = layer["config"]["name"], layer["config"]
                        todo.append((path, layer))
    return result


def _layers_of(model: Any) -> list[Any]:
    """Return the layers in a config of a model; anything else has none."""
    if model is None:
        return []
    options = model.get("config") if type(model) is dict else None
    if type(options) is not dict:
        raise ValueError("config.json describes no model")
    layers = options.get("layers", [])
    if type(layers) is not list:
        raise ValueError("config.json: the layers of a model are no list")
    for layer in layers:
        if (
            type(layer) is not dict
            or type(layer.get("class_name")) is not str
            or type(layer.get("config")) is not dict
            or type(layer["config"].get("name")) is not str
        ):
            raise ValueError("config.json: a layer without class and name")
    return layers


def _class_and_number(part: str) -> tuple[str, int]:
    """Return class and counter: ("conv2d", 12) for conv2d_12, and 0 for the first, conv2d."""
    kind, _, number = part.rpartition("_")
    if kind and number.isdecimal() and len(number) < 10:
        return kind, int(number)
    return part, 0


def _snake_case(name: str) -> str:
    """Return a class as Keras 3 spells it in a path: DepthwiseConv2D -> depthwise_conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
