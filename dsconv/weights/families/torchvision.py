"""MobileNetV2 of torchvision: each block a sequence of (convolution, batch norm, ReLU6) sequences.

Padding of one pixel on every side, batch norm with PyTorch's epsilon 1e-5
(torchvision/models/mobilenetv2.py). Pictures: MobileNet_V2_Weights in the same file.
"""

from __future__ import annotations

import os

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import Arrays, Network
from dsconv.weights.families.pytorch_names import classifier, plain_names, sources

__all__ = ["network", "plain_names"]


def network(arrays: Arrays, resolution: int | None) -> Network:
    """MobileNetV2 with the widths and classes of the file."""

    def channels(layer: str) -> int:
        return arrays.size(f"{_place(layer)[0]}.weight", 0)

    logits = classifier(arrays, "classifier.1")
    graph = mobilenets.mobilenet_v2(
        channels,
        arrays.classes(f"{logits}.bias", f"{logits}.weight", 0),
        resolution,
        "symmetric",
        1e-5,
        pooled=arrays.size(f"{logits}.weight", 1),
    )
    # The second set of weights, which only its file name tells apart, was made for 224 of 232.
    second = "7ebf99e0" in os.path.basename(arrays.path)
    preprocessing = Preprocessing("torchvision", 224 / 232 if second else 0.875)
    source = sources(_place, logits)
    return Network("MobileNetV2 of torchvision", graph, source, preprocessing)


def _place(layer: str) -> tuple[str, str]:
    """Convolution and batch norm of a layer."""
    if layer in ("conv0", "conv_last"):
        at = f"features.{0 if layer == 'conv0' else 18}"
        return f"{at}.0", f"{at}.1"
    block, part = layer.split("/")
    number = block.removeprefix("block")
    parts = ("depthwise", "project") if number == "1" else ("expand", "depthwise", "project")
    index = parts.index(part)
    at = f"features.{number}.conv"
    if part == "project":  # without ReLU6, and so not in a sequence of its own
        return f"{at}.{index}", f"{at}.{index + 1}"
    return f"{at}.{index}.0", f"{at}.{index}.1"
