"""One good call of every operation, to be spoilt argument by argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dsconv


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


GOOD: dict[str, dict[str, Any]] = {
    "conv2d": {"x": ones(2, 5, 6, 4), "weight": ones(3, 3, 4, 6), "bias": ones(6)},
    "depthwise_conv2d": {"x": ones(2, 5, 6, 4), "weight": ones(3, 3, 4, 2), "bias": ones(8)},
    "pointwise_conv2d": {"x": ones(2, 5, 6, 4), "weight": ones(4, 6), "bias": ones(6)},
    "separable_conv2d": {
        "x": ones(2, 5, 6, 4),
        "depthwise_weight": ones(3, 3, 4, 2),
        "pointwise_weight": ones(8, 6),
        "depthwise_bias": ones(8),
        "bias": ones(6),
    },
    "global_average_pool": {"x": ones(2, 5, 6, 4)},
    "dense": {"x": ones(2, 4), "weight": ones(4, 6), "bias": ones(6)},
    "softmax": {"x": ones(2, 4)},
    "batch_norm": {
        "x": ones(2, 5, 6, 4),
        "gamma": ones(4),
        "beta": ones(4),
        "mean": ones(4),
        "variance": ones(4),
        "epsilon": 0.1,
    },
    "add": {"a": ones(2, 3), "b": ones(2, 3)},
}
SLIDING = ["conv2d", "depthwise_conv2d", "separable_conv2d"]
STRIDED = [*SLIDING, "pointwise_conv2d"]
THREADED = [*STRIDED, "dense"]
ACTIVATED = [*THREADED, "batch_norm", "add"]
WITH_OUT = [*THREADED, "global_average_pool", "add"]
CLAMPS = {name: ["activation"] for name in ACTIVATED}
CLAMPS["separable_conv2d"] = ["activation", "depthwise_activation"]


def call(operation: str, **changes: Any) -> np.ndarray:
    return getattr(dsconv, operation)(**{**GOOD[operation], **changes})


def refused(error: type[Exception], message: str, operation: str, **changes: Any) -> None:
    """Check that the call raises a message that matches the pattern from its beginning."""
    with pytest.raises(error, match=message) as raised:
        call(operation, **changes)
    assert type(raised.value) is error


def each(table: dict[str, list[Any]] | list[str], *more: list[Any]) -> Any:
    """Make parameters (operation, argument) of a table, or (operation,) of a list."""
    if isinstance(table, list):
        return pytest.mark.parametrize("operation", table)
    pairs = [(operation, name) for operation, names in table.items() for name in names]
    return pytest.mark.parametrize("operation, name", pairs)


ARRAYS = {
    operation: [name for name, value in arguments.items() if isinstance(value, np.ndarray)]
    for operation, arguments in GOOD.items()
}
VECTORS = {o: [n for n in names if GOOD[o][n].ndim == 1] for o, names in ARRAYS.items()}
WEIGHTS = {o: [n for n in names if n.endswith("weight")] for o, names in ARRAYS.items()}
