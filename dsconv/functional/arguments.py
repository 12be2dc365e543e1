"""Check the operations' arguments, and bring them to the form in which the kernels take them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dsconv.arguments.arrays import contiguous, float32
from dsconv.arguments.numbers import bounds
from dsconv.kernels import dispatch
from dsconv.kernels.packed_weight import PackedWeight, pack_named
from dsconv.kernels.steps import UNBOUNDED, Bounds

Activation = None | str | tuple[float, float]
Weight = np.ndarray | PackedWeight

ACTIVATIONS = {None: UNBOUNDED, "relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


class Convolution(NamedTuple):
    """Hold what one convolution multiplies with, adds and clamps to."""

    weight: PackedWeight
    bias: np.ndarray | None
    bounds: Bounds


def maps(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return x as an array, and as a C-contiguous batch (N, H, W, C)."""
    x = float32(x, "x")
    if x.ndim not in (3, 4):
        raise ValueError(f"x must be (N, H, W, C) or (H, W, C), got shape {x.shape}")
    if 0 in x.shape[-3:]:
        raise ValueError(
            f"x must have at least one pixel and at least one channel, got shape {x.shape}"
        )
    batch = contiguous(x)
    return x, batch if x.ndim == 4 else batch[np.newaxis]


def same_channels(batch: np.ndarray, channels: int, name: str, shape: tuple[int, ...]) -> None:
    """Check that x has as many channels as the weight called `name` takes."""
    if batch.shape[3] != channels:
        raise ValueError(f"x has {batch.shape[3]} channels, {name} {shape} takes {channels}")


def packed_weight(weight: Weight, kind: str, groups: int = 1, name: str = "weight") -> PackedWeight:
    """Return the weight packed for `kind`, on the instruction set in use."""
    if isinstance(weight, PackedWeight):
        _check_packed(weight, kind, groups, name)
        return weight
    return pack_named(weight, name, kind, groups)


def _check_packed(weight: PackedWeight, kind: str, groups: int, name: str) -> None:
    if weight.kind != kind:
        raise ValueError(f"{name} must be packed for {kind!r}, got {weight!r}")
    if weight.groups != groups:
        raise ValueError(f"{name} is packed for groups={weight.groups}, got groups={groups}")
    if weight.isa != dispatch.isa:
        raise ValueError(f"{name} is packed for {weight.isa!r}, the kernels are {dispatch.isa!r}")


def convolution(
    weight: PackedWeight, bias: Any, activation: Activation, prefix: str = ""
) -> Convolution:
    """Return one convolution of a step; `prefix` stands before the names of the arguments."""
    if bias is not None:
        bias = vector(bias, f"{prefix}bias", weight.packing.matrix[1])
    return Convolution(weight, bias, clamp(activation, f"{prefix}activation"))


def vector(array: Any, name: str, length: int) -> np.ndarray:
    """Return a float32 vector with one number per channel."""
    array = float32(array, name)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    return array


def clamp(activation: Activation, name: str) -> tuple[float, float]:
    """Return an activation as the clamp (low, high)."""
    if activation is None or isinstance(activation, str):
        limits = ACTIVATIONS.get(activation)
    else:
        try:
            limits = bounds(activation, name)
        except TypeError:
            limits = None
    if limits is None:
        allowed = 'None, "relu", "relu6" or (low, high)'
        raise ValueError(f"{name} must be {allowed}, got {activation!r}")
    return limits
