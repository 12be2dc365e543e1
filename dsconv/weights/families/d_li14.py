"""Recognise MobileNetV2 of github.com/d-li14/mobilenetv2.pytorch.

Each block is one flat sequence. Padding is one pixel on every side, epsilon PyTorch's 1e-5
(models/imagenet/mobilenetv2.py); pictures are prepared as by torchvision (imagenet.py). The repository that it comes from,
tonylins/pytorch-mobilenet-v2, calls the last convolution "features.18" and its classifier
"classifier" or "classifier.1"; its files are read as well.
"""

from __future__ import annotations

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import PYTORCH, Arrays, Layers, Network, block_part
from dsconv.weights.families.pytorch_names import classifier, plain_names

__all__ = ["network", "plain_names"]


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return MobileNetV2 with the widths and classes of the file."""
    last = "features.18" if "features.18.0.weight" in arrays else "conv"

    def place(layer: str) -> tuple[str, str]:
        if layer in ("conv0", "conv_last"):
            at = "features.0" if layer == "conv0" else last
            return f"{at}.0", f"{at}.1"
        number, _, index = block_part(layer)  # each part: convolution, batch norm, ReLU6
        return f"features.{number}.conv.{3 * index}", f"features.{number}.conv.{3 * index + 1}"

    layers = Layers(arrays, PYTORCH, place, classifier(arrays, "classifier"))
    graph = mobilenets.mobilenet_v2(layers, resolution, "symmetric", 1e-5)
    about = Preprocessing("torchvision"), layers.classes
    return Network("MobileNetV2 of d-li14", graph, layers.array_of, *about)
