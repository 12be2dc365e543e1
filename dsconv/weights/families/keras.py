"""Recognise MobileNetV1 and V2 of keras.applications, with their classifier, another or none.

Batch norm with epsilon 1e-3; x / 127.5 - 1; 1000 classes, without background
(keras/src/applications/mobilenet.py, mobilenet_v2.py). Padding is "same", but in front of strided
depthwise convolutions V1 puts zeros only below and on the right, which differs where the map has
an odd size. V2 computes what "same" does.

Keras's own examples resize a picture to the input's size with `load_img(target_size=...)`: all of
it, not in proportion, by nearest neighbour.

Names are "layer/parameter": see `dsconv.weights.h5`. Layers may lie in a model inside the model,
and bear old names ("mobl1_conv_1_expand") or none (Keras 3 counts: "conv2d_1").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from dsconv.graph import Graph
from dsconv.images.preprocessing import Preprocessing
from dsconv.layers import DepthwiseConv2D
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import KERAS, Arrays, Layers, Network, Place, block_part

_OLD_V2 = re.compile(r"(mobl|bn)(\d+)_conv(?:_\d+)?_(?:bn_)?(expand|depthwise|project)")
_KINDS = ("conv2d", "depthwise_conv2d", "batch_normalization")
_COUNTED = re.compile(rf"({'|'.join(_KINDS)})(?:_(\d+))?")


def plain_names(names: list[str]) -> dict[str, str]:
    """Return the last "layer/parameter" of each name, with the layer's present name."""
    split = {name: name.removesuffix(":0").split("/")[-2:] for name in names}
    counted = _counted({parts[0] for parts in split.values()})
    found: dict[str, str] = {}
    for name, parts in split.items():
        layer, parameter = counted.get(parts[0], parts[0]), parts[-1]
        if old := _OLD_V2.fullmatch(layer):
            kind, number, part = old.groups()
            layer = f"block_{number}_{part}" if number != "0" else f"expanded_conv_{part}"
            layer += "_BN" if kind == "bn" else ""
        plain = f"{layer}/{parameter.replace('depthwise_kernel', 'kernel')}"
        found[name if plain in found else plain] = name
    return found


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return MobileNetV1 or V2 with the widths and classes of the file."""
    version = 1 if any(name.startswith("conv_dw_") for name in arrays.names) else 2
    place = _place_v1 if version == 1 else _place_v2
    layers = Layers(arrays, KERAS, place, _classifier(arrays, place, version))
    if version == 1:
        graph = _padded_below(mobilenets.mobilenet_v1(layers, resolution, "same", 1e-3))
    else:
        graph = mobilenets.mobilenet_v2(layers, resolution, "same", 1e-3)
    about = Preprocessing("tensorflow", crop=None, interpolation="nearest"), layers.classes
    return Network(f"MobileNetV{version} of Keras", graph, layers.array_of, *about)


def _place_v1(layer: str) -> tuple[str, str]:
    """Return the names of a layer's convolution and batch norm."""
    name = "conv1"
    if layer != "conv0":
        number, part, _ = block_part(layer)
        name = f"conv_{'dw' if part == 'depthwise' else 'pw'}_{number}"
    return name, f"{name}_bn"


def _place_v2(layer: str) -> tuple[str, str]:
    """Return the names of a layer's convolution and batch norm."""
    if layer == "conv0":
        return "Conv1", "bn_Conv1"
    if layer == "conv_last":
        return "Conv_1", "Conv_1_bn"
    number, part, _ = block_part(layer)
    name = f"block_{number - 1}_{part}" if number > 1 else f"expanded_conv_{part}"
    return name, f"{name}_BN"


def _layers(version: int) -> list[str]:
    """Return the convolutions of the graph in their order."""
    if version == 1:
        parts = [f"block{n}/{p}" for n in range(1, 14) for p in ("depthwise", "pointwise")]
        return ["conv0", *parts]
    parts = [f"block{n}/{p}" for n in range(1, 18) for p in ("expand", "depthwise", "project")]
    return ["conv0", *parts[1:], "conv_last"]  # block 1 has no expansion


def _counted(layers: Iterable[str]) -> dict[str, str]:
    """Return the names of layers that are known by class and number only: the n-th is the n-th."""
    numbers: dict[str, dict[int, str]] = {kind: {} for kind in _KINDS}
    for layer in layers:
        if found := _COUNTED.fullmatch(layer):
            numbers[found[1]][int(found[2] or 0)] = layer
    depthwise = len(numbers["depthwise_conv2d"])
    if not depthwise:
        return {}
    version = 1 if depthwise == 13 else 2
    place = _place_v1 if version == 1 else _place_v2
    names: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for layer in _layers(version):
        convolution, norm = place(layer)
        kind = "depthwise_conv2d" if layer.endswith("depthwise") else "conv2d"
        names[kind].append(convolution)
        names["batch_normalization"].append(norm)
    names["conv2d"] += ["conv_preds"] if version == 1 else []
    return {
        layer: name
        for kind in _KINDS
        for (_, layer), name in zip(sorted(numbers[kind].items()), names[kind], strict=False)
    }


def _classifier(arrays: Arrays, place: Place, version: int) -> str:
    """Return the layer that remains, whatever it is called: "predictions", "Logits", "dense" ..."""
    known = {name for layer in _layers(version) for name in place(layer)}
    kernels = [name.removesuffix("/kernel") for name in arrays.names if name.endswith("/kernel")]
    left = [layer for layer in kernels if layer not in known]
    return left[0] if len(left) == 1 else "conv_preds" if version == 1 else "predictions"


def _padded_below(graph: Graph) -> Graph:
    """Return the graph with zeros only below and on the right of strided depthwise layers."""
    result = Graph(graph.name)
    for node in graph.nodes.values():
        layer = node.layer
        if isinstance(layer, DepthwiseConv2D) and layer.stride != (1, 1):
            layer = replace(layer, padding=((0, 1), (0, 1)))
        result.add(layer, *node.inputs, name=node.name)
    result.output(*graph.outputs)
    return result
