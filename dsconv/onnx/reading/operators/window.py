"""Read the attributes of a sliding window, which Conv and the poolings share."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv.arguments.numbers import pair
from dsconv.arguments.window import Padding, window
from dsconv.onnx.reading.operators.call import Call
from dsconv.onnx.reading.values import Tensor


def sliding_window(
    call: Call, x: Tensor, kernel: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int], Padding]:
    """Return stride, dilation and padding of a window on the map x (C, H, W)."""
    node = call.node
    stride = pair(node.integers("strides", [1, 1]), "the attribute 'strides'")
    dilation = pair(node.integers("dilations", [1, 1]), "the attribute 'dilations'")
    auto, pads = node.text("auto_pad", "NOTSET"), node.integers("pads")
    if auto == "NOTSET":
        pads = [0, 0, 0, 0] if pads is None else pads
        if len(pads) != 4 or min(pads) < 0:
            raise ValueError(f"the attribute 'pads' must be four numbers from 0 on, got {pads[:9]}")
        top, left, bottom, right = pads
        return stride, dilation, ((top, bottom), (left, right))
    if pads is not None and any(pads):
        raise ValueError(f"the attribute 'pads' is given beside 'auto_pad' {auto}")
    if auto == "VALID":
        return stride, dilation, "valid"
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"the attribute 'auto_pad' is {auto!r}, which is not supported")
    size = x.shape[1], x.shape[2]
    pad = window(size, (kernel[0], kernel[1]), stride, "same", dilation).pad
    if auto == "SAME_LOWER":  # the odd pixel goes to the beginning
        (top, bottom), (left, right) = pad
        pad = (bottom, top), (right, left)
    return stride, dilation, pad
