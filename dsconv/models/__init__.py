"""Build the networks by name: `names`, `get`, and each builder itself, e.g. `models.mobilenet_v1`.

Every builder takes `resolution`, the height and width of the input or the pair of them, and
`classes`, the number of classes. Each topology has a file of its own in `topologies`, which is
imported at its first use.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsconv.graph import Graph
    from dsconv.models.topologies.alexnet import alexnet
    from dsconv.models.topologies.deeplab_v3 import deeplab_v3_mobilenet_v2, deeplab_v3_resnet101
    from dsconv.models.topologies.googlenet import googlenet
    from dsconv.models.topologies.mobilenet_v1 import (
        mobilenet_v1,
        mobilenet_v1_shallow,
        mobilenet_v1_standard,
    )
    from dsconv.models.topologies.mobilenet_v2 import mobilenet_v2
    from dsconv.models.topologies.resnet import resnet34, resnet50, resnet101
    from dsconv.models.topologies.shufflenet import shufflenet
    from dsconv.models.topologies.squeezenet import squeezenet
    from dsconv.models.topologies.ssd import ssd300_vgg16, ssd512_vgg16
    from dsconv.models.topologies.ssdlite import (
        ssd_mobilenet_v2,
        ssdlite_mobilenet_v1,
        ssdlite_mobilenet_v2,
    )
    from dsconv.models.topologies.vgg import vgg16, vgg19
    from dsconv.models.topologies.yolo_v2 import yolo_v2

_FILES = {  # builder: the file that holds it
    "mobilenet_v1": "mobilenet_v1",
    "mobilenet_v1_standard": "mobilenet_v1",
    "mobilenet_v1_shallow": "mobilenet_v1",
    "mobilenet_v2": "mobilenet_v2",
    "ssdlite_mobilenet_v1": "ssdlite",
    "ssdlite_mobilenet_v2": "ssdlite",
    "ssd_mobilenet_v2": "ssdlite",
    "deeplab_v3_mobilenet_v2": "deeplab_v3",
    "alexnet": "alexnet",
    "vgg16": "vgg",
    "vgg19": "vgg",
    "googlenet": "googlenet",
    "squeezenet": "squeezenet",
    "resnet34": "resnet",
    "resnet50": "resnet",
    "resnet101": "resnet",
    "shufflenet": "shufflenet",
    "ssd300_vgg16": "ssd",
    "ssd512_vgg16": "ssd",
    "yolo_v2": "yolo_v2",
    "deeplab_v3_resnet101": "deeplab_v3",
}

__all__ = [
    "alexnet",
    "deeplab_v3_mobilenet_v2",
    "deeplab_v3_resnet101",
    "get",
    "googlenet",
    "mobilenet_v1",
    "mobilenet_v1_shallow",
    "mobilenet_v1_standard",
    "mobilenet_v2",
    "names",
    "resnet34",
    "resnet50",
    "resnet101",
    "shufflenet",
    "squeezenet",
    "ssd300_vgg16",
    "ssd512_vgg16",
    "ssd_mobilenet_v2",
    "ssdlite_mobilenet_v1",
    "ssdlite_mobilenet_v2",
    "vgg16",
    "vgg19",
    "yolo_v2",
]


def names() -> tuple[str, ...]:
    """Return the names of all networks."""
    return tuple(_FILES)


def get(name: str, **options: Any) -> Graph:
    """Build a network by its name.

    Parameters
    ----------
    name
        One of `names()`.
    options
        The builder's own arguments, e.g. ``alpha=0.5, resolution=160``.

    Raises
    ------
    ValueError
        If the name is unknown, or the builder refuses the options.
    """
    return _builder(name)(**options)


def _builder(name: str) -> Callable[..., Graph]:
    """Return the function that builds a network."""
    if name not in _FILES:
        raise ValueError(f"unknown model {name!r}, known are {', '.join(names())}")
    return getattr(import_module(f"dsconv.models.topologies.{_FILES[name]}"), name)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = _builder(name)
    return globals()[name]


def __dir__() -> list[str]:
    return __all__
