"""The operations on arrays: arrays in, arrays out, computed by the kernels."""

from dsconv.functional.operations import (
    add,
    batch_norm,
    conv2d,
    dense,
    depthwise_conv2d,
    global_average_pool,
    pack,
    pointwise_conv2d,
    separable_conv2d,
    softmax,
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
