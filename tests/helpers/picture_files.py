"""A small network and picture files for `dsconv classify`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import npz
from family_files import slim

from dsconv import models

CLASSES = 6


def network_and_pictures(folder: Path) -> Path:
    """Write network.npz (for 32 x 32 pixels), one.png, two.png, and two that are none."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    graph = models.mobilenet_v1(0.25, 32, CLASSES)
    (folder / "network.npz").write_bytes(npz(slim(graph.init_weights(0))))
    random = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
        image.fromarray(pixels).save(folder / name)
    (folder / "text.png").write_text("no picture")
    whole = (folder / "one.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    return folder
