"""Weights of a graph under the names of the families that publish such networks.

Each function takes weights by the graph's names and gives arrays as their frameworks keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]
Arrays = dict[str, np.ndarray]
Place = Callable[[str], tuple[str, str]]  # layer -> names of its convolution and its batch norm

TORCH_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
TF_NORM = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}


def _layers(weights: Weights) -> list[str]:
    """Return the convolutions in the order of the graph."""
    suffix = "/bn/gamma"
    return [name.removesuffix(suffix) for name in weights if name.endswith(suffix)]


def _block(layer: str) -> tuple[int, str]:
    block, part = layer.split("/")
    return int(block.removeprefix("block")), part


def _torch(weights: Weights, place: Place, logits: str) -> Arrays:
    found = {}
    for layer in _layers(weights):
        convolution, norm = place(layer)
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (3, 2, 0, 1)
        found[f"{convolution}.weight"] = weights[f"{layer}/weight"].transpose(axes)
        for ours, theirs in TORCH_NORM.items():
            found[f"{norm}.{theirs}"] = weights[f"{layer}/bn/{ours}"]
        found[f"{norm}.num_batches_tracked"] = np.array(7, np.int64)
    if "logits/weight" in weights:
        found[f"{logits}.weight"] = weights["logits/weight"].T
        found[f"{logits}.bias"] = weights["logits/bias"]
    return found


def torchvision(weights: Weights) -> Arrays:
    """Call blocks as numbered sequences, with counters of batches beside batch norms."""

    def place(layer: str) -> tuple[str, str]:
        if "/" not in layer:
            at = {"conv0": "features.0", "conv_last": "features.18"}[layer]
            return f"{at}.0", f"{at}.1"
        number, part = _block(layer)
        index = ("expand", "depthwise", "project").index(part) - (number == 1)
        at = f"features.{number}.conv.{index}"
        if part == "project":
            return at, f"features.{number}.conv.{index + 1}"
        return f"{at}.0", f"{at}.1"

    return _torch(weights, place, "classifier.1")


def d_li14(weights: Weights) -> Arrays:
    def place(layer: str) -> tuple[str, str]:
        if "/" not in layer:
            at = {"conv0": "features.0", "conv_last": "conv"}[layer]
            return f"{at}.0", f"{at}.1"
        number, part = _block(layer)
        index = ("expand", "depthwise", "project").index(part) - (number == 1)
        return f"features.{number}.conv.{3 * index}", f"features.{number}.conv.{3 * index + 1}"

    return _torch(weights, place, "classifier")


def pytorch_v1(weights: Weights) -> Arrays:
    def place(layer: str) -> tuple[str, str]:
        number, part = (0, "") if layer == "conv0" else _block(layer)
        index = 3 if part == "pointwise" else 0
        return f"model.{number}.{index}", f"model.{number}.{index + 1}"

    return _torch(weights, place, "fc")


def timm(weights: Weights, depths: tuple[int, ...]) -> Arrays:
    """Call the layers of V1 and V2 by the number of blocks in each stage."""
    stages = [(stage, i) for stage, depth in enumerate(depths) for i in range(depth)]

    def place(layer: str) -> tuple[str, str]:
        if "/" not in layer:
            return {"conv0": ("conv_stem", "bn1"), "conv_last": ("conv_head", "bn2")}[layer]
        number, part = _block(layer)
        at = "blocks.{}.{}".format(*stages[number - 1])
        names = {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2")}
        names |= {"project": ("conv_pwl", "bn3")}
        if f"block{number}/expand/weight" not in weights:
            names = {"depthwise": ("conv_dw", "bn1"), "pointwise": ("conv_pw", "bn2")}
            names |= {"project": ("conv_pw", "bn2")}
        return f"{at}.{names[part][0]}", f"{at}.{names[part][1]}"

    return _torch(weights, place, "classifier")


def timm_v1(weights: Weights) -> Arrays:
    return timm(weights, (1, 2, 2, 6, 2))


def timm_v2(weights: Weights) -> Arrays:
    return timm(weights, (1, 2, 3, 4, 3, 3, 1))


def _slim(weights: Weights, version: int, place: Callable[[str], str]) -> Arrays:
    found = {}
    for layer in _layers(weights):
        at = f"MobilenetV{version}/{place(layer)}"
        kernel = "depthwise_weights" if layer.endswith("depthwise") else "weights"
        found[f"{at}/{kernel}"] = weights[f"{layer}/weight"]
        for ours, theirs in TF_NORM.items():
            found[f"{at}/BatchNorm/{theirs}"] = weights[f"{layer}/bn/{ours}"]
    if "logits/weight" in weights:
        logits = f"MobilenetV{version}/Logits/Conv2d_1c_1x1"
        found[f"{logits}/weights"] = weights["logits/weight"][np.newaxis, np.newaxis]
        found[f"{logits}/biases"] = weights["logits/bias"]
    return found


def slim(weights: Weights) -> Arrays:
    return _slim(
        weights,
        1,
        lambda layer: "Conv2d_0" if layer == "conv0" else "Conv2d_{}_{}".format(*_block(layer)),
    )


def slim_v2(weights: Weights) -> Arrays:
    """Call MobileNetV2 by TF-slim's names, with what training leaves beside the variables."""

    def place(layer: str) -> str:
        if "/" not in layer:
            return {"conv0": "Conv", "conv_last": "Conv_1"}[layer]
        number, part = _block(layer)
        return f"expanded_conv/{part}" if number == 1 else f"expanded_conv_{number - 1}/{part}"

    found = _slim(weights, 2, place)
    slots = ("ExponentialMovingAverage", "RMSProp", "RMSProp_1")
    found |= {f"{n}/{slot}": np.zeros_like(a) for n, a in found.items() for slot in slots}
    return {"global_step": np.array(12345, np.int64), **found}


