"""Recognise MobileNetV2 of torchvision.

Each block is a sequence of (convolution, batch norm, ReLU6) sequences. Padding is one pixel on
every side, the epsilon of batch norms PyTorch's 1e-5
(torchvision/models/mobilenetv2.py). Pictures: MobileNet_V2_Weights in the same file.
"""

from __future__ import annotations

import os

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import PYTORCH, Arrays, Layers, Network, block_part
from dsconv.weights.families.pytorch_names import classifier, plain_names

__all__ = ["network", "plain_names"]


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return MobileNetV2 with the widths and classes of the file."""
    layers = Layers(arrays, PYTORCH, _place, classifier(arrays, "classifier.1"))
    graph = mobilenets.mobilenet_v2(layers, resolution, "symmetric", 1e-5)
    # The second set of weights, which only its file name tells apart, was made for 224 of 232.
    second = "7ebf99e0" in os.path.basename(arrays.file.path)
    preprocessing = Preprocessing("torchvision", 224 / 232 if second else 0.875)
    about = preprocessing, layers.classes
    return Network("MobileNetV2 of torchvision", graph, layers.array_of, *about)


def _place(layer: str) -> tuple[str, str]:
    """Return the names of a layer's convolution and batch norm."""
    if layer in ("conv0", "conv_last"):
        at = f"features.{0 if layer == 'conv0' else 18}"
        return f"{at}.0", f"{at}.1"
    number, part, index = block_part(layer)
    at = f"features.{number}.conv"
    if part == "project":  # without ReLU6, and so not in a sequence of its own
        return f"{at}.{index}", f"{at}.{index + 1}"
    return f"{at}.{index}.0", f"{at}.{index}.1"
