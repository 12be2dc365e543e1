"""What each ONNX operator becomes: one function a group of operators, in a file a family.

A function takes a `Call`, adds layers to its builder and returns what stands behind the outputs.
Whatever it does not support, it refuses by a ValueError; the caller adds operator and node.
"""

from __future__ import annotations

from collections.abc import Callable

from dsconv.onnx.reading.operators import (
    activation,
    arithmetic,
    convolution,
    pooling,
    resizing,
    shaping,
    slicing,
)
from dsconv.onnx.reading.operators.call import Call, Result

OPERATORS: dict[str, Callable[[Call], Result]] = {
    **convolution.OPERATORS,
    **pooling.OPERATORS,
    **activation.OPERATORS,
    **arithmetic.OPERATORS,
    **shaping.OPERATORS,
    **slicing.OPERATORS,
    **resizing.OPERATORS,
}

__all__ = ["OPERATORS", "Call", "Result"]
