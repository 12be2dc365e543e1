"""PyTorch's families against PyTorch itself: names, padding, epsilon, activations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import interpret_with_bounds

from dsconv.files.load import load
from dsconv.graph import Graph
from dsconv.weights import open_weights
from dsconv.weights.families import recognise

torch = pytest.importorskip("torch", reason="torch is not installed")
torch_networks = pytest.importorskip("torch_networks")

CLASSES, RESOLUTION = 7, 64

NETWORKS: dict[str, tuple[str, Callable[[Any], Any]]] = {  # id: family, network
    "torchvision": ("MobileNetV2 of torchvision", lambda n: n.TorchvisionV2(0.35, CLASSES)),
    "torchvision 1.4": ("MobileNetV2 of torchvision", lambda n: n.TorchvisionV2(1.4, CLASSES)),
    "d-li14": ("MobileNetV2 of d-li14", lambda n: n.DLi14V2(0.5, CLASSES)),
    "d-li14 0.1": ("MobileNetV2 of d-li14", lambda n: n.DLi14V2(0.1, CLASSES)),
    "tonylins": ("MobileNetV2 of d-li14", lambda n: n.TonylinsV2(0.25, CLASSES)),
    "pytorch v1": ("MobileNetV1 of PyTorch", lambda n: n.PyTorchV1(0.5, CLASSES)),
    "timm v1": ("MobileNetV1 of timm", lambda n: n.timm_v1(0.25, CLASSES)),
    "timm v1 with head": ("MobileNetV1 of timm", lambda n: n.timm_v1(0.5, CLASSES, 40)),
    "timm v2": ("MobileNetV2 of timm", lambda n: n.timm_v2(0.5, CLASSES)),
    "timm v2 deeper": ("MobileNetV2 of timm", lambda n: n.timm_v2(1.2, CLASSES, 1)),
    "timm lite": ("EfficientNet-Lite of timm", lambda n: n.timm_lite(0.5, CLASSES, False)),
    "tf lite": ("EfficientNet-Lite of timm", lambda n: n.timm_lite(0.5, CLASSES, True)),
}


class Found:
    """A network that was recognised from its file, and both results in double precision."""

    def __init__(self, path: Path, network: Any) -> None:
        with open_weights(path) as file:
            found = recognise(file, RESOLUTION)
            self.graph: Graph = found.graph
            self.family = found.family
            self.weights = {name: found.weights[name].copy() for name in found.weights}
        random = np.random.default_rng(0)
        self.x = random.normal(size=(2, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
        ((self.value, bound),) = interpret_with_bounds(self.graph, self.weights, self.x)
        # The bound is one for the unit roundoff 2**-24 and grows with it; here both sides have
        # 2**-53, and each errs.
        self.tolerance = 2 * bound * 2.0**-29
        with torch.no_grad():
            x = torch.from_numpy(self.x.transpose(0, 3, 1, 2)).double()
            self.expected = network.double()(x).numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_numbers_as_torch(tmp_path: Path, name: str) -> None:
    family, build = NETWORKS[name]
    network = torch_networks.with_random_statistics(build(torch_networks))
    path = tmp_path / ("tf_a.pth" if name.startswith("tf") else "a.pth")
    torch.save(network.state_dict(), path)
    found = Found(path, network)
    assert found.family == family
    spread = np.ptp(found.expected, axis=1).min()
    assert found.tolerance.max() < 1e-3 * spread  # the test can tell
    assert (np.abs(found.value - found.expected) <= found.tolerance).all()
    model = load(path, resolution=RESOLUTION)
    compiled = found.graph.compile(found.weights)(found.x)
    np.testing.assert_array_equal(model(found.x).view(np.uint32), compiled.view(np.uint32))
    assert model.family == family and model.classes == CLASSES
