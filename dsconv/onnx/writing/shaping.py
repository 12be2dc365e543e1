"""Write the layer kinds that only move values, and Resize, as ONNX operators.

If a layer names an axis, the axis of the file is written. A Transpose is written only if the layer
depends on the order of the values in memory.
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
    LayerWriter,
    begins_and_ends,
    file_axis,
    file_shape,
)


def zeros_around(writer: LayerWriter, x: str, pad: Any, part: str = "") -> str:
    """Pad a map by ((top, bottom), (left, right)) pixels."""
    top, left, bottom, right = begins_and_ends(pad)
    pads = writer.constant("pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    return writer.node("Pad", x, pads, part=part)


def _channel_shuffle(writer: LayerWriter, layer: layers.ChannelShuffle, x: str) -> None:
    height, width, channels = writer.shapes[0]
    grouped = (layer.groups, channels // layer.groups, height, width)
    x = _reshape_to(writer, x, grouped, part="grouped")
    x = writer.node("Transpose", x, part="transposed", perm=(0, 2, 1, 3, 4))
    _reshape_to(writer, x, (channels, height, width))


def _space_to_depth(writer: LayerWriter, layer: layers.SpaceToDepth, x: str) -> None:
    writer.node("SpaceToDepth", x, blocksize=layer.block)


def _pad(writer: LayerWriter, layer: layers.Pad, x: str) -> None:
    zeros_around(writer, x, layer.pixels)


def _resize(writer: LayerWriter, layer: layers.Resize, x: str) -> None:
    """Write sizes with batch and channels, as ONNX wants them. An open batch is read from x."""
    size = (layer.height, layer.width)
    if writer.file.batch is None:
        kept = writer.node("Shape", x, part="kept", start=0, end=2)
        wanted = writer.constant("size", size, np.int64)
        sizes = writer.node("Concat", kept, wanted, part="sizes", axis=0)
    else:
        full = (writer.file.batch, writer.shapes[0][2], *size)
        sizes = writer.constant("sizes", full, np.int64)
    writer.node(
        "Resize",
        x,
        "",
        "",
        sizes,
        mode="linear",
        coordinate_transformation_mode=layer.mode,
    )


def _reshape(writer: LayerWriter, layer: Layer, x: str) -> None:
    """Write Transpose, Reshape, Transpose, as needed: the layer counts values as (H, W, C)."""
    before, after = writer.shapes[0], layer.infer(writer.shapes)[0]
    if not _same_order(before):
        x = writer.node("Transpose", x, part="channels_last", perm=TO_CHANNELS_LAST)
    if _same_order(after):
        _reshape_to(writer, x, file_shape(after))
    else:
        x = _reshape_to(writer, x, after, part="reshaped")
        writer.node("Transpose", x, perm=TO_CHANNELS_FIRST)


def _same_order(shape: Shape) -> bool:
    """Tell whether the values of a tensor have the same order in the file as in our graph."""
    return len(shape) != 3 or shape[2] == 1 or shape[:2] == (1, 1)


def _transpose(writer: LayerWriter, layer: layers.Transpose, x: str) -> None:
    """Write one Transpose: to channels last, by the layer's permutation, and back."""
    perm: tuple[int, ...] = (0, *(axis + 1 for axis in layer.permutation))
    if len(perm) == 4:
        perm = tuple(TO_CHANNELS_FIRST.index(perm[axis]) for axis in TO_CHANNELS_FIRST)
    writer.node("Transpose", x, perm=perm)


def _slice(writer: LayerWriter, layer: layers.Slice, x: str) -> None:
    """Write the axes that are cut.

    If a slice with a negative step ends before index 0, its end is the least integer, because any
    other negative end counts from the back.
    """
    shape = writer.shapes[0]
    cut = [
        (start, start + size * step, file_axis(axis, len(shape)), step)
        for axis, (start, size, step) in enumerate(
            zip(layer.starts, layer.sizes, layer.steps, strict=True)
        )
        if (start, size, step) != (0, shape[axis], 1)
    ]
    if not cut:
        writer.node("Identity", x)
        return
    least = np.iinfo(np.int64).min
    starts, ends, axes, steps = zip(*cut, strict=True)
    values = {"starts": starts, "ends": [end if end >= 0 else least for end in ends]}
    values |= {"axes": axes, "steps": steps}
    writer.node("Slice", x, *(writer.constant(k, v, np.int64) for k, v in values.items()))


def _broadcast(writer: LayerWriter, layer: layers.Broadcast, x: str) -> None:
    shape = writer.constant("shape", (1, *file_shape(layer.shape)), np.int64)  # 1 fits any batch
    writer.node("Expand", x, shape)


def _reshape_to(writer: LayerWriter, x: str, shape: Shape, part: str = "") -> str:
    """Reshape all axes but the batch, which a size of 0 keeps as it is."""
    sizes = writer.constant("shape", (0, *shape), np.int64)
    return writer.node("Reshape", x, sizes, part=part)


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
