"""Writes weights as the training frameworks save them: TF-slim's names and torchvision's."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch_files

Arrays = dict[str, np.ndarray]


def slim(weights: Mapping[str, np.ndarray]) -> Arrays:
    """MobileNetV1: HWIO, the classifier as a 1x1 convolution."""
    layers = {"Conv2d_0": "conv0"}
    for block in range(1, 14):
        for part in ("depthwise", "pointwise"):
            layers[f"Conv2d_{block}_{part}"] = f"block{block}/{part}"
    found = {}
    for theirs, ours in layers.items():
        kernel = "depthwise_weights" if theirs.endswith("depthwise") else "weights"
        found[f"MobilenetV1/{theirs}/{kernel}"] = weights[f"{ours}/weight"]
        for theirs_too, part in (
            ("gamma", "gamma"),
            ("beta", "beta"),
            ("moving_mean", "mean"),
            ("moving_variance", "variance"),
        ):
            found[f"MobilenetV1/{theirs}/BatchNorm/{theirs_too}"] = weights[f"{ours}/bn/{part}"]
    logits = "MobilenetV1/Logits/Conv2d_1c_1x1"
    found[f"{logits}/weights"] = weights["logits/weight"][np.newaxis, np.newaxis]
    found[f"{logits}/biases"] = weights["logits/bias"]
    return found


def torchvision(weights: Mapping[str, np.ndarray]) -> Arrays:
    """MobileNetV2: OIHW, blocks as numbered sequences, counters of batches beside batch norms."""
    layers = {"features.0.0": ("conv0", "features.0.1")}
    for block in range(1, 18):
        parts = ("expand", "depthwise", "project")[block == 1 :]
        for index, part in enumerate(parts):
            at = f"features.{block}.conv.{index}"
            if part == "project":
                layers[at] = (f"block{block}/project", f"features.{block}.conv.{index + 1}")
            else:
                layers[f"{at}.0"] = (f"block{block}/{part}", f"{at}.1")
    layers["features.18.0"] = ("conv_last", "features.18.1")
    found = {}
    for theirs, (ours, norm) in layers.items():
        weight = weights[f"{ours}/weight"]
        depthwise = ours.endswith("depthwise")
        found[f"{theirs}.weight"] = weight.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        for theirs_too, part in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "mean"),
            ("running_var", "variance"),
        ):
            found[f"{norm}.{theirs_too}"] = weights[f"{ours}/bn/{part}"]
        found[f"{norm}.num_batches_tracked"] = np.array(7, np.int64)
    found["classifier.1.weight"] = weights["logits/weight"].T
    found["classifier.1.bias"] = weights["logits/bias"]
    return found


def npz(arrays: Mapping[str, Any]) -> bytes:
    """An .npz file."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def pth(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A .pth file of the legacy format."""
    kinds = {np.dtype(np.float32): "Float", np.dtype(np.int64): "Long", np.dtype(float): "Double"}
    tensors = OrderedDict(
        (name, torch_files.full(kinds[array.dtype], str(key), array))
        for key, (name, array) in enumerate(arrays.items())
    )
    return torch_files.legacy(tensors)
