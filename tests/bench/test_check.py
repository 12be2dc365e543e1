"""Results are compared with a reference before they are timed."""

from __future__ import annotations

import numpy as np
import pytest

from dsconv import functional, models
from dsconv.bench import check
from dsconv.bench.networks import pictures
from dsconv.layers import Conv2D, DepthwiseConv2D

EXPECTED = np.array([[1.0, -4.0], [2.0, 3.0]])  # of the first and the last of three examples


def test_the_error_is_in_units_of_the_largest_value() -> None:
    result = np.array([[1, -4], [9, 9], [2, 3]], np.float32)
    assert check.error(result, EXPECTED, 3) == 0
    result[2, 0] = 2.5
    assert check.error(result, EXPECTED, 3) == 0.5 / 4
    assert check.error(result[1:], EXPECTED, 3) is None
    assert check.error(result[:, :1], EXPECTED, 3) is None
    result[1, 1] = np.nan  # in an example that the reference leaves out
    assert check.error(result, EXPECTED, 3) is None


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_computes_nothing_does_not_pass(batch: int, stride: int) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, 7, 6, 5), np.float32)
    depthwise, pointwise = (
        random.standard_normal(shape, np.float32) for shape in ((3, 3, 5, 1), (1, 1, 5, 4))
    )
    y = functional.separable_conv2d(x, depthwise, pointwise[0, 0], stride=stride)
    steps = (DepthwiseConv2D(3, stride), depthwise), (Conv2D(4), pointwise)
    expected = check.layers_of(x, *steps)
    check.check("it", y, expected, batch)
    unwritten = y.copy()
    unwritten[-1, -1, -1, -1] = np.nan
    for wrong in (np.zeros_like(y), unwritten, y[:, ::-1], y[..., :3]):
        with pytest.raises(check.WrongResultError, match="^it computes wrong values and is not"):
            check.check("it", wrong, expected, batch)


def test_networks_are_checked() -> None:
    graph = models.mobilenet_v1(alpha=0.25, resolution=32, classes=7)
    weights, x = graph.init_weights(0), pictures(graph, 3)
    y, expected = graph.compile(weights)(x), check.graph_of(graph, weights, x)
    check.check("it", y, expected, 3)
    check.check("it", (y,), expected, 3)
    with pytest.raises(check.WrongResultError, match="above the tolerance 1e-04"):
        check.check("it", np.zeros_like(y), expected, 3)
