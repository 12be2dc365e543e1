"""MobileNetV1 and V2 of TF-slim: an .npz with the variables of a checkpoint under their names.

HWIO weights, TensorFlow's SAME padding, batch norm with epsilon 1e-3, the classifier as a 1x1
convolution, mostly with 1001 classes: 0 is the background (tensorflow/models, research/slim/nets:
mobilenet_v1.py, mobilenet/mobilenet_v2.py). What training leaves beside the variables is ignored:
counters of steps, moving averages and the optimizer's slots.
"""

from __future__ import annotations

from collections.abc import Callable

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families import mobilenets
from dsconv.weights.families.arrays import (
    Arrays,
    Network,
    Source,
    Transform,
    same,
    without_kernel_axes,
)

_TRAINING = {  # last parts of names that are no variables of the network
    "global_step", "beta1_power", "beta2_power", "ExponentialMovingAverage", "Momentum", "RMSProp",
    "RMSProp_1", "Adam", "Adam_1", "Adagrad", "Ftrl", "Ftrl_1", "biased", "local_step",
}  # fmt: skip
_NORM = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
_LOGITS = "Logits/Conv2d_1c_1x1"


def plain_names(names: list[str]) -> dict[str, str]:
    """Variables of the network, from "MobilenetV1/" or "MobilenetV2/" on, without ":0"."""
    found = {}
    for name in names:
        plain = name.removesuffix(":0")
        if plain.rpartition("/")[2] not in _TRAINING:
            found[plain[max(plain.find("MobilenetV"), 0) :]] = name
    return found


def network(arrays: Arrays, resolution: int | None) -> Network:
    """MobileNetV1 or V2 with the widths and classes of the file."""
    version = 2 if any(name.startswith("MobilenetV2/") for name in arrays.names) else 1
    prefix, place = f"MobilenetV{version}", _place_v2 if version == 2 else _place_v1
    weight, bias = f"{prefix}/{_LOGITS}/weights", f"{prefix}/{_LOGITS}/biases"
    classes = arrays.classes(bias, weight, 3)

    def channels(layer: str) -> int:
        return arrays.size(f"{prefix}/{place(layer)}/weights", 3)

    if version == 2:
        graph = mobilenets.mobilenet_v2(
            channels, classes, resolution, "same", 1e-3, pooled=arrays.size(weight, 2)
        )
    else:
        graph = mobilenets.mobilenet_v1(channels, classes, resolution, "same", 1e-3)
    return Network(
        f"MobileNetV{version} of TF-slim",
        graph,
        _source(prefix, place),
        Preprocessing("tensorflow"),
    )


def _source(prefix: str, place: Callable[[str], str]) -> Source:
    def source(layer: str, parameter: str) -> tuple[str, Transform]:
        if layer == "logits":
            what = {"weight": "weights", "bias": "biases"}[parameter]
            return f"{prefix}/{_LOGITS}/{what}", without_kernel_axes
        at = f"{prefix}/{place(layer.removesuffix('/bn'))}"
        if parameter in _NORM:
            return f"{at}/BatchNorm/{_NORM[parameter]}", same
        what = "depthwise_weights" if layer.endswith("depthwise") else "weights"
        return f"{at}/{what}", same

    return source


def _place_v1(layer: str) -> str:
    if layer == "conv0":
        return "Conv2d_0"
    block, part = layer.split("/")
    return f"Conv2d_{block.removeprefix('block')}_{part}"


def _place_v2(layer: str) -> str:
    if layer in ("conv0", "conv_last"):
        return "Conv" if layer == "conv0" else "Conv_1"
    block, part = layer.split("/")
    number = int(block.removeprefix("block")) - 1
    return f"expanded_conv_{number}/{part}" if number else f"expanded_conv/{part}"
