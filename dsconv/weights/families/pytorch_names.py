"""What the PyTorch families share: wrappers in front of names, batch norm's names, OIHW weights."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from dsconv.weights.families.arrays import (
    Arrays,
    Source,
    Transform,
    hwim_from_oihw,
    hwio_from_oihw,
    same,
)

_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}

# DataParallel, torch.compile, trainers. "model.0.0.weight" of MobileNetV1 is no wrapper.
_WRAPPER = re.compile(r"(module|_orig_mod|state_dict|network|net|backbone|model(?!\.\d))\.")

_CLASSIFIER = re.compile(r"(classifier|fc|last_linear)\b.*\.(weight|bias)$")


def plain_names(names: list[str]) -> dict[str, str]:
    """Names without a wrapper that all of them have, and without the counters of batches."""
    start = 0
    if names:
        while wrapper := _WRAPPER.match(names[0], start):
            prefix = names[0][: wrapper.end()]
            if not all(name.startswith(prefix) for name in names):
                break
            start = wrapper.end()
    return {name[start:]: name for name in names if not name.endswith(".num_batches_tracked")}


def classifier(arrays: Arrays, usual: str) -> str:
    """Name of the classifier: the one "classifier..." or "fc..." of the file, or the usual one."""
    found = {name.rpartition(".")[0] for name in arrays.names if _CLASSIFIER.match(name)}
    return found.pop() if len(found) == 1 else usual


def sources(place: Callable[[str], tuple[str, str]], logits: str) -> Source:
    """Arrays of a network by the places of its layers.

    Parameters
    ----------
    place
        Layer of the graph -> names of its convolution and of the batch norm behind.
    logits
        Name of the classifier.
    """

    def source(layer: str, parameter: str) -> tuple[str, Transform]:
        if layer == "logits":
            return f"{logits}.{parameter}", np.transpose  # (classes, Cin) -> (Cin, classes)
        convolution, norm = place(layer.removesuffix("/bn"))
        if parameter in _NORM:
            return f"{norm}.{_NORM[parameter]}", same
        depthwise = layer.endswith("depthwise")
        return f"{convolution}.{parameter}", hwim_from_oihw if depthwise else hwio_from_oihw

    return source
