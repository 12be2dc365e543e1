"""Every network builds, compiles and runs; those of each style are checked layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compiled import outputs
from hypothesis import given
from random_graphs import RandomGraph, random_graphs, random_inputs, random_weights
from small_networks import SMALL
from stepwise import assert_layers_and_whole

from dsconv import models

# Small enough for seconds: classes of 5, few pixels, thin where the builder has a width.
OUTPUTS: dict[str, dict[str, tuple[int, ...]]] = {  # of those that do not end in (classes,)
    "deeplab_v3_mobilenet_v2": {"resized": (33, 33, 5)},
    "deeplab_v3_resnet101": {"resized": (33, 33, 5)},
    "yolo_v2": {"logits": (2, 2, 5 * (4 + 1 + 5))},
    # maps of 64 / 16 = 4, then 2, 1, 1, 1, 1 pixels; 3 boxes on the largest, 6 on the others
    **{
        name: {"boxes": (96, 4), "scores": (96, 5)}
        for name in ("ssdlite_mobilenet_v1", "ssdlite_mobilenet_v2", "ssd_mobilenet_v2")
    },
    # maps of 34, 17, 9, 5, 3, 1 pixels with 4, 6, 6, 6, 4, 4 boxes
    "ssd300_vgg16": {"boxes": (7034, 4), "scores": (7034, 5)},
    # maps of 34, 17, 9, 5, 3, 2, 1 pixels with 4, 6, 6, 6, 6, 4, 4 boxes
    "ssd512_vgg16": {"boxes": (7068, 4), "scores": (7068, 5)},
}


@pytest.mark.parametrize("name", models.names())
def test_every_network_runs(name: str) -> None:
    graph = models.get(name, classes=5, **SMALL[name])
    model = graph.compile(graph.init_weights(0))
    results = outputs(model, random_inputs(graph, 1))
    expected = OUTPUTS.get(name, {"logits": (5,)})
    assert model.outputs == expected
    assert [y.shape for y in results] == [(1, *shape) for shape in expected.values()]
    for y in results:
        assert np.isfinite(y).all()
        assert np.ptp(y) > 0


MOBILE = ["mobilenet_v1", "mobilenet_v2", "ssdlite_mobilenet_v2", "deeplab_v3_mobilenet_v2"]
OTHERS = [
    "mobilenet_v1_standard", "alexnet", "vgg16", "googlenet", "squeezenet", "resnet34", "resnet50",
    "shufflenet", "ssd_mobilenet_v2", "yolo_v2",
]  # fmt: skip


def check(name: str, images: int = 1, **options: Any) -> None:
    """Compare layer by layer; batch norms have negative and zero factors."""
    graph = models.get(name, classes=5, **(SMALL[name] | options))
    weights = random_weights(graph, np.random.default_rng(1))
    assert_layers_and_whole(graph, weights, random_inputs(graph, images))


@pytest.mark.parametrize("name", MOBILE)
def test_layers_of_mobile_networks(isa: Any, name: str) -> None:
    check(name, images=2, **({"aspp": True} if name.startswith("deeplab") else {}))


@pytest.mark.parametrize("name", OTHERS)
def test_layers_of_other_networks(name: str) -> None:
    check(name, **({"resolution": 32} if name == "yolo_v2" else {}))


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_layers_with_either_padding(name: str, padding: str) -> None:
    check(name, padding=padding, resolution=(33, 47), softmax=True)


@given(case=random_graphs())
def test_layers_of_random_graphs(case: RandomGraph) -> None:
    """Check that many small layers hold together as the few of a network do."""
    assert_layers_and_whole(*case)