def _keras(weights: Weights, place: Place, logits: str, kernel_axes: int, depthwise: str) -> Arrays:
    found = {}
    for layer in _layers(weights):
        convolution, norm = place(layer)
        kernel = depthwise if layer.endswith("depthwise") else "kernel"
        found[f"{convolution}/{kernel}"] = weights[f"{layer}/weight"]
        for ours, theirs in TF_NORM.items():
            found[f"{norm}/{theirs}"] = weights[f"{layer}/bn/{ours}"]
    if "logits/weight" in weights:
        matrix = weights["logits/weight"]
        found[f"{logits}/kernel"] = matrix.reshape((1,) * kernel_axes + matrix.shape)
        found[f"{logits}/bias"] = weights["logits/bias"]
    return found


def keras_v1(weights: Weights, depthwise: str = "depthwise_kernel") -> Arrays:
    def place(layer: str) -> tuple[str, str]:
        name = "conv1"
        if layer != "conv0":
            number, part = _block(layer)
            name = f"conv_{'dw' if part == 'depthwise' else 'pw'}_{number}"
        return name, f"{name}_bn"

    return _keras(weights, place, "conv_preds", 2, depthwise)


def _keras_v2_place(name: Callable[[int, str], tuple[str, str]]) -> Place:
    ends = {"conv0": ("Conv1", "bn_Conv1"), "conv_last": ("Conv_1", "Conv_1_bn")}
    return lambda layer: name(*_block(layer)) if "/" in layer else ends[layer]


def keras_v2(
    weights: Weights, depthwise: str = "kernel", logits: str = "predictions", prefix: str = ""
) -> Arrays:
    def name(number: int, part: str) -> tuple[str, str]:
        name = f"expanded_conv_{part}" if number == 1 else f"block_{number - 1}_{part}"
        return name, f"{name}_BN"

    found = _keras(weights, _keras_v2_place(name), logits, 0, depthwise)
    return {name if logits in name else prefix + name: array for name, array in found.items()}


def old_keras_v2(weights: Weights) -> Arrays:
    """Call layers as the first version of the network in Keras did."""

    def name(number: int, part: str) -> tuple[str, str]:
        n = number - 1
        return f"mobl{n}_conv_{n}_{part}", f"bn{n}_conv_{n}_bn_{part}"

    return _keras(weights, _keras_v2_place(name), "Logits", 0, "depthwise_kernel")


def counted_keras(weights: Weights) -> Arrays:
    """Call layers as Keras 3 does without names: classes and numbers, which have gaps."""
    numbers = {"conv2d": 0, "depthwise_conv2d": 0, "batch_normalization": 0}

    def counted(kind: str) -> str:
        number = numbers[kind]
        numbers[kind] += 1 + number % 2
        return f"{kind}_{number}" if number else kind

    def place(layer: str) -> tuple[str, str]:
        kind = "depthwise_conv2d" if layer.endswith("depthwise") else "conv2d"
        return counted(kind), counted("batch_normalization")

    found = _keras(weights, place, "dense", 0, "kernel")
    return dict(sorted(found.items()))
