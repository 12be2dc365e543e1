"""Place sliding windows: padding and output sizes, checked here for every layer kind.

Public arguments such as ``stride=2`` or ``padding="same"`` become plain numbers here, so that
`functional`, `cost` and `layers` agree on every rule and every error message.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dsconv.arguments.numbers import Pair, pair, pixels

Padding = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]

Axes = tuple[int, int]  # of height and width


class Window(NamedTuple):
    """Hold a kernel's place on a padded map: all that a convolution or a pooling slides with."""

    kernel: Axes
    stride: Axes
    dilation: Axes
    pad: tuple[Axes, Axes]  # (top, bottom), (left, right) in pixels
    output: Axes


def padding_pixels(
    padding: Any, size: Axes, kernel: Axes, stride: Axes, dilation: Axes
) -> tuple[Axes, Axes]:
    """Return the padding of a map of `size` in pixels: ((top, bottom), (left, right))."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'padding must be "same", "valid" or numbers, got {padding!r}')
        height, width = (0, 0) if padding == "valid" else map(_same, size, kernel, stride, dilation)
        return (height // 2, height - height // 2), (width // 2, width - width // 2)
    sides = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    ends = [side if isinstance(side, (tuple, list)) else (side, side) for side in sides]
    if [len(end) for end in ends] != [2, 2]:
        raise ValueError(
            'padding must be "same", "valid", an int, (rows, columns) or '
            f"((top, bottom), (left, right)), got {padding!r}"
        )
    top, bottom, left, right = (pixels(end, "padding", 0) for pair in ends for end in pair)
    return (top, bottom), (left, right)


def _same(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Return the pixels that "same" adds to an axis, so that it has ceil(size / stride) outputs."""
    return max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)


def every_pixel(size: Axes, stride: Pair = 1) -> Window:
    """Place a 1x1 kernel on a map of `size`: on each pixel, or on every stride-th."""
    down, right = pair(stride, "stride")
    output = -(-size[0] // down), -(-size[1] // right)
    return Window((1, 1), (down, right), (1, 1), ((0, 0), (0, 0)), output)


def window(
    size: Axes,
    kernel: Pair,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    ceil: bool = False,
) -> Window:
    """Place a kernel on a map of `size` (height, width).

    output = floor((size + padding - ((kernel - 1) * dilation + 1)) / stride) + 1, on each axis.
    With `ceil` the division rounds up, but a window never starts beyond the map and its leading
    padding (the pooling rule of Caffe and PyTorch).

    Raises
    ------
    ValueError
        If numbers are out of range, or the output would be empty.
    """
    kernel, stride = pair(kernel, "kernel"), pair(stride, "stride")
    dilation = pair(dilation, "dilation")
    size = height, width = int(size[0]), int(size[1])
    pad = rows, columns = padding_pixels(padding, size, kernel, stride, dilation)
    output = (
        _positions("height", height, kernel[0], stride[0], dilation[0], rows, ceil),
        _positions("width", width, kernel[1], stride[1], dilation[1], columns, ceil),
    )
    return Window(kernel, stride, dilation, pad, output)


def _positions(
    axis: str, size: int, kernel: int, stride: int, dilation: int, pad: Axes, ceil: bool
) -> int:
    """Return how many places a kernel has on one axis."""
    before, after = pad
    room = size + before + after - ((kernel - 1) * dilation + 1)
    count = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (count - 1) * stride >= size + before:
        count -= 1
    if size < 1 or (room < 0 and not ceil) or count < 1:
        raise ValueError(
            f"the output {axis} would be empty: input {axis} {size} with padding {pad} "
            f"is smaller than the kernel {kernel} at dilation {dilation}"
        )
    return count
