"""The layer kinds that only move values, as ONNX operators (Resize alone interpolates).

Axes are renamed where a layer names them. A Transpose appears only where the order of the values
in memory is what a layer means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dsconv import layers
from dsconv.layers import Layer, Shape
from dsconv.onnx.writing.nodes import (
    TO_CHANNELS_FIRST,
    TO_CHANNELS_LAST,
    Place,
    begins_and_ends,
    file_axis,
    file_shape,
)


def zeros_around(place: Place, x: str, pad: Any, part: str = "") -> str:
    """Pad a map by ((top, bottom), (left, right)) pixels."""
    top, left, bottom, right = begins_and_ends(pad)
    pads = place.constant("pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    return place.emit("Pad", x, pads, part=part)


def _channel_shuffle(place: Place, layer: layers.ChannelShuffle, x: str) -> None:
    height, width, channels = place.shapes[0]
    grouped = (layer.groups, channels // layer.groups, height, width)
    x = _reshape_to(place, x, grouped, part="grouped")
    x = place.emit("Transpose", x, part="transposed", perm=(0, 2, 1, 3, 4))
    _reshape_to(place, x, (channels, height, width))


def _space_to_depth(place: Place, layer: layers.SpaceToDepth, x: str) -> None:
    place.emit("SpaceToDepth", x, blocksize=layer.block)


def _pad(place: Place, layer: layers.Pad, x: str) -> None:
    zeros_around(place, x, layer.pixels)


def _resize(place: Place, layer: layers.Resize, x: str) -> None:
    """ONNX wants the batch and the channels among the sizes; an open batch is read off x."""
    size = (layer.height, layer.width)
    if place.collection.batch is None:
        kept = place.emit("Shape", x, part="kept", start=0, end=2)
        wanted = place.constant("size", size, np.int64)
        sizes = place.emit("Concat", kept, wanted, part="sizes", axis=0)
    else:
        full = (place.collection.batch, place.shapes[0][2], *size)
        sizes = place.constant("sizes", full, np.int64)
    place.emit(
        "Resize",
        x,
        "",
        "",
        sizes,
        mode="linear",
        coordinate_transformation_mode=layer.mode,
    )


def _reshape(place: Place, layer: Layer, x: str) -> None:
    """The values are in the order of (H, W, C): Transpose, Reshape, Transpose, where needed."""
    before, after = place.shapes[0], layer.infer(place.shapes)[0]
    if not _same_order(before):
        x = place.emit("Transpose", x, part="channels_last", perm=TO_CHANNELS_LAST)
    if _same_order(after):
        _reshape_to(place, x, file_shape(after))
    else:
        x = _reshape_to(place, x, after, part="reshaped")
        place.emit("Transpose", x, perm=TO_CHANNELS_FIRST)


def _same_order(shape: Shape) -> bool:
    """Whether the values of a tensor stand in the file in the order in which ours do."""
    return len(shape) != 3 or shape[2] == 1 or shape[:2] == (1, 1)


def _transpose(place: Place, layer: layers.Transpose, x: str) -> None:
    """From channels first to channels last, by the layer's permutation, and back, in one."""
    perm: tuple[int, ...] = (0, *(axis + 1 for axis in layer.permutation))
    if len(perm) == 4:
        perm = tuple(TO_CHANNELS_FIRST.index(perm[axis]) for axis in TO_CHANNELS_FIRST)
    place.emit("Transpose", x, perm=perm)


def _slice(place: Place, layer: layers.Slice, x: str) -> None:
    """Only the axes that are cut. An end before index 0 is the least number: others count back."""
    shape = place.shapes[0]
    cut = [
        (start, start + size * step, file_axis(axis, len(shape)), step)
        for axis, (start, size, step) in enumerate(
            zip(layer.starts, layer.sizes, layer.steps, strict=True)
        )
        if (start, size, step) != (0, shape[axis], 1)
    ]
    if not cut:
        place.emit("Identity", x)
        return
    least = np.iinfo(np.int64).min
    starts, ends, axes, steps = zip(*cut, strict=True)
    values = {"starts": starts, "ends": [end if end >= 0 else least for end in ends]}
    values |= {"axes": axes, "steps": steps}
    place.emit("Slice", x, *(place.constant(k, v, np.int64) for k, v in values.items()))


def _broadcast(place: Place, layer: layers.Broadcast, x: str) -> None:
    shape = place.constant("shape", (1, *file_shape(layer.shape)), np.int64)  # any batch meets 1
    place.emit("Expand", x, shape)


def _reshape_to(place: Place, x: str, shape: Shape, part: str = "") -> str:
    """Reshape all but the batch, which 0 leaves as it is."""
    sizes = place.constant("shape", (0, *shape), np.int64)
    return place.emit("Reshape", x, sizes, part=part)


SHAPING: dict[type[Layer], Callable[..., None]] = {
    layers.ChannelShuffle: _channel_shuffle,
    layers.SpaceToDepth: _space_to_depth,
    layers.Pad: _pad,
    layers.Resize: _resize,
    layers.Reshape: _reshape,
    layers.Flatten: _reshape,
    layers.Transpose: _transpose,
    layers.Slice: _slice,
    layers.Broadcast: _broadcast,
}
