"""Recognise MobileNetV1 and V2 of TF-slim: an .npz of a checkpoint's variables by their names.

HWIO weights, TensorFlow's SAME padding, batch norm with epsilon 1e-3, the classifier as a 1x1
convolution, mostly with 1001 classes: 0 is the background (tensorflow/models, research/slim/nets:
mobilenet_v1.py, mobilenet/mobilenet_v2.py). What training leaves beside the variables is ignored:
counters of steps, moving averages and the optimizer's slots.
"""

from __future__ import annotations

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import TF_SLIM, Arrays, Layers, Network, block_part

_TRAINING = {  # last parts of names that are no variables of the network
    "global_step", "beta1_power", "beta2_power", "ExponentialMovingAverage", "Momentum", "RMSProp",
    "RMSProp_1", "Adam", "Adam_1", "Adagrad", "Ftrl", "Ftrl_1", "biased", "local_step",
}  # fmt: skip


def plain_names(names: list[str]) -> dict[str, str]:
    """Return the variables of the network without ":0", from "MobilenetV1/" or "V2/" on."""
    found = {}
    for name in names:
        plain = name.removesuffix(":0")
        if plain.rpartition("/")[2] not in _TRAINING:
            found[plain[max(plain.find("MobilenetV"), 0) :]] = name
    return found


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return MobileNetV1 or V2 with the widths and classes of the file."""
    version = 2 if any(name.startswith("MobilenetV2/") for name in arrays.names) else 1
    part_of = _place_v2 if version == 2 else _place_v1

    def place(layer: str) -> tuple[str, str]:
        at = f"MobilenetV{version}/{part_of(layer)}"
        return at, f"{at}/BatchNorm"

    layers = Layers(arrays, TF_SLIM, place, f"MobilenetV{version}/Logits/Conv2d_1c_1x1")
    build = mobilenets.mobilenet_v2 if version == 2 else mobilenets.mobilenet_v1
    graph = build(layers, resolution, "same", 1e-3)
    about = Preprocessing("tensorflow"), layers.classes
    return Network(f"MobileNetV{version} of TF-slim", graph, layers.array_of, *about)


def _place_v1(layer: str) -> str:
    if layer == "conv0":
        return "Conv2d_0"
    number, part, _ = block_part(layer)
    return f"Conv2d_{number}_{part}"


def _place_v2(layer: str) -> str:
    if layer in ("conv0", "conv_last"):
        return "Conv" if layer == "conv0" else "Conv_1"
    number, part, _ = block_part(layer)
    return f"expanded_conv_{number - 1}/{part}" if number > 1 else f"expanded_conv/{part}"
