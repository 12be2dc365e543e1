"""The checks of the operations' arguments, and the form in which the kernels take them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dsconv.arguments.arrays import contiguous, float32
from dsconv.arguments.numbers import bounds
from dsconv.kernels import dispatch, steps
from dsconv.kernels.memory import aligned_empty
from dsconv.kernels.packing import PackedWeight, pack_named, packed_floats
from dsconv.kernels.threads import threads_or_default

Activation = None | str | tuple[float, float]
Weight = np.ndarray | PackedWeight

ACTIVATIONS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def maps(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """x as it came, and as a C-contiguous batch (N, H, W, C)."""
    x = float32(x, "x")
    if x.ndim not in (3, 4):
        raise ValueError(f"x must be (N, H, W, C) or (H, W, C), got shape {x.shape}")
    if x.shape[-1] == 0:
        raise ValueError(f"x must have at least one channel, got shape {x.shape}")
    images = contiguous(x)
    return x, images if x.ndim == 4 else images[np.newaxis]


def same_channels(images: np.ndarray, channels: int, name: str, shape: tuple[int, ...]) -> None:
    if images.shape[3] != channels:
        raise ValueError(f"x has {images.shape[3]} channels, {name} {shape} takes {channels}")


def packed_weight(weight: Weight, kind: str, groups: int = 1, name: str = "weight") -> PackedWeight:
    """The weight packed for `kind`, on the instruction set in use."""
    if not isinstance(weight, PackedWeight):
        return pack_named(weight, name, kind, groups, aligned_empty)
    if weight.kind != kind:
        raise ValueError(f"{name} must be packed for {kind!r}, got {weight!r}")
    if weight.groups != groups:
        raise ValueError(f"{name} is packed for groups={weight.groups}, got groups={groups}")
    if weight.isa != dispatch.isa:
        raise ValueError(f"{name} is packed for {weight.isa!r}, the kernels are {dispatch.isa!r}")
    if weight.data.size != packed_floats(weight.shape, kind, groups):
        raise ValueError(f"{name} is damaged: {weight.data.size} packed values for {weight!r}")
    return weight


def optional_vector(array: Any, name: str, length: int) -> np.ndarray | None:
    """A float32 vector with one number per channel, or None."""
    return None if array is None else vector(array, name, length)


def vector(array: Any, name: str, length: int) -> np.ndarray:
    """A float32 vector with one number per channel."""
    array = float32(array, name)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    return array


def clamp(activation: Activation, name: str) -> tuple[float, float]:
    """An activation as the clamp (low, high)."""
    if activation is None:
        return steps.UNBOUNDED
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f'{name} must be None, "relu", "relu6" or (low, high), got {activation!r}'
            )
        return ACTIVATIONS[activation]
    try:
        return bounds(activation, name)
    except TypeError:
        raise ValueError(
            f'{name} must be None, "relu", "relu6" or (low, high), got {activation!r}'
        ) from None


def check_out(out: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
    float32(out, "out")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("out must be C-contiguous and writeable")
    if not out.flags.aligned:
        raise ValueError("out must be aligned to whole floats")


def result(x: np.ndarray, shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """The array that the kernels write: `out`, or a new one."""
    if out is None:
        return np.empty(shape, np.float32)
    check_out(out, shape)
    if np.may_share_memory(out, x):
        raise ValueError("out must not share memory with x")
    return out


def output_map(x: np.ndarray, map_shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """`result` for a map: with the batch axis if x has one."""
    return result(x, (x.shape[0], *map_shape) if x.ndim == 4 else map_shape, out)


def few_threads(x: np.ndarray) -> int:
    """Threads for a pass over memory: starting a team costs more than a small array."""
    return 1 if x.size < 1 << 16 else threads_or_default(None)
