"""The networks by name: `names`, `get`, and each builder itself, e.g. `models.mobilenet_v1`.

A topology's file is imported when it is first asked for. Some builders bear the name of their
file (``mobilenet_v1``); here the name always means the builder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsconv.graph import Graph
    from dsconv.models.alexnet import alexnet
    from dsconv.models.deeplab_v3 import deeplab_v3_mobilenet_v2, deeplab_v3_resnet101
    from dsconv.models.googlenet import googlenet
    from dsconv.models.mobilenet_v1 import mobilenet_v1, mobilenet_v1_shallow, mobilenet_v1_standard
    from dsconv.models.mobilenet_v2 import mobilenet_v2
    from dsconv.models.resnet import resnet34, resnet50, resnet101
    from dsconv.models.shufflenet import shufflenet
    from dsconv.models.squeezenet import squeezenet
    from dsconv.models.ssd import ssd300_vgg16, ssd512_vgg16
    from dsconv.models.ssdlite import ssd_mobilenet_v2, ssdlite_mobilenet_v1, ssdlite_mobilenet_v2
    from dsconv.models.vgg import vgg16, vgg19
    from dsconv.models.yolo_v2 import yolo_v2

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
    """Names of all networks."""
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
        For an unknown name, or options that the builder refuses.
    """
    return _builder(name)(**options)


def _builder(name: str) -> Callable[..., Graph]:
    if name not in _FILES:
        raise ValueError(f"unknown model {name!r}, known are {', '.join(names())}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = _builder(name)
    return globals()[name]


def __dir__() -> list[str]:
    return __all__


class _Models(ModuleType):
    """Keeps the import of the file ``mobilenet_v1`` from hiding the builder of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _FILES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Models
