"""Options with which every network of `dsconv.models` is small enough for a test."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {"alpha": 0.25, "resolution": 64},
    "mobilenet_v1_standard": {"alpha": 0.25, "resolution": 64},
    "mobilenet_v1_shallow": {"alpha": 0.25, "resolution": 64},
    "mobilenet_v2": {"alpha": 0.35, "resolution": 64},
    "ssdlite_mobilenet_v1": {"alpha": 0.25, "resolution": 64},
    "ssdlite_mobilenet_v2": {"alpha": 0.35, "resolution": 64},
    "ssd_mobilenet_v2": {"alpha": 0.35, "resolution": 64},
    "deeplab_v3_mobilenet_v2": {"resolution": 33},
    "alexnet": {"resolution": 67},
    "vgg16": {"resolution": 32},
    "vgg19": {"resolution": 32},
    "googlenet": {"resolution": 64},
    "squeezenet": {"resolution": 64},
    "resnet34": {"resolution": 32},
    "resnet50": {"resolution": 32},
    "resnet101": {"resolution": 32},
    "shufflenet": {"resolution": 64},
    "ssd300_vgg16": {"resolution": 268},  # the least at which every map has a pixel
    "ssd512_vgg16": {"resolution": 268},
    "yolo_v2": {"resolution": 64},
    "deeplab_v3_resnet101": {"resolution": 33},
}
