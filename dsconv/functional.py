"""The operations on arrays: checks of the arguments, then one call into the kernels.

Activations are NHWC float32, a batch (N, H, W, C) or one image (H, W, C); the result has the same
rank. Every operation with weights computes each output element as one chain of sums in a fixed
order (bias, then taps row by row, then input channels ascending), so the bits of a result do not
depend on threads, batch size or tiles. `softmax` is NumPy's exp and sum.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dsconv import _dispatch, _steps
from dsconv._geometry import Padding, Pair, bounds, integer, window
from dsconv.packing import (
    PackedWeight,
    aligned_empty,
    float32,
    pack,
    pack_named,
    packed_floats,
)

__all__ = [
    "add",
    "batch_norm",
    "conv2d",
    "dense",
    "depthwise_conv2d",
    "global_average_pool",
    "pack",
    "pointwise_conv2d",
    "separable_conv2d",
    "softmax",
]

Activation = None | str | tuple[float, float]
Weight = np.ndarray | PackedWeight

_ACTIVATIONS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def conv2d(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Standard two-dimensional convolution (cross-correlation, as in every network).

    y[n, q, r, o] = bias[o] + sum over i, j, c of
    x[n, q * stride + i * dilation - top, r * stride + j * dilation - left, c] * weight[i, j, c, o]

    with zeros outside of x; with groups, output channels of group g see input channels of group g.

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, Cin) or (H, W, Cin)
    weight : ndarray of float32, (KH, KW, Cin/groups, Cout), or PackedWeight of kind "conv2d"
    bias : ndarray of float32, (Cout,), optional
    stride, dilation : int or (rows, columns), in pixels
    padding : "same", "valid", int, (rows, columns) or ((top, bottom), (left, right)), in pixels
        "same" is TensorFlow's rule: ceil(size / stride) outputs, the odd pixel goes to the end.
    groups : int
    activation : None, "relu", "relu6" or (low, high)
    threads : int, optional
        Default: `get_num_threads()`.
    out : ndarray of float32, optional
        C-contiguous, of the exact output shape, sharing no memory with x.

    Returns
    -------
    ndarray of float32, (N, H', W', Cout) or (H', W', Cout)

    Raises
    ------
    ValueError
        For wrong ranks, channels or shapes, an empty output, numbers out of range.
    TypeError
        For another dtype than float32.
    """
    x, images = _maps(x)
    packed = _packed(weight, "conv2d", integer(groups, "groups"))
    kh, kw, group_in, channels = packed.shape
    if group_in * groups != images.shape[3]:
        raise ValueError(
            f"x has {images.shape[3]} channels, weight {packed.shape} with groups={groups} takes "
            f"{group_in * groups} (its third axis times groups)"
        )
    place = window(images.shape[1:3], (kh, kw), stride, padding, dilation)
    bias = _vector(bias, "bias", channels)
    y = _output(x, (*place.output, channels), out)
    step = _steps.conv2d(
        _dispatch.kernels, images.shape[1:], place, channels, groups, packed.data, bias,
        _bounds(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, kh * kw * group_in)


def depthwise_conv2d(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Depthwise convolution: each channel is filtered on its own (MobileNetV1, section 3.1).

    y[n, q, r, c * M + m] = bias[c * M + m] + sum over i, j of
    x[n, q * stride + i * dilation - top, r * stride + j * dilation - left, c] * weight[i, j, c, m]

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    weight : ndarray of float32, (KH, KW, C, M), or PackedWeight of kind "depthwise"
        M is the depth multiplier.
    bias : ndarray of float32, (C * M,), optional
    stride, padding, dilation, activation, threads, out
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, H', W', C * M) or (H', W', C * M)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x, images = _maps(x)
    packed = _packed(weight, "depthwise")
    kh, kw, channels, multiplier = packed.shape
    _same_channels(images, channels, "weight", packed.shape)
    place = window(images.shape[1:3], (kh, kw), stride, padding, dilation)
    bias = _vector(bias, "bias", channels * multiplier)
    y = _output(x, (*place.output, channels * multiplier), out)
    step = _steps.depthwise(
        _dispatch.kernels, images.shape[1:], place, multiplier, packed.data, bias,
        _bounds(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, kh * kw)


def pointwise_conv2d(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Pointwise (1x1) convolution: y[n, q, r, o] = bias[o] + sum over c of x[n, q*s, r*s, c] * weight[c, o].

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, Cin) or (H, W, Cin)
    weight : ndarray of float32, (Cin, Cout), or PackedWeight of kind "pointwise"
    bias : ndarray of float32, (Cout,), optional
    stride, activation, threads, out
        As in `conv2d`; there is no padding.

    Returns
    -------
    ndarray of float32, (N, H', W', Cout) or (H', W', Cout)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x, images = _maps(x)
    packed = _packed(weight, "pointwise")
    _same_channels(images, packed.shape[0], "weight", packed.shape)
    place = window(images.shape[1:3], 1, stride, "valid")
    channels = packed.shape[1]
    bias = _vector(bias, "bias", channels)
    y = _output(x, (*place.output, channels), out)
    step = _steps.conv2d(
        _dispatch.kernels, images.shape[1:], place, channels, 1, packed.data, bias,
        _bounds(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, packed.shape[0])


def separable_conv2d(
    x: np.ndarray,
    depthwise_weight: Weight,
    pointwise_weight: Weight,
    depthwise_bias: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    depthwise_activation: Activation = None,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Depthwise separable convolution in one pass (MobileNetV1, section 3.1).

    The bits are those of `pointwise_conv2d(depthwise_conv2d(x, ...), ...)`, but the depthwise output
    is never stored whole: a strip of it at a time stays in the cache.

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    depthwise_weight : ndarray of float32, (KH, KW, C, M), or PackedWeight of kind "depthwise"
    pointwise_weight : ndarray of float32, (C * M, Cout), or PackedWeight of kind "pointwise"
    depthwise_bias : ndarray of float32, (C * M,), optional
    bias : ndarray of float32, (Cout,), optional
    depthwise_activation, activation : None, "relu", "relu6" or (low, high)
        Between the two convolutions, and after the second.
    stride, padding, dilation, threads, out
        As in `conv2d`; stride, padding and dilation are the depthwise convolution's.

    Returns
    -------
    ndarray of float32, (N, H', W', Cout) or (H', W', Cout)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x, images = _maps(x)
    first = _packed(depthwise_weight, "depthwise", name="depthwise_weight")
    second = _packed(pointwise_weight, "pointwise", name="pointwise_weight")
    kh, kw, channels, multiplier = first.shape
    _same_channels(images, channels, "depthwise_weight", first.shape)
    if second.shape[0] != channels * multiplier:
        raise ValueError(
            f"pointwise_weight must take the {channels * multiplier} channels that "
            f"depthwise_weight {first.shape} gives, got shape {second.shape}"
        )
    place = window(images.shape[1:3], (kh, kw), stride, padding, dilation)
    depthwise_bias = _vector(depthwise_bias, "depthwise_bias", channels * multiplier)
    bias = _vector(bias, "bias", second.shape[1])
    y = _output(x, (*place.output, second.shape[1]), out)
    step = _steps.separable(
        _dispatch.kernels, images.shape[1:], place, multiplier, second.shape[1],
        first.data, depthwise_bias, second.data, bias,
        _bounds(depthwise_activation, "depthwise_activation"), _bounds(activation, "activation"),
    )  # fmt: skip
    return _run(step, images, y, threads, second.shape[0])


def global_average_pool(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Mean over the pixels of a map: y[n, c] = (sum over h, w of x[n, h, w, c]) / (H * W).

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    out : ndarray of float32, optional
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, C) or (C,)

    Raises
    ------
    ValueError, TypeError
        For a wrong rank or dtype, or an empty map.
    """
    x, images = _maps(x)
    if 0 in images.shape[1:3]:
        raise ValueError(f"x must have at least one pixel, got shape {x.shape}")
    y = _output(x, (images.shape[3],), out)
    step = _steps.global_average(_dispatch.kernels, images.shape[1:])
    return _run(step, images, y, _few_threads(images))


def dense(
    x: np.ndarray,
    weight: Weight,
    bias: np.ndarray | None = None,
    *,
    activation: Activation = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Fully connected layer: y[n, o] = bias[o] + sum over c of x[n, c] * weight[c, o].

    Parameters
    ----------
    x : ndarray of float32, (N, Cin) or (Cin,)
    weight : ndarray of float32, (Cin, Cout), or PackedWeight of kind "dense"
    bias : ndarray of float32, (Cout,), optional
    activation, threads, out
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, Cout) or (Cout,)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.
    """
    x = float32(x, "x")
    if x.ndim not in (1, 2):
        raise ValueError(f"x must be (N, Cin) or (Cin,), got shape {x.shape}")
    packed = _packed(weight, "dense")
    if x.shape[-1] != packed.shape[0]:
        raise ValueError(
            f"x has {x.shape[-1]} channels, weight {packed.shape} takes {packed.shape[0]}"
        )
    channels = packed.shape[1]
    bias = _vector(bias, "bias", channels)
    y = _result(x, (*x.shape[:-1], channels), out)
    rows = _contiguous(x).reshape(-1, 1, 1, x.shape[-1])
    place = window((1, 1), 1)
    step = _steps.conv2d(
        _dispatch.kernels, rows.shape[1:], place, channels, 1, packed.data, bias,
        _bounds(activation, "activation"),
    )  # fmt: skip
    return _run(step, rows, y, threads, packed.shape[0])


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(x) / sum of exp(x) along an axis, computed from x - max(x) so that it cannot overflow.

    Parameters
    ----------
    x : ndarray of float32
    axis : int

    Returns
    -------
    ndarray of float32, of the shape of x

    Raises
    ------
    TypeError, ValueError
        For another dtype, or an axis that x does not have.
    """
    x = float32(x, "x")
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, got {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be within the {x.ndim} axes of x, got {axis}")
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):  # inf and NaN take their course
        powers = np.exp(x - x.max(axis=axis, keepdims=True))
        return powers / powers.sum(axis=axis, keepdims=True)


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float,
    activation: Activation = None,
) -> np.ndarray:
    """Batch norm with fixed statistics: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Computed as y = x * factor + shift, with factor and shift taken from double precision.

    Parameters
    ----------
    x : ndarray of float32, (..., C)
    gamma, beta, mean, variance : ndarray of float32, (C,)
    epsilon : float
        Added to the variance; there is no default, because checkpoints differ in it.
    activation : None, "relu", "relu6" or (low, high)

    Returns
    -------
    ndarray of float32, of the shape of x

    Raises
    ------
    ValueError, TypeError
        For wrong shapes or dtypes, or where variance + epsilon is not positive.
    """
    x = float32(x, "x")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must be (..., C) with at least one channel, got shape {x.shape}")
    channels = x.shape[-1]
    named = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    g, b, m, v = (
        _given_vector(array, name, channels).astype(np.float64) for name, array in named.items()
    )
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, np.floating)):
        raise TypeError(f"epsilon must be a number, got {epsilon!r}")
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be at least 0, got {epsilon}")
    if (v + epsilon <= 0).any():
        raise ValueError(f"variance + epsilon must be positive, got {(v + epsilon).min()}")
    factor = g / np.sqrt(v + epsilon)
    shift = b - m * factor
    rows = _contiguous(x).reshape(-1, 1, 1, channels)
    y = np.empty(x.shape, np.float32)
    step = _steps.scale(
        _dispatch.kernels, rows.shape[1:], factor.astype(np.float32), shift.astype(np.float32),
        _bounds(activation, "activation"),
    )  # fmt: skip
    return _run(step, rows, y, _few_threads(x))


def add(
    a: np.ndarray,
    b: np.ndarray,
    *,
    activation: Activation = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Elementwise sum, y = a + b.

    Parameters
    ----------
    a, b : ndarray of float32, of one shape
    activation : None, "relu", "relu6" or (low, high)
    out : ndarray of float32, optional
        C-contiguous, of the same shape; it may be a or b itself.

    Returns
    -------
    ndarray of float32

    Raises
    ------
    ValueError, TypeError
        For different shapes, another dtype, or an `out` that overlaps an input without being it.
    """
    a, b = float32(a, "a"), float32(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one shape, got {a.shape} and {b.shape}")
    if out is None:
        out = np.empty(a.shape, np.float32)
    else:
        _check_out(out, a.shape)
        for name, array in (("a", a), ("b", b)):
            same = array.ctypes.data == out.ctypes.data and array.flags.c_contiguous
            if not same and np.may_share_memory(array, out):
                raise ValueError(f"out overlaps {name} without being the same array")
    a, b = _contiguous(a), _contiguous(b)
    step = _steps.add(_dispatch.kernels, (1, 1, 1), _bounds(activation, "activation"))
    program = _dispatch.kernels.Program([step])
    program.run((a, out, b), a.size, _few_threads(a))
    return out


def _maps(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """x as it came, and as a C-contiguous batch (N, H, W, C)."""
    x = float32(x, "x")
    if x.ndim not in (3, 4):
        raise ValueError(f"x must be (N, H, W, C) or (H, W, C), got shape {x.shape}")
    if x.shape[-1] == 0:
        raise ValueError(f"x must have at least one channel, got shape {x.shape}")
    images = _contiguous(x)
    return x, images if x.ndim == 4 else images[np.newaxis]


def _contiguous(array: np.ndarray) -> np.ndarray:
    """The array itself where the kernels can read it, else a copy."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, requirements=["C", "A"])


def _same_channels(images: np.ndarray, channels: int, name: str, shape: tuple[int, ...]) -> None:
    if images.shape[3] != channels:
        raise ValueError(f"x has {images.shape[3]} channels, {name} {shape} takes {channels}")


def _packed(weight: Weight, kind: str, groups: int = 1, name: str = "weight") -> PackedWeight:
    """The weight packed for `kind`, on the instruction set in use."""
    if not isinstance(weight, PackedWeight):
        return pack_named(weight, name, kind, groups, aligned_empty)
    if weight.kind != kind:
        raise ValueError(f"{name} must be packed for {kind!r}, got {weight!r}")
    if weight.groups != groups:
        raise ValueError(f"{name} is packed for groups={weight.groups}, got groups={groups}")
    if weight.isa != _dispatch.isa:
        raise ValueError(f"{name} is packed for {weight.isa!r}, the kernels are {_dispatch.isa!r}")
    if weight.data.size != packed_floats(weight.shape, kind, groups):
        raise ValueError(f"{name} is damaged: {weight.data.size} packed values for {weight!r}")
    return weight


def _vector(array: Any, name: str, length: int) -> np.ndarray | None:
    """A float32 vector with one number per channel, or None."""
    return None if array is None else _given_vector(array, name, length)


def _given_vector(array: Any, name: str, length: int) -> np.ndarray:
    """A float32 vector with one number per channel."""
    array = float32(array, name)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    return array


def _bounds(activation: Activation, name: str) -> tuple[float, float]:
    """An activation as the clamp (low, high)."""
    if activation is None:
        return _steps.UNBOUNDED
    if isinstance(activation, str):
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f'{name} must be None, "relu", "relu6" or (low, high), got {activation!r}'
            )
        return _ACTIVATIONS[activation]
    try:
        return bounds(activation, name)
    except TypeError:
        raise ValueError(
            f'{name} must be None, "relu", "relu6" or (low, high), got {activation!r}'
        ) from None


def _check_out(out: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
    float32(out, "out")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("out must be C-contiguous and writeable")
    if not out.flags.aligned:
        raise ValueError("out must be aligned to whole floats")


def _result(x: np.ndarray, shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """The array that the kernels write: `out`, or a new one."""
    if out is None:
        return np.empty(shape, np.float32)
    _check_out(out, shape)
    if np.may_share_memory(out, x):
        raise ValueError("out must not share memory with x")
    return out


def _output(x: np.ndarray, map_shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """`_result` for a map: with the batch axis if x has one."""
    return _result(x, (x.shape[0], *map_shape) if x.ndim == 4 else map_shape, out)


def _few_threads(x: np.ndarray) -> int:
    """Threads for a pass over memory: starting a team costs more than a small array."""
    return 1 if x.size < 1 << 16 else _dispatch.threads_or_default(None)


def _run(
    step: Any, x: np.ndarray, y: np.ndarray, threads: int | None, terms: int = 1
) -> np.ndarray:
    """Run one step on the images of x, the first axis, into y: sums of `terms` products each.

    By default what takes one thread less than about 20 microseconds runs on one thread.
    """
    number = _dispatch.threads_or_default(threads)
    if threads is None and y.size * terms < 1 << 20:
        number = 1
    _dispatch.kernels.Program([step]).run((x, y), len(x), number)
    return y
