"""Convolutions and dense layers against the naive reference, within tolerances that are derived.

Small shapes go through dsconv.reference; shapes of real layers through patches times a matrix,
which is itself held against the reference.
"""

from __future__ import annotations

from typing import Any

import calls
import numpy as np
import pytest
from calls import Call, array
from hypothesis import example, given
from hypothesis import strategies as st
from patches import convolve
from tolerance import assert_close, assert_within, expected, rounding

from dsconv import reference

SMALL, LARGE = 3000, 100_000  # multiply-adds of a call


@pytest.mark.parametrize("operation", calls.WITH_WEIGHTS)
@given(st.data())
def test_small_shapes_against_the_reference(isa, operation, data):
    call = data.draw(calls.WITH_WEIGHTS[operation](isa, SMALL))
    assert_within(call(), call)


def _terms(call: Call) -> int:
    weight = call.arrays["weight"]
    return weight.size // (weight.shape[-1] * (call.operation != "depthwise_conv2d" or 1))


def _assert_as_patches(call: Call) -> None:
    """The kernels' result against sums in NumPy's float64."""
    weight = call.arrays["weight"]
    terms = weight.size // weight.shape[-1]
    if call.operation == "depthwise_conv2d":
        terms = weight.shape[0] * weight.shape[1]
    absolute = {name: a if a is None else np.abs(a) for name, a in call.arrays.items()}
    magnitude = convolve(Call(call.operation, absolute, {**call.options, "activation": None}))
    assert_close(call(), convolve(call), rounding(terms + 1, magnitude))
