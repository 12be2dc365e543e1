"""Recognise MobileNetV1, MobileNetV2 and EfficientNet-Lite of timm.

All are a stem, seven (V1: five) stages of blocks and a head under one scheme of names
(timm/models/efficientnet.py, _efficientnet_blocks.py). Numbers of blocks, channels and kernels are
read off the file, so that the deeper "110d" and "120d" are recognised as well. Padding of the
kernel's half on every side and PyTorch's epsilon 1e-5; files whose name begins with "tf_" were
converted from TensorFlow: SAME padding, epsilon 1e-3. Nothing inside the file tells the two apart.

Pictures (default_cfgs there): bicubic, 224 of 256, ImageNet's mean and deviation; for V1 and for
converted files 0.5 and 0.5; V1 of width 1.25 is cropped at 0.9, and Lite 1 to 4 have sizes of
their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from dsconv.graph import Graph
from dsconv.images.preprocessing import Preprocessing
from dsconv.models.topologies.blocks import conv_bn, input_shape, padding_3x3
from dsconv.models.topologies.mobilenet_v2 import inverted_residual
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import PYTORCH, Arrays, Layers, Network
from dsconv.weights.families.pytorch_names import classifier, plain_names

__all__ = ["network", "plain_names"]

_BLOCK = re.compile(r"blocks\.([0-6])\.(\d+)\.")
_V1_DEPTHS = (1, 2, 2, 6, 2)  # blocks of each stage
_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of each stage's first block, in V2 and in Lite
_KERNELS = {"mobilenet_v2": (3,) * 7, "efficientnet_lite": (3, 3, 5, 3, 5, 5, 3)}
_LITE = {  # number of blocks, channels of the last: resolution, crop
    (21, 320): (240, 0.882),
    (21, 352): (260, 0.890),
    (24, 384): (300, 0.904),
    (30, 448): (380, 0.920),
}
_FAMILIES = {
    "mobilenet_v1": "MobileNetV1 of timm",
    "mobilenet_v2": "MobileNetV2 of timm",
    "efficientnet_lite": "EfficientNet-Lite of timm",
}


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return the network with the depths, widths and classes of the file."""
    converted = os.path.basename(arrays.file.path).startswith("tf_")
    padding, epsilon = ("same", 1e-3) if converted else ("symmetric", 1e-5)
    depths = _depths(arrays)
    if any(".conv_pwl." in name for name in arrays.names):
        lite = arrays.size("blocks.2.0.conv_dw.weight", 2) == 5
        kind = "efficientnet_lite" if lite else "mobilenet_v2"
    else:
        kind, depths = "mobilenet_v1", list(_V1_DEPTHS)
    place = _places(depths, kind).__getitem__
    layers = Layers(arrays, PYTORCH, place, classifier(arrays, "classifier"))
    usual, crop, interpolation = 224, 0.875, "bicubic"
    if kind == "mobilenet_v1" and layers.channels("conv0") == 40:
        crop = 0.9
    if kind == "efficientnet_lite":
        which = sum(depths), layers.channels(f"block{sum(depths)}/project")
        usual, crop = _LITE.get(which, (usual, crop))
        if converted and usual >= 300:
            interpolation = "bilinear"
    options = usual if resolution is None else resolution, padding, epsilon
    if kind == "mobilenet_v1":
        graph = mobilenets.mobilenet_v1(layers, *options, last="conv_head.weight" in arrays)
    else:
        graph = _inverted_residuals(kind, depths, layers, *options)
    half = kind == "mobilenet_v1" or converted
    preprocessing = Preprocessing("tensorflow" if half else "torchvision", crop, interpolation)
    return Network(_FAMILIES[kind], graph, layers.array_of, preprocessing, layers.classes)


def _inverted_residuals(
    kind: str, depths: Sequence[int], layers: Layers, resolution: int, padding: str, epsilon: float
) -> Graph:
    """Build MobileNetV2 or EfficientNet-Lite; every stage as wide as its first block."""

    def filters(layer: str) -> int:
        return layers.channels(layer) or 8  # if it is missing, that is said later

    graph = Graph(kind)
    x = graph.input(input_shape(resolution))
    x = conv_bn(
        graph, x, filters("conv0"), 3, stride=2, padding=padding_3x3(padding),
        epsilon=epsilon, name="conv0",
    )  # fmt: skip
    number = 1
    for stage, depth in enumerate(depths):
        width = filters(f"block{number}/project")
        for index in range(depth):
            x = inverted_residual(
                graph, x, width, 6 if stage else 1, _KERNELS[kind][stage],
                stride=1 if index else _STRIDES[stage], padding=padding, epsilon=epsilon,
                name=f"block{number}",
            )  # fmt: skip
            number += 1
    x = conv_bn(graph, x, filters("conv_last"), epsilon=epsilon, name="conv_last")
    mobilenets.finish(graph, x, layers.classes)
    return graph


def _depths(arrays: Arrays) -> list[int]:
    """Return the numbers of blocks in the seven stages of the file, at least one."""
    stages: list[set[str]] = [set() for _ in range(7)]
    for name in arrays.names:
        if found := _BLOCK.match(name):
            stages[int(found[1])].add(found[2])
    return [max(1, len(blocks)) for blocks in stages]


def _places(depths: Sequence[int], kind: str) -> dict[str, tuple[str, str]]:
    """Return layer of the graph -> names of its convolution and its batch norm."""
    places = {"conv0": ("conv_stem", "bn1"), "conv_last": ("conv_head", "bn2")}
    stages = [(s, index) for s, depth in enumerate(depths) for index in range(depth)]
    for number, (stage, index) in enumerate(stages, start=1):
        if kind == "mobilenet_v1":
            parts = {"depthwise": "conv_dw", "pointwise": "conv_pw"}
        elif stage == 0:
            parts = {"depthwise": "conv_dw", "project": "conv_pw"}
        else:
            parts = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
        at = f"blocks.{stage}.{index}"
        for norm, (part, convolution) in enumerate(parts.items(), start=1):
            places[f"block{number}/{part}"] = f"{at}.{convolution}", f"{at}.bn{norm}"
    return places
