"""Translate each ONNX operator to layers: one family of operators a file.

A function takes a `Call`, adds layers to its builder and returns the values of the outputs. If it
does not support something, it raises a ValueError, and the caller adds operator and node to it.
"""

from __future__ import annotations

from collections.abc import Callable

from dsconv.onnx.reading.operators import (
    activation,
    arithmetic,
    convolution,
    dense,
    normalization,
    pooling,
    resizing,
    shaping,
    slicing,
)
from dsconv.onnx.reading.operators.call import Call, Result

OPERATORS: dict[str, Callable[[Call], Result]] = {
    **convolution.OPERATORS,
    **dense.OPERATORS,
    **normalization.OPERATORS,
    **pooling.OPERATORS,
    **activation.OPERATORS,
    **arithmetic.OPERATORS,
    **shaping.OPERATORS,
    **slicing.OPERATORS,
    **resizing.OPERATORS,
}

__all__ = ["OPERATORS", "Call", "Result"]
