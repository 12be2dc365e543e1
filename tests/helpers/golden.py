"""The trained networks, four pictures, and their logits by an independent implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dsconv import images
from dsconv.weights import open_weights
from dsconv.weights.families import recognise

TOLERANCE = 1e-3
FILES = {"v1": "mobilenet_v1_1.0_224_google_slim.npz", "v2": "mobilenet_v2-b0353104.pth"}
NORMALISATION = {"v1": "tensorflow", "v2": "torchvision"}


class Golden:
    """MobileNet "v1" or "v2" of the folder of shared files, and what it must compute."""

    def __init__(self, shared: Path, network: str) -> None:
        self.path = shared / "weights" / FILES[network]
        with open_weights(self.path) as file:
            found = recognise(file)
            self.graph = found.graph
            self.weights = {name: found.weights[name].copy() for name in found.weights}
        with np.load(shared / "golden" / "golden_logits.npz") as golden:
            self.pictures = golden["images"]
            self.names = golden["names"].tolist()
            self.logits = golden[f"mobilenet_{network}_logits"]
        self.x = images.normalise(self.pictures, NORMALISATION[network])

    def error(self, logits: np.ndarray) -> float:
        assert logits.shape == self.logits.shape
        return float(np.abs(logits - self.logits).max())
