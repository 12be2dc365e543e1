"""Recognise MobileNetV1 in PyTorch as it has spread from github.com/marvis/pytorch-mobilenet.

"model.0" is the stem, "model.1" to "model.13" are the blocks: 0 and 1 the depthwise convolution
and its batch norm, 3 and 4 the pointwise one. Padding of one pixel on every side, PyTorch's
epsilon 1e-5, and **ReLU, not ReLU6** (main.py there); pictures as torchvision prepares them.
"""

from __future__ import annotations

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import PYTORCH, Arrays, Layers, Network, block_part
from dsconv.weights.families.pytorch_names import classifier, plain_names

__all__ = ["network", "plain_names"]


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return MobileNetV1 with the widths and classes of the file."""
    layers = Layers(arrays, PYTORCH, _place, classifier(arrays, "fc"))
    graph = mobilenets.mobilenet_v1(layers, resolution, "symmetric", 1e-5, activation="relu")
    about = Preprocessing("torchvision"), layers.classes
    return Network("MobileNetV1 of PyTorch", graph, layers.array_of, *about)


def _place(layer: str) -> tuple[str, str]:
    """Return the names of a layer's convolution and batch norm."""
    if layer == "conv0":
        return "model.0.0", "model.0.1"
    number, part, _ = block_part(layer)
    index = 0 if part == "depthwise" else 3
    return f"model.{number}.{index}", f"model.{number}.{index + 1}"
