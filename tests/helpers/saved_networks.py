"""Small networks with random weights in files of their frameworks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint_files import Arrays, npz, pth
from family_files import slim, torchvision
from random_graphs import random_weights

from dsconv import models
from dsconv.files.load import load
from dsconv.graph import Graph
from dsconv.vision.classifier import Classifier

CLASSES = 6

Build = Callable[..., Graph]
NETWORKS: dict[str, tuple[Build, Callable[..., Arrays], Callable[..., bytes]]] = {
    "mobilenet_v1": (models.mobilenet_v1, slim, npz),
    "mobilenet_v2": (models.mobilenet_v2, torchvision, pth),
}


class Saved:
    """A small network in a file of its framework."""

    def __init__(self, name: str, alpha: float = 0.25, resolution: int = 32) -> None:
        build, rename, self.write = NETWORKS[name]
        self.resolution = resolution
        self.graph = build(alpha, resolution, CLASSES)
        self.weights = random_weights(self.graph, np.random.default_rng(0))
        self.arrays = rename(self.weights)

    def load(self, folder: Path, **options: Any) -> Classifier:
        path = folder / "weights of a network"
        path.write_bytes(self.write(self.arrays))
        return load(path, resolution=self.resolution, **options)
