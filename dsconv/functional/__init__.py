"""Run the operations on arrays: arrays in, arrays out, computed by the kernels."""

from dsconv.functional.convolutions import conv2d, depthwise_conv2d
from dsconv.functional.elementwise import add, batch_norm
from dsconv.functional.products import dense, pointwise_conv2d
from dsconv.functional.reductions import global_average_pool, softmax
from dsconv.functional.separable import separable_conv2d
from dsconv.kernels.packed_weight import pack

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
