"""Count what each operation costs, in closed form, from shapes alone: one function for each.

One multiply-add counts 1. Taps that fall on the zero padding count like all others, and so does the
batch: N images cost N times as much as one. Only convolutions and dense layers have mult-adds;
biases, batch norm, activations, additions and pooling have none, as in the MobileNet papers.

Shapes are those of the arrays: maps are (batch, H, W, C) or (H, W, C); weights are
(KH, KW, C/groups, Cout), (KH, KW, C, multiplier) for depthwise, and (C, Cout) for pointwise and
dense. Nothing is allocated and nothing is run.

Every function but `separable_ratio` returns a `Cost`. All of them raise ValueError for wrong ranks,
channels or groups, numbers out of range and empty outputs, and TypeError where an integer is not
one; the message names the argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from dsconv.arguments.numbers import Pair, integer, pair
from dsconv.arguments.window import Padding, window

Shape = Sequence[int]
_MAPS, _VECTORS = ("(H, W, C)", "(batch, H, W, C)"), ("(C,)", "(batch, C)")
_DEPTHWISE, _POINTWISE = "(KH, KW, C, multiplier)", "(C, Cout)"


class Cost(NamedTuple):
    """Hold the cost of one operation.

    Attributes
    ----------
    mult_adds : int
        Multiply-adds for the whole batch, padding taps included.
    weights : int
        Numbers in the kernels of convolutions and dense layers, without biases and batch norm.
    trainable_parameters : int
        `weights`, the biases, and gamma and beta of batch norm.
    bytes : int
        Input, kernels and output in float32, each moved once. Biases and batch norm are left out.
    intensity : float
        Arithmetic intensity, 2 * mult_adds / bytes: floating-point operations per byte.
    """

    mult_adds: int
    weights: int
    trainable_parameters: int
    bytes: int
    intensity: float


def conv2d(
    input_shape: Shape,
    weight_shape: Shape,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    groups: int = 1,
    bias: bool = False,
    batch_norm: bool = False,
) -> Cost:
    """Return the cost of a convolution: mult-adds = KH*KW * M/groups * N * H*W * batch.

    M and N are the numbers of input and output channels, H and W the size of the *output*
    (MobileNetV1, arXiv 1704.04861, section 3.1, which writes it for square maps and kernels).

    Parameters
    ----------
    input_shape : sequence of int
        (height, width, M) or (batch, height, width, M).
    weight_shape : sequence of int
        (KH, KW, M/groups, N).
    stride, padding, dilation, groups
        As in `dsconv.conv2d`.
    bias : bool
        True: there is a bias for each output channel.
    batch_norm : bool
        True: batch norm follows, with a gamma and a beta for each output channel.
    """
    x = _images(input_shape)
    channels, groups = x[3], integer(groups, "groups")
    kernel = _shape(weight_shape, "weight_shape", "(KH, KW, C/groups, Cout)")
    rows, columns, depth, outputs = kernel
    if channels % groups or outputs % groups:
        raise ValueError(
            f"groups must divide the {channels} input and {outputs} output channels, got {groups}"
        )
    if depth * groups != channels:
        raise ValueError(
            f"weight_shape must be (KH, KW, {channels // groups}, Cout) for {channels} input "
            f"channels in {groups} groups, got {kernel}"
        )
    pixels = x[0] * prod(window(x[1:3], (rows, columns), stride, padding, dilation).output)
    return _cost(
        mult_adds=pixels * prod(kernel),  # every weight works once for every output pixel
        weights=prod(kernel),
        others=_per_channel(bias, batch_norm) * outputs,
        moved=prod(x) + prod(kernel) + pixels * outputs,
    )


def depthwise_conv2d(
    input_shape: Shape,
    weight_shape: Shape,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    bias: bool = False,
    batch_norm: bool = False,
) -> Cost:
    """Return the cost of a depthwise convolution: mult-adds = KH*KW * M*multiplier * H*W * batch.

    This is `conv2d` with as many groups as input channels M (MobileNetV1, section 3.1).

    Parameters
    ----------
    weight_shape : sequence of int
        (KH, KW, M, multiplier).
    input_shape, stride, padding, dilation, bias, batch_norm
        As in `conv2d`.
    """
    channels = _images(input_shape)[3]
    kernel = _shape(weight_shape, "weight_shape", _DEPTHWISE, C=channels)
    return conv2d(
        input_shape,
        (*kernel[:2], 1, channels * kernel[3]),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=channels,
        bias=bias,
        batch_norm=batch_norm,
    )


def pointwise_conv2d(
    input_shape: Shape,
    weight_shape: Shape,
    *,
    stride: Pair = 1,
    bias: bool = False,
    batch_norm: bool = False,
) -> Cost:
    """Return the cost of a 1x1 convolution: mult-adds = M * N * H*W * batch, as of the output.

    Parameters
    ----------
    weight_shape : sequence of int
        (M, N).
    input_shape, stride, bias, batch_norm
        As in `conv2d`; all of the input counts as moved, whatever the stride.
    """
    channels = _images(input_shape)[3]
    _, outputs = _shape(weight_shape, "weight_shape", _POINTWISE, C=channels)
    kernel = (1, 1, channels, outputs)
    return conv2d(input_shape, kernel, stride=stride, bias=bias, batch_norm=batch_norm)


def separable_conv2d(
    input_shape: Shape,
    depthwise_weight_shape: Shape,
    pointwise_weight_shape: Shape,
    *,
    stride: Pair = 1,
    padding: Padding = "same",
    dilation: Pair = 1,
    depthwise_bias: bool = False,
    depthwise_batch_norm: bool = False,
    bias: bool = False,
    batch_norm: bool = False,
) -> Cost:
    """Return the cost of a separable convolution: `depthwise_conv2d`, then `pointwise_conv2d`.

    mult-adds = (KH*KW * M + M * N) * H*W * batch at multiplier 1. The depthwise output stays in the
    caches and is not stored, so `bytes` has the input, both kernels and the final output only.

    Parameters
    ----------
    depthwise_weight_shape, pointwise_weight_shape : sequence of int
        (KH, KW, M, multiplier) and (M * multiplier, N).
    input_shape, stride, padding, dilation
        As in `conv2d`; the stride is that of the depthwise half.
    depthwise_bias, depthwise_batch_norm, bias, batch_norm : bool
        True: such follows the depthwise half, or the pointwise half.
    """
    x = _images(input_shape)
    depthwise = _shape(depthwise_weight_shape, "depthwise_weight_shape", _DEPTHWISE, C=x[3])
    middle = x[3] * depthwise[3]  # channels between the two halves
    pointwise = _shape(pointwise_weight_shape, "pointwise_weight_shape", _POINTWISE, C=middle)
    kernel, outputs = (depthwise[0], depthwise[1]), pointwise[1]
    pixels = x[0] * prod(window(x[1:3], kernel, stride, padding, dilation).output)
    weights = prod(depthwise) + prod(pointwise)
    return _cost(
        mult_adds=pixels * weights,
        weights=weights,
        others=_per_channel(depthwise_bias, depthwise_batch_norm) * middle
        + _per_channel(bias, batch_norm) * outputs,
        moved=prod(x) + weights + pixels * outputs,
    )


def separable_ratio(output_channels: int, kernel: Pair) -> float:
    """Return a separable convolution's cost over the standard one's: 1/N + 1/K^2.

    For M input channels, N output channels, a K x K kernel and an output of H x W,

        separable / standard = (K*K*M*H*W + M*N*H*W) / (K*K*M*N*H*W) = 1/N + 1/K^2

    (MobileNetV1, arXiv 1704.04861, section 3.1). The weights shrink by the same ratio. Two facts
    about the reduction:

    - The depthwise half costs 1/N of the standard convolution, and the pointwise half 1/K^2 of it.
      With hundreds of channels the pointwise half is nearly all that is left, and a 3x3 kernel
      makes the cost 8 to 9 times smaller.
    - M, H and W cancel in the *ratio* only. Both halves grow with the number of input channels M
      as the standard convolution does; what the pointwise cost does not depend on is K.

    Parameters
    ----------
    output_channels : int
        N.
    kernel : int or (rows, columns)
        K, or KH and KW with KH * KW in place of K^2.
    """
    rows, columns = pair(kernel, "kernel")
    return 1 / integer(output_channels, "output_channels") + 1 / (rows * columns)


def dense(
    input_shape: Shape, weight_shape: Shape, *, bias: bool = False, batch_norm: bool = False
) -> Cost:
    """Return the cost of a fully connected layer: mult-adds = M * N * batch.

    ``input_shape`` is (M,) or (batch, M), ``weight_shape`` (M, N).
    """
    *batch, channels = _shape(input_shape, "input_shape", *_VECTORS)
    _, outputs = _shape(weight_shape, "weight_shape", _POINTWISE, C=channels)
    pixel, kernel = (*batch, 1, 1, channels), (1, 1, channels, outputs)
    return conv2d(pixel, kernel, bias=bias, batch_norm=batch_norm)


def global_average_pool(input_shape: Shape) -> Cost:
    """Return the cost of a mean over all pixels: a map is read, its channels are written."""
    batch, height, width, channels = _images(input_shape)
    return _cost(moved=batch * (height * width + 1) * channels)


def softmax(input_shape: Shape) -> Cost:
    """Return the cost of softmax: no mult-adds; as many numbers are written as read."""
    return _cost(moved=2 * prod(_shape(input_shape, "input_shape", *_VECTORS, *_MAPS)))


def batch_norm(input_shape: Shape) -> Cost:
    """Return the cost of batch norm alone: no mult-adds; gamma and beta for each (last) channel."""
    x = _shape(input_shape, "input_shape", *_VECTORS, *_MAPS)
    return _cost(others=2 * x[-1], moved=2 * prod(x))


def add(input_shape: Shape) -> Cost:
    """Return the cost of adding two arrays: no mult-adds; two are read, one is written."""
    return _cost(moved=3 * prod(_shape(input_shape, "input_shape", *_VECTORS, *_MAPS)))


def _cost(mult_adds: int = 0, weights: int = 0, others: int = 0, moved: int = 0) -> Cost:
    """Return a `Cost`; `others` are trained beside the weights, `moved` floats read or written."""
    intensity = 2 * mult_adds / (4 * moved) if moved else 0.0
    return Cost(mult_adds, weights, weights + others, 4 * moved, intensity)


def _per_channel(bias: bool, batch_norm: bool) -> int:
    """Count the trainable numbers for each output channel: a bias, and gamma and beta."""
    return bool(bias) + 2 * bool(batch_norm)


def _shape(shape: Shape, name: str, *layouts: str, C: int = 0) -> tuple[int, ...]:
    """Return `shape` as ints in one of the layouts, e.g. "(batch, H, W, C)", with this C if any."""
    try:
        sizes = tuple(shape)
    except TypeError:
        raise TypeError(f"{name} must be {' or '.join(layouts)}, got {shape!r}") from None
    for layout in layouts:
        axes = layout.strip("(,)").split(", ")
        if len(axes) == len(sizes):
            minimums = [0 if axis == "batch" else 1 for axis in axes]
            labels = [f"{axis} of {name}" for axis in axes]
            sizes = tuple(map(integer, sizes, labels, minimums))
            if C and sizes[axes.index("C")] != C:
                raise ValueError(f"{name} must be {layout} with C = {C}, got {sizes}")
            return sizes
    raise ValueError(f"{name} must be {' or '.join(layouts)}, got {sizes}")


def _images(shape: Shape) -> tuple[int, int, int, int]:
    sizes = _shape(shape, "input_shape", *_MAPS)
    height, width, channels = sizes[-3:]
    return (sizes[0] if len(sizes) == 4 else 1), height, width, channels
