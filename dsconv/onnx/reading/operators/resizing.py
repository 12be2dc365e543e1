"""Translate Resize and Upsample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from dsconv.layers import Resize
from dsconv.onnx.reading.axes import shown
from dsconv.onnx.reading.operators.call import Call
from dsconv.onnx.reading.operators.slicing import take
from dsconv.onnx.reading.values import BATCH, Tensor

_LARGEST = 1 << 16  # rows or columns that a nearest-neighbour resize may make


def upsample(call: Call) -> Tensor:
    """Translate the operator before Resize, which has scales only and reads position i / scale."""
    mode = call.node.text("mode", "nearest")
    if call.opset < 9:
        call.arity(1)
        scales = call.node.numbers("scales")
    else:
        call.arity(2)
        scales = _floats(call, 1)
    return _scaled_up(call, call.tensor(), scales, mode)


def _scaled_up(call: Call, x: Tensor, scales: Sequence[float] | None, mode: str) -> Tensor:
    """Resize as before opset 11. Smaller maps are refused, because engines round differently."""
    found = _scaled(x, _for_map(x, scales, 1.0))
    if mode == "nearest" and any(scale < 1 for _, scale in found):
        raise ValueError(f"scales {scales} below 1 are supported from opset 11 on")
    return _resized(call, x, found, mode, "asymmetric", "floor")


def resize(call: Call) -> Tensor:
    mode = call.node.text("mode", "nearest")
    call.arity(1, 4 if call.opset >= 11 else 2)
    x = call.tensor()
    if call.opset < 11:
        scales = _floats(call, 1) if call.given(1) else None
        return _scaled_up(call, x, scales, mode)
    node = call.node
    node.ignore("cubic_coeff_a", "extrapolation_value")
    how = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    if how == "tf_crop_and_resize":
        raise ValueError(f"the attribute 'coordinate_transformation_mode' {how!r} is not supported")
    for name, default in (("exclude_outside", 0), ("antialias", 0)):
        if node.integer(name, default) != default:
            raise ValueError(f"the attribute {name!r} is not supported")
    if (policy := node.text("keep_aspect_ratio_policy", "stretch")) != "stretch":
        raise ValueError(f"the attribute 'keep_aspect_ratio_policy' {policy!r} is not supported")
    axes = node.integers("axes")
    if call.given(3) and 0 not in call.constant(3).shape:
        sizes = call.integers(3)
        pixels = _for_map(x, sizes, None, axes, batch=(BATCH, call.batch))
        found = [(size, Fraction(size, old)) for size, old in zip(pixels, x.shape[1:], strict=True)]
        if min(pixels) < 1:
            raise ValueError(f"the sizes {sizes} are not above 0")
    else:
        scales = _floats(call, 2) if call.given(2) else None
        found = _scaled(x, _for_map(x, scales, 1.0, axes))
    return _resized(call, x, found, mode, how, nearest)


def _floats(call: Call, index: int) -> list[float]:
    constant = call.weight(index, 1)
    if constant.shape[0] > 8:
        raise ValueError(f"{constant.shape[0]} scales do not fit the input")
    return [float(scale) for scale in constant.array]


def _for_map(
    x: Tensor,
    given: Sequence | None,
    same: float | None,
    axes: Sequence[int] | None = None,
    batch: tuple = (),
) -> list:
    """Return the scales or sizes of rows and columns; batch and channels must stay as they are.

    `same` is the scale that changes nothing. If it is None, `given` are sizes.
    """
    if len(x.shape) != 3 or given is None:
        raise ValueError(
            f"only maps (N, C, H, W) with scales or sizes are supported, got {shown(x.shape)}"
        )
    axes = list(range(4)) if axes is None else [axis % 4 for axis in axes if -4 <= axis < 4]
    if len(axes) != len(given) or len(set(axes)) < len(axes):
        raise ValueError(f"scales or sizes {list(given)} do not fit {shown(x.shape)}")
    neutral = [same] * 4 if same is not None else [BATCH, *x.shape]
    numbers = dict(enumerate(neutral)) | dict(zip(axes, given, strict=True))
    fits = numbers[0] == neutral[0] or any(numbers[0] is b or numbers[0] == b for b in batch)
    if not fits or numbers[1] != neutral[1] or BATCH in (numbers[2], numbers[3]):
        raise ValueError(f"only rows and columns can be resized, got {list(given)}")
    return [numbers[2], numbers[3]]


def _scaled(x: Tensor, scales: Sequence[float]) -> list[tuple[int, Fraction]]:
    """Return new size and scale, of rows and of columns."""
    found = []
    for size, scale in zip(x.shape[1:], scales, strict=True):
        if not (math.isfinite(scale) and scale > 0) or int(size * scale) < 1:
            raise ValueError(f"scales {list(scales)} of {shown(x.shape)} are not supported")
        found.append((int(size * scale), Fraction(scale)))
    return found


def _resized(
    call: Call, x: Tensor, found: list[tuple[int, Fraction]], mode: str, how: str, nearest: str
) -> Tensor:
    if all(size == old for (size, _), old in zip(found, x.shape[1:], strict=True)) and all(
        scale == 1 for _, scale in found
    ):
        return x
    if mode == "nearest":
        for axis, (size, scale) in enumerate(found, start=1):
            x = _nearest(call, x, axis, size, scale, how, nearest)
        return x
    if mode != "linear":
        raise ValueError(f"the attribute 'mode' is {mode!r}, only nearest and linear are supported")
    return _linear(call, x, found, how)


def _linear(call: Call, x: Tensor, found: list[tuple[int, Fraction]], how: str) -> Tensor:
    """Resize bilinearly.

    "asymmetric" is "align_corners" on a map with its last row and last column once more.
    """
    build, (height, width) = call.build, (found[0][0], found[1][0])
    for (size, scale), old in zip(found, x.shape[1:], strict=True):
        _check_whole(size, scale, old)
        if how == "pytorch_half_pixel" and size == 1 < old:
            raise ValueError(f"resizing {old} pixels to 1 as {how!r} is not supported")
    if how in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners"):
        mode = "align_corners" if how == "align_corners" else "half_pixel"
        return build.from_map(build.add(Resize(height, width, mode), build.map(x)))
    if how != "asymmetric":
        raise ValueError(f"the attribute 'coordinate_transformation_mode' {how!r} is not supported")
    for axis in (1, 2):
        x = take(call, x, axis, [*range(x.shape[axis]), x.shape[axis] - 1])
    large = build.add(Resize(height + 1, width + 1, "align_corners"), build.map(x))
    return build.slice(build.from_map(large), [0, 0, 0], [x.shape[0], height, width], [1, 1, 1])


def _nearest(
    call: Call, x: Tensor, axis: int, size: int, scale: Fraction, how: str, nearest: str
) -> Tensor:
    """Resize one axis, by a broadcast if each index is repeated equally often."""
    old = x.shape[axis]
    if size > _LARGEST:
        raise ValueError(f"{size} rows or columns are not supported, at most {_LARGEST}")
    if how == "align_corners":
        _check_whole(size, scale, old)
    rounded = {
        "round_prefer_floor": lambda p: math.ceil(p - Fraction(1, 2)),
        "round_prefer_ceil": lambda p: math.floor(p + Fraction(1, 2)),
        "floor": math.floor,
        "ceil": math.ceil,
    }
    if nearest not in rounded:
        raise ValueError(f"the attribute 'nearest_mode' {nearest!r} is not supported")
    indices = [
        min(max(rounded[nearest](_position(i, old, size, scale, how)), 0), old - 1)
        for i in range(size)
    ]
    times = size // old
    if size == old * times > old and indices == [i // times for i in range(size)]:
        before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
        order = [a + (a > axis) for a in x.order]
        order.insert(order.index(axis) + 1, axis + 1)  # the new axis stays beside the old one
        split = Tensor(x.name, (*before, 1, *after), tuple(order))
        split = split._replace(name=call.build.view(x.name, split.inside))
        wide = call.build.broadcast(split, (*before, times, *after))
        return call.build.reshape(wide, (*x.shape[:axis], size, *after))
    return take(call, x, axis, indices)


def _check_whole(size: int, scale: Fraction, old: int) -> None:
    """Check that the scale gives a whole size, because our layer computes positions from sizes."""
    if abs(scale * old - size) > Fraction(size, 2**20):
        raise ValueError(f"the scale {float(scale)} of {old} pixels gives no whole size")


def _position(i: int, old: int, size: int, scale: Fraction, how: str) -> Fraction:
    """Return the position of the input that output i reads."""
    half = Fraction(1, 2)
    if how == "asymmetric":
        return i / scale
    if how == "align_corners":
        return Fraction(i * (old - 1), size - 1) if size > 1 else Fraction(0)
    if how == "pytorch_half_pixel" and size == 1:
        return Fraction(0)
    if how == "half_pixel_symmetric":
        adjustment = size / (scale * old)
        return Fraction(old, 2) * (1 - adjustment) + (i + half) / scale - half
    if how in ("half_pixel", "pytorch_half_pixel"):
        return (i + half) / scale - half
    raise ValueError(f"the attribute 'coordinate_transformation_mode' {how!r} is not supported")


OPERATORS = {"Resize": resize, "Upsample": upsample}
